using System.Net;
using Microsoft.Extensions.Logging.Abstractions;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Upstreams;

/// <summary>The effect of a changed configuration, or of DNS, on live upstreams.</summary>
public sealed class TopologyTests : IAsyncDisposable
{
    private readonly List<Backend> _gone = [];
    private readonly Topology _topology;

    public TopologyTests() => _topology = new Topology(
        new MonotonicClock(TimeProvider.System), NullLogger.Instance, loops: 1, _gone.AddRange);

    public ValueTask DisposeAsync() => _topology.DisposeAsync();

    [Fact]
    public void Apply_keeps_what_is_known_of_what_stays()
    {
        _topology.Apply([Web(Backend(1), Backend(2))]);
        Upstream web = _topology.Upstreams[0];
        Backend down = web.Backends[0];
        down.Health = new HealthState(BackendHealth.Down, "test", null);
        Assert.True(down.TryEnter());
        web.Choose(down, 7);

        _topology.Apply([Web(Backend(1) with { Weight = 3 }, Backend(3)) with { Balance = BalanceAlgorithm.Random }]);

        Assert.Same(web, _topology.Upstreams[0]);
        Assert.Same(down, web.Backends[0]);
        Assert.Equal(BackendHealth.Down, down.Health.Health);
        Assert.Equal((1, 7), (down.InFlight, down.FullWeight));
        Assert.Equal(3, down.Config.Weight);
        Assert.Equal(["127.0.0.1:2"], _gone.Select(static b => b.Address));
        Assert.True(_gone[0].IsRetired);
    }

    [Fact]
    public void Backend_that_joins_starts_slowly_but_not_at_the_start()
    {
        UpstreamConfig config = Web(Backend(1)) with { SlowStart = TimeSpan.FromSeconds(10) };
        _topology.Apply([config]);
        _topology.Apply([config with { Backends = [Backend(1), Backend(2)] }]);
        Assert.Equal([1, 0.1], _topology.Upstreams[0].Backends.Select(static b => Math.Round(b.Ramp, 2)));
    }

    [Fact]
    public void Upstream_that_is_removed_retires_its_backends()
    {
        _topology.Apply([Web(Backend(1)), Web(Backend(2)) with { Name = "other" }]);
        _topology.Apply([Web(Backend(1))]);
        Assert.Equal("other/127.0.0.1:2", Assert.Single(_gone).ToString());
    }

    [Fact]
    public void Name_becomes_one_backend_for_each_address_and_keeps_those_that_stay()
    {
        _topology.Apply([Web(Backend(1) with { Host = "app.test", Port = 80, Weight = 2 })]);
        Upstream web = _topology.Upstreams[0];
        Assert.Equal(["app.test:80"], web.Backends.Select(static b => b.Address));
        Assert.Null(web.Backends[0].EndPoint);

        web.Resolve("app.test", [IPAddress.Parse("10.0.0.1"), IPAddress.Parse("10.0.0.2")], joins: false);
        Backend kept = web.Backends[1];
        kept.Health = new HealthState(BackendHealth.Down, "test", null);
        web.Resolve("app.test", [IPAddress.Parse("10.0.0.2"), IPAddress.Parse("10.0.0.3")], joins: true);

        Assert.Equal(["10.0.0.2:80", "10.0.0.3:80"], web.Backends.Select(static b => b.Address));
        Assert.All(web.Backends, static b => Assert.Equal(("app.test:80", 2), (b.Name, b.FullWeight)));
        Assert.Same(kept, web.Backends[0]);
        Assert.Equal(BackendHealth.Down, kept.Health.Health);
    }

    [Fact]
    public void Rotation_goes_on_over_a_change()
    {
        _topology.Apply([Web(Backend(1), Backend(2), Backend(3))]);
        Upstream web = _topology.Upstreams[0];
        string first = Pick(web);
        _topology.Apply([Web(Backend(1), Backend(2), Backend(3)) with { SlowStart = TimeSpan.FromSeconds(1) }]);
        Assert.Equal(["127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"], new[] { first, Pick(web), Pick(web) });
    }

    private static string Pick(Upstream upstream) => upstream.Pick(new() { Tried = [], Random = new(1) })!.Address;

    private static UpstreamConfig Web(params BackendConfig[] backends) => new() { Name = "web", Backends = backends };

    private static BackendConfig Backend(int port) => new() { Host = "127.0.0.1", Port = port };
}
