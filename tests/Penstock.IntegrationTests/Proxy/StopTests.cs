using System.Net.Sockets;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Proxy;

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
        Assert.Contains(proxy.Log.Lines, static l => l.StartsWith("1 connections are cut", StringComparison.Ordinal));
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
        ProxyStartException error = Assert.Throws<ProxyStartException>(second.Start);
        Assert.Equal($"cannot listen on {first.EndPoint}: Address already in use", error.Message);
    }
}
