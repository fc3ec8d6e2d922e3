using System.Net;
using System.Net.Sockets;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Reload;

/// <summary>A configuration is replaced while traffic flows.</summary>
public sealed class ReloadTests
{
    [Fact]
    public async Task Kept_connection_goes_by_the_configuration_in_force_when_its_next_request_comes()
    {
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = TestProxy.Config(backend.Port);
        ClientsConfig trusting = config.Clients with { TrustedProxies = [IPNetwork.Parse("127.0.0.0/8")] };
        await using var proxy = new TestProxy(config);
        using RawClient client = proxy.Connect();
        Assert.Equal("ok", (await client.GetAsync("/", "X-Forwarded-For: 192.0.2.1\r\n")).Text);
        proxy.Apply(config with { Clients = trusting });
        Assert.Equal("ok", (await client.GetAsync("/", "X-Forwarded-For: 192.0.2.1\r\n")).Text);
        Assert.Equal(["127.0.0.1", "192.0.2.1, 127.0.0.1"],
            backend.Heads.Select(static h => Wire.Field(h, "X-Forwarded-For")));
        proxy.Apply(config with { Routes = [] });
        Assert.Equal(404, (await client.GetAsync()).Status);
    }

    [Fact]
    public async Task Thousand_reloads_under_load_fail_no_request_and_leave_nothing_behind()
    {
        await using var first = ScriptedBackend.Always("first");
        await using var second = ScriptedBackend.Always("second");
        ProxyConfig one = TestProxy.Config(first.Port);
        ProxyConfig two = TestProxy.Config(first.Port, second.Port);
        await using var proxy = new TestProxy(one);
        await using var load = new LoadRun(proxy.Url, clients: 8);
        await load.MoreAsync(100);
        for (int i = 0; i < 1000; i++)
        {
            Assert.Empty(proxy.Apply(i % 2 == 0 ? two : one));
            if (i % 50 == 0)
            {
                await load.MoreAsync(10);
            }
        }
        proxy.Apply(two);
        await load.MoreAsync(20, "second");
        await load.StopAsync();
        load.HadOnly(200);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Backend_that_is_down_stays_down_and_weights_and_slow_start_go_on()
    {
        await using var well = ScriptedBackend.Always("well");
        ProxyConfig config = TestProxy.Config(well.Port, FreePort()) with { };
        UpstreamConfig web = config.Upstreams[0] with
        {
            SlowStart = TimeSpan.FromMinutes(10),
            HealthCheck = new HealthCheckConfig { Path = "/", Interval = TimeSpan.FromMilliseconds(50), Fall = 1 },
        };
        await using var proxy = new TestProxy(config with { Upstreams = [web] });
        string down = web.Backends[1].Address;
        string up = web.Backends[0].Address;
        await Eventually.TrueAsync(() => Status(proxy, down).Health == BackendHealth.Down, "it is down");
        proxy.Server.SetBackend("web", up, BackendState.Maintenance, 9);
        proxy.Server.SetBackend("web", up, BackendState.Ready, null);
        Assert.InRange(Status(proxy, up).SlowStart, 0.1, 0.2);
        BackendStatus before = Status(proxy, down);

        proxy.Apply(config with { Upstreams = [web with { Balance = BalanceAlgorithm.LeastConnections }] });

        Assert.Equal(before.ChangedAt, Status(proxy, down).ChangedAt);
        Assert.Equal(BackendHealth.Down, Status(proxy, down).Health);
        Assert.Equal((9, BackendState.Ready), (Status(proxy, up).Weight, Status(proxy, up).State));
        Assert.InRange(Status(proxy, up).SlowStart, 0.1, 0.2);
        for (int i = 0; i < 10; i++)
        {
            Assert.Equal("well", (await proxy.GetAsync()).Text);
        }
    }

    [Fact]
    public async Task Listener_that_is_new_opens_one_that_is_gone_closes_and_an_exchange_under_way_ends()
    {
        var release = new TaskCompletionSource();
        await using var backend = ScriptedBackend.OkAfter(release.Task);
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config);
        EndPoint old = proxy.EndPoint;
        Task<RawResponse> underWay = proxy.GetAsync();
        await Eventually.TrueAsync(() => backend.Heads.Count == 1, "a request is under way");

        var moved = new ListenerConfig(new IPEndPoint(IPAddress.Loopback, FreePort()), "moved");
        proxy.Apply(config with { Listeners = [moved] });
        release.SetResult();
        Assert.Equal("ok", (await underWay).Text);
        using (var client = new RawClient(moved.Address))
        {
            Assert.Equal("ok", (await client.GetAsync()).Text);
        }
        await Eventually.TrueAsync(() => IsClosed(old), "the old listener is closed");
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Listener_that_cannot_be_had_changes_nothing()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var other = ScriptedBackend.Always("other");
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config);
        var taken = new ListenerConfig(new IPEndPoint(IPAddress.Loopback, backend.Port), "taken");
        ProxyConfig bad = TestProxy.Config(other.Port) with { Listeners = [.. config.Listeners, taken] };
        Assert.Throws<ProxyStartException>(() => proxy.Apply(bad));
        Assert.Equal("ok", (await proxy.GetAsync()).Text);
        Assert.Single(proxy.Server.EndPoints);
    }

    [Fact]
    public async Task Limit_that_changes_keeps_the_tokens_that_are_taken()
    {
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = TestProxy.Config(backend.Port) with { Limits = Limit(10) };
        await using var proxy = new TestProxy(config);
        for (int i = 0; i < 8; i++)
        {
            Assert.Equal(200, (await proxy.GetAsync()).Status);
        }
        proxy.Apply(config with { Limits = Limit(5) });
        Assert.Equal([200, 200, 429], await StatusesAsync(proxy, 3)); // two of ten were left
        proxy.Apply(config with { Limits = Limit(100) });
        Assert.Equal([429, 429], await StatusesAsync(proxy, 2)); // more room is no refill
        proxy.Apply(config with { Limits = new Dictionary<string, LimitConfig>() });
        Assert.Equal([200, 200], await StatusesAsync(proxy, 2));
    }

    private static Dictionary<string, LimitConfig> Limit(int capacity) =>
        new() { ["default"] = new LimitConfig(capacity, 0.0001) };

    private static async Task<List<int>> StatusesAsync(TestProxy proxy, int count)
    {
        List<int> statuses = [];
        for (int i = 0; i < count; i++)
        {
            statuses.Add((await proxy.GetAsync()).Status);
        }
        return statuses;
    }

    private static BackendStatus Status(TestProxy proxy, string address) =>
        proxy.Server.Upstreams()[0].Backends.Single(b => b.Address == address);

    private static bool IsClosed(EndPoint endPoint)
    {
        try
        {
            new RawClient(endPoint).Dispose();
            return false;
        }
        catch (SocketException)
        {
            return true;
        }
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}
