using System.Net;
using System.Net.Sockets;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Connections;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Reload;

public sealed class StopTests
{
    [Fact]
    public async Task Graceful_stop_lets_exchanges_end_and_takes_no_new_ones()
    {
        var release = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            await release.Task;
            await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient idle = proxy.Connect();
        using RawClient busy = proxy.Connect();
        await busy.SendAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        await Eventually.TrueAsync(() => backend.Heads.Count == 1 && proxy.Server.OpenConnections == 2, "both are in");

        Task stop = proxy.Server.StopAsync();
        Assert.True(proxy.Server.Stopping);
        Assert.True(await idle.IsEndedAsync());
        Assert.ThrowsAny<SocketException>(() => proxy.Connect());
        Assert.False(stop.IsCompleted);

        release.SetResult();
        RawResponse response = (await busy.ReadAsync())!;
        Assert.Equal("done", response.Text);
        Assert.Equal("close", response["Connection"]);
        Assert.True(await busy.IsEndedAsync());
        await stop.WaitAsync(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task Delay_before_the_drain_serves_new_clients_as_ever_until_it_is_over_or_cut_short()
    {
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Timeouts = config.Timeouts with { DrainDelay = TimeSpan.FromMinutes(10) },
        });
        using var atOnce = new CancellationTokenSource();
        using RawClient kept = proxy.Connect();
        Assert.Equal(200, (await kept.GetAsync()).Status);
        Task stop = proxy.Server.StopAsync(atOnce.Token);
        Assert.True(proxy.Server.Stopping);
        Assert.Null((await kept.GetAsync())["Connection"]);
        Assert.Equal(200, (await proxy.GetAsync()).Status);
        Assert.False(stop.IsCompleted);

        await atOnce.CancelAsync();
        await stop.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.ThrowsAny<SocketException>(() => proxy.Connect());
    }

    [Fact]
    public async Task Delay_before_the_drain_ends_by_itself_and_exchanges_end()
    {
        var release = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            await release.Task;
            await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone");
        });
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Timeouts = config.Timeouts with { DrainDelay = TimeSpan.FromMilliseconds(50) },
        });
        using RawClient idle = proxy.Connect();
        using RawClient busy = proxy.Connect();
        await busy.SendAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        await Eventually.TrueAsync(() => backend.Heads.Count == 1 && proxy.Server.OpenConnections == 2, "both are in");
        Task stop = proxy.Server.StopAsync();
        Assert.True(await idle.IsEndedAsync());
        release.SetResult();
        Assert.Equal("done", (await busy.ReadAsync())!.Text);
        await stop.WaitAsync(TimeSpan.FromSeconds(10));
    }

    [Fact]
    public async Task Reload_and_questions_during_and_after_a_stop_are_rejected_at_once()
    {
        await using var backend = new ScriptedBackend(static async peer => await peer.Reader.ReadToEndAsync());
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Timeouts = config.Timeouts with { Shutdown = TimeSpan.FromMinutes(10) },
        });
        using RawClient client = proxy.Connect();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        await Eventually.TrueAsync(() => backend.Connections == 1, "the backend is asked");
        using var atOnce = new CancellationTokenSource();
        Task stop = proxy.Server.StopAsync(atOnce.Token);
        ProxyStartException error = Assert.Throws<ProxyStartException>(() => proxy.Apply(config with
        {
            Listeners = [.. config.Listeners, config.Listeners[0] with { Text = "another" }],
        }));
        Assert.Equal("Penstock is stopping", error.Message);
        Assert.Single(proxy.Server.EndPoints);
        Assert.NotNull(await proxy.Server.ExplainAsync(new("GET", "a", "/", [], IPAddress.Loopback)));

        await atOnce.CancelAsync();
        await stop.WaitAsync(TimeSpan.FromSeconds(10));
        Assert.Throws<ProxyStartException>(() => proxy.Apply(config));
        await Assert.ThrowsAsync<ProxyStartException>(
            () => proxy.Server.ExplainAsync(new("GET", "a", "/", [], IPAddress.Loopback)));
    }

    [Fact]
    public async Task Listener_on_all_addresses_takes_ipv4_and_ipv6_and_ipv4_alone_where_ipv6_is_off()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(TestProxy.Config(backend.Port) with
        {
            Listeners = [new ListenerConfig(new IPEndPoint(IPAddress.IPv6Any, 0), ":0")],
        });
        int port = ((IPEndPoint)proxy.EndPoint).Port;
        IPAddress[] addresses = Socket.OSSupportsIPv6 ? [IPAddress.Loopback, IPAddress.IPv6Loopback]
            : [IPAddress.Loopback];
        foreach (IPAddress address in addresses)
        {
            using var client = new RawClient(new IPEndPoint(address, port));
            Assert.Equal(200, (await client.GetAsync()).Status);
        }
        Assert.Equal(addresses.Select(static a => a.ToString()),
            backend.Heads.Select(static h => Wire.Field(h, "X-Forwarded-For")));

        using Socket alone = Assert.Single(Listener.BindEach(new IPEndPoint(IPAddress.IPv6Any, 0), 1, ipv6: false));
        Assert.Equal(IPAddress.Any, ((IPEndPoint)alone.LocalEndPoint!).Address);
    }

    [Fact]
    public async Task Stop_cuts_what_is_not_done_at_the_end_of_the_drain()
    {
        await using var backend = new ScriptedBackend(static async peer => await peer.Reader.ReadToEndAsync());
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Timeouts = config.Timeouts with { Shutdown = TimeSpan.FromMilliseconds(100) },
        });
        using RawClient client = proxy.Connect();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        await Eventually.TrueAsync(() => backend.Heads.IsEmpty && backend.Connections == 1, "the backend is asked");
        await proxy.Server.StopAsync().WaitAsync(TimeSpan.FromSeconds(5));
        Assert.True(await client.IsEndedAsync());
        Assert.Contains(proxy.Log.Lines, static l =>
            l.EndsWith("closing busy connections: 1", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Start_on_a_taken_address_says_so()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var first = TestProxy.To(backend);
        ProxyConfig config = TestProxy.Config(backend.Port) with
        {
            Listeners = [new ListenerConfig(first.EndPoint, first.EndPoint.ToString()!)],
        };
        await using var second = new ProxyServer(config, new LogLines());
        ProxyStartException error = Assert.Throws<ProxyStartException>(() => second.Start());
        Assert.StartsWith($"cannot listen on {first.EndPoint}: another program listens there", error.Message);
    }
}
