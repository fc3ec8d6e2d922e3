using System.Net;
using System.Net.Sockets;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Health;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Backends;

/// <summary>Checks that start, stop and change while they run.</summary>
public sealed class HealthCheckerTests : IAsyncDisposable
{
    private static readonly HealthCheckConfig Slow = new()
    {
        Path = "/health", Interval = TimeSpan.FromHours(1), FastInterval = TimeSpan.FromHours(1), Fall = 2, Rise = 2,
    };

    // Waits are longer or shorter by a tenth.
    private static readonly TimeSpan LongerThanSlow = TimeSpan.FromMinutes(67);
    private static readonly TimeSpan LongerThanAMinute = TimeSpan.FromSeconds(67);

    private readonly ManualTime _time = new();
    private readonly LogLines _log = new();
    private readonly HealthChecker _checker;
    private readonly ScriptedBackend _server;
    private readonly Upstream _upstream;
    private readonly Backend _backend;
    private volatile bool _well = true;

    public HealthCheckerTests()
    {
        _server = ScriptedBackend.Answer(_ => _well ? "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
            : "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
        _upstream = new Upstream(Config(null, _server.Port), new MonotonicClock(_time));
        _backend = _upstream.Backends[0];
        _checker = new HealthChecker(_time, _log);
    }

    public async ValueTask DisposeAsync()
    {
        await _checker.DisposeAsync();
        await _server.DisposeAsync();
        Assert.Empty(_log.Errors);
    }

    [Theory]
    [InlineData(InitialHealth.Check, BackendHealth.Unknown, 1)]
    [InlineData(InitialHealth.Up, BackendHealth.Up, 2)]
    public async Task Initial_health_holds_until_checks_say_otherwise(InitialHealth initial, BackendHealth before,
        int checks)
    {
        _well = false;
        Apply(Slow with { Initial = initial });
        if (initial != InitialHealth.Check)
        {
            Assert.Equal(before, _backend.Health.Health); // two checks an hour apart are needed to change it
        }
        await ChecksAsync(checks);
        await HealthAsync(BackendHealth.Down);
        Assert.Equal(checks, _server.Heads.Count);
    }

    [Fact]
    public async Task Initially_down_backend_is_not_used_before_it_has_passed_its_checks()
    {
        Apply(Slow with { Initial = InitialHealth.Down });
        Assert.Equal((BackendHealth.Down, "not checked yet"), (_backend.Health.Health, _backend.Health.Cause));
        await ChecksAsync(2);
        await HealthAsync(BackendHealth.Up);
        Assert.Equal(2, _server.Heads.Count);
    }

    [Fact]
    public async Task Equal_settings_keep_the_streak()
    {
        Apply(Slow);
        await HealthAsync(BackendHealth.Up);
        _well = false;
        await ChecksAsync(2); // one has failed
        Apply(Slow with { Path = "/health" });
        await ChecksAsync(3);
        await HealthAsync(BackendHealth.Down);
        Assert.Equal(3, _server.Heads.Count);
    }

    [Fact]
    public async Task New_settings_keep_the_health_and_begin_a_new_streak()
    {
        _well = false;
        Apply(Slow);
        await HealthAsync(BackendHealth.Down);
        _well = true;
        Apply(Slow with { Path = "/new", Rise = 3 });
        Assert.Equal(BackendHealth.Down, _backend.Health.Health);
        await ChecksAsync(4);
        await HealthAsync(BackendHealth.Up);
        Assert.Equal(4, _server.Heads.Count);
        Assert.Contains(_log.Lines, static l => l.Contains("3 of 3 checks passed", StringComparison.Ordinal));
        Assert.StartsWith("GET /new", _server.Heads.Last(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Backend_that_is_no_longer_checked_is_not_left_down()
    {
        _well = false;
        Apply(Slow);
        await HealthAsync(BackendHealth.Down);
        Apply(null);
        Assert.Equal((BackendHealth.Unknown, (string?)null), (_backend.Health.Health, _backend.Health.Cause));
        Assert.Contains("no longer checked", _log.Lines.Last(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Backends_come_and_go()
    {
        await using var second = ScriptedBackend.Always("ok");
        Apply(Slow);
        await ChecksAsync(1);
        Apply(Slow, _server.Port, second.Port);
        Backend added = _upstream.Backends[1];
        await Eventually.TrueAsync(() => added.Health.Health == BackendHealth.Up, "the new backend is up");
        Apply(Slow, second.Port);
        await Eventually.TrueAsync(
            () =>
            {
                _time.Advance(TimeSpan.FromHours(2));
                return second.Heads.Count >= 5;
            }, "the one that stays is checked on");
        Assert.Single(_server.Heads);
    }

    [Fact]
    public async Task Backend_in_trouble_is_checked_faster()
    {
        HealthCheckConfig check = Slow with { FastInterval = TimeSpan.FromMinutes(1) };
        Apply(check);
        await HealthAsync(BackendHealth.Up);
        _well = false;
        await ChecksAsync(2);
        await ChecksAsync(3, step: LongerThanAMinute, most: LongerThanAMinute);
        await HealthAsync(BackendHealth.Down);
        _well = true;
        await ChecksAsync(5, step: LongerThanAMinute, most: LongerThanAMinute * 2);
        await HealthAsync(BackendHealth.Up);
    }

    /// <summary>The hung backends never answer and the clock does not move, so waiting for them would never end.
    /// </summary>
    [Fact]
    public async Task Backends_that_hang_delay_no_other_ones_check()
    {
        using var hung = new TcpListener(IPAddress.Any, 0);
        hung.Start(512);
        int port = ((IPEndPoint)hung.LocalEndpoint).Port;
        var many = new Upstream(TestTls.Apply(new UpstreamConfig
        {
            Name = "many",
            Backends = [.. Enumerable.Range(1, 200)
                .Select(n => TestProxy.Backend(port) with { Host = $"127.0.1.{n}" }),
                TestProxy.Backend(_server.Port)],
            HealthCheck = Slow,
        }), new MonotonicClock(_time));
        _upstream.Apply(Config(Slow, _server.Port));
        _checker.Apply([many, _upstream]);
        await HealthAsync(BackendHealth.Up);
        await Eventually.TrueAsync(() => many.Backends[^1].Health.Health == BackendHealth.Up,
            "so is the one that answers among them");
        Assert.All(many.Backends.SkipLast(1), static b => Assert.Equal(BackendHealth.Unknown, b.Health.Health));
    }

    private static UpstreamConfig Config(HealthCheckConfig? check, params int[] ports) =>
        TestTls.Apply(new UpstreamConfig
        {
            Name = "web", Backends = [.. ports.Select(TestProxy.Backend)], HealthCheck = check,
        });

    private void Apply(HealthCheckConfig? check, params int[] ports)
    {
        _upstream.Apply(Config(check, ports.Length == 0 ? [_server.Port] : ports));
        _checker.Apply([_upstream]);
    }

    /// <summary>Moves the clock past the next check again and again, until this many checks have ended.</summary>
    private async Task ChecksAsync(int count, TimeSpan? step = null, TimeSpan? most = null)
    {
        for (TimeSpan passed = TimeSpan.Zero; ; passed += step ?? LongerThanSlow)
        {
            // Between two checks there is a timer that runs for longer than any check.
            await Eventually.TrueAsync(() => _time.HasTimerBeyond(TimeSpan.FromSeconds(10)), "the check ends");
            if (_server.Heads.Count >= count)
            {
                return;
            }
            Assert.True(most is null || passed < most, $"{_server.Heads.Count} checks in {passed}");
            _time.Advance(step ?? LongerThanSlow);
        }
    }

    private Task HealthAsync(BackendHealth health) =>
        Eventually.TrueAsync(() => _backend.Health.Health == health, $"the backend is {health}");
}
