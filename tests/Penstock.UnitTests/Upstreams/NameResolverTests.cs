using System.Net;
using System.Net.Sockets;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Upstreams;

public sealed class NameResolverTests : IDisposable
{
    private readonly LogLines _log = new();

    public void Dispose() => _log.Dispose();

    [Fact]
    public async Task Name_that_does_not_resolve_is_said_once_and_is_no_failed_start()
    {
        Upstream web = Make();
        await using NameResolver resolver = Resolver(static () => throw new SocketException(11001));
        resolver.Apply([web]);
        resolver.Apply([web]);
        Assert.Equal("name does not resolve", Assert.Single(web.Backends).Health.Cause);
        Assert.Single(_log.Lines, static l => l.Contains("does not resolve", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Last_good_addresses_outlive_an_outage_of_dns()
    {
        Upstream web = Make();
        bool fails = false;
        await using NameResolver resolver = Resolver(() => fails ? throw new SocketException(11001)
            : [IPAddress.Parse("10.0.0.2"), IPAddress.Parse("10.0.0.1"), IPAddress.Parse("fd00::1")]);
        resolver.Apply([web]);
        fails = true;
        resolver.Apply([web]);
        Assert.Equal(["10.0.0.1:80", "10.0.0.2:80"], web.Backends.Select(static b => b.Address));
    }

    [Fact]
    public async Task Addresses_that_change_are_followed()
    {
        Upstream web = Make();
        string address = "10.0.0.1";
        await using NameResolver resolver = Resolver(() => [IPAddress.Parse(address)]);
        resolver.Apply([web]);
        Backend before = web.Backends[0];
        resolver.Apply([web]);
        Assert.Same(before, web.Backends[0]);
        address = "10.0.0.9";
        resolver.Apply([web]);
        await Eventually.TrueAsync(() => web.Backends[0].Address == "10.0.0.9:80", "the new address is followed");
        Assert.Single(web.Backends);
        Assert.True(before.IsRetired);
    }

    [Fact]
    public async Task Name_that_hangs_delays_no_other_one()
    {
        Upstream web = Make("hung.test", "app.test");
        var hung = new TaskCompletionSource<IPAddress[]>();
        string address = "10.0.0.1";
        var time = new ManualTime();
        await using var resolver = new NameResolver(time, _log.CreateLogger("test"),
            (host, stop) => host == "hung.test" ? hung.Task.WaitAsync(stop)
                : Task.FromResult<IPAddress[]>([IPAddress.Parse(address)]));
        resolver.Apply([web]);
        await Eventually.TrueAsync(() => web.Backends.Any(static b => b.Address == "10.0.0.1:80"), "one is known");
        address = "10.0.0.2";
        await Eventually.TrueAsync(() =>
        {
            time.Advance(TimeSpan.FromSeconds(11));
            return web.Backends.Any(static b => b.Address == "10.0.0.2:80");
        }, "and is looked up again");
        hung.SetResult([IPAddress.Parse("10.0.0.3")]);
        await Eventually.TrueAsync(() => web.Backends.Any(static b => b.Address == "10.0.0.3:80"), "the other one");
    }

    [Fact]
    public async Task Name_with_both_families_is_one_backend_for_each_IPv4_address_with_somewhere_else_to_try()
    {
        Upstream web = Make();
        await using NameResolver resolver = Resolver(() =>
            [IPAddress.Parse("::1"), IPAddress.Parse("127.0.0.1"), IPAddress.Parse("127.0.0.2")]);
        resolver.Apply([web]);
        Assert.Equal(["127.0.0.1:80", "127.0.0.2:80"], web.Backends.Select(static b => b.Address));
        Assert.All(web.Backends,
            static b => Assert.Equal(new IPEndPoint(IPAddress.IPv6Loopback, 80), b.Alternate!.EndPoint));
    }

    private NameResolver Resolver(Func<IPAddress[]> lookUp) => new(TimeProvider.System, _log.CreateLogger("test"),
        (_, _) => Task.Run(lookUp));

    private static Upstream Make(params string[] names) => new(new UpstreamConfig
    {
        Name = "web",
        Backends = [.. (names.Length == 0 ? ["app.test"] : names).Select(
            static n => new BackendConfig { Host = n, Port = 80 })],
    }, new MonotonicClock(TimeProvider.System));
}
