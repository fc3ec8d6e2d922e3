using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Backends;

/// <summary>The effect of health checks and name resolution on backends.</summary>
public sealed class HealthTests
{
    [Fact]
    public async Task Checks_take_a_backend_out_and_bring_it_back_and_log_each_once()
    {
        bool well = true;
        await using var flapping = ScriptedBackend.Answer(_ => well
            ? "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nflap" : "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
        await using var steady = ScriptedBackend.Always("steady");
        ProxyConfig config = TestProxy.Config(flapping.Port, steady.Port);
        await using var proxy = new TestProxy(config with
        {
            Upstreams =
            [
                config.Upstreams[0] with
                {
                    HealthCheck = new HealthCheckConfig
                    {
                        Path = "/health", Interval = TimeSpan.FromMilliseconds(20), Rise = 3, Fall = 2,
                    },
                },
            ],
        });
        await HealthAsync(proxy, BackendHealth.Up);
        well = false;
        await HealthAsync(proxy, BackendHealth.Down);
        using RawClient client = proxy.Connect();
        for (int i = 0; i < 10; i++)
        {
            Assert.Equal("steady", (await client.GetAsync()).Text);
        }
        well = true;
        await HealthAsync(proxy, BackendHealth.Up);
        Assert.Contains("flap", (await client.GetAsync()).Text + (await client.GetAsync()).Text);
        string name = $"web/127.0.0.1:{flapping.Port}";
        Assert.Equal(
        [
            $"backend {name} is UP: 1 of 1 checks passed, 2 of 2 backends in use",
            $"backend {name} is DOWN: status 500 for /health (2 of 2 checks failed); 1 of 2 backends left",
            $"backend {name} is UP: 3 of 3 checks passed, 2 of 2 backends in use",
        ], proxy.Log.Lines.Where(l => l.Contains(name, StringComparison.Ordinal)));
    }

    [Fact]
    public async Task Backend_name_that_does_not_resolve_is_a_backend_that_is_skipped()
    {
        await using var alive = ScriptedBackend.Always("alive");
        ProxyConfig config = TestProxy.Config(alive.Port);
        await using var proxy = new TestProxy(config with
        {
            Upstreams =
            [
                config.Upstreams[0] with
                {
                    Backends = [new BackendConfig { Host = "no-such.invalid", Port = 80 },
                        .. config.Upstreams[0].Backends],
                },
            ],
        });
        for (int i = 0; i < 4; i++)
        {
            Assert.Equal("alive", (await proxy.GetAsync()).Text);
        }
        Assert.Contains(proxy.Log.Lines, static l => l.Contains("does not resolve", StringComparison.Ordinal));
    }

    private static Task HealthAsync(TestProxy proxy, BackendHealth health) => Eventually.TrueAsync(
        () => proxy.Server.Upstreams()[0].Backends[0].Health == health, $"the backend is {health}");
}
