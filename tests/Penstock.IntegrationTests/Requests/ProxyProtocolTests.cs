using System.Collections.Concurrent;
using System.Net;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>The client's address in a PROXY header, from the proxy in front and to the backend.</summary>
public sealed class ProxyProtocolTests
{
    private static ProxyConfig Behind(int port, string trusted)
    {
        ProxyConfig config = TestProxy.Config(port);
        return config with
        {
            Listeners = [config.Listeners[0] with { ProxyProtocol = true }],
            Clients = new ClientsConfig { TrustedProxies = [IPNetwork.Parse(trusted)] },
            Limits = new Dictionary<string, LimitConfig> { ["default"] = new(2, 0.001) },
        };
    }

    [Fact]
    public async Task Header_decides_who_is_limited_and_which_address_the_backend_gets()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Behind(backend.Port, "127.0.0.0/8"));
        foreach (string header in new[]
        {
            "PROXY TCP4 192.0.2.1 198.51.100.7 56324 443\r\n",
            "\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xc0\0\x02\x02\xc6\x33\x64\x07\xdc\x04\x01\xbb",
        })
        {
            using RawClient client = proxy.Connect();
            await client.SendAsync(header);
            Assert.Equal(200, (await client.GetAsync("/", "X-Forwarded-For: 6.6.6.6\r\n")).Status);
            Assert.Equal(200, (await client.GetAsync()).Status);
            Assert.Equal(429, (await client.GetAsync()).Status);
        }
        string[] told = [.. backend.Heads.Select(static h => Wire.Field(h, "X-Forwarded-For")!)];
        Assert.Equal(["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2"], told);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("PROXY TCP4 1.2.3 4.5.6.7 1 2\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n")]
    public async Task Connection_without_a_valid_header_is_closed(string bytes)
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Behind(backend.Port, "127.0.0.0/8"));
        using RawClient client = proxy.Connect();
        await client.SendAsync(bytes);
        Assert.True(await client.IsEndedAsync());
        Assert.Empty(backend.Heads);
    }

    [Fact]
    public async Task Stranger_may_not_speak_it()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Behind(backend.Port, "10.0.0.0/8"));
        using RawClient client = proxy.Connect();
        Assert.True(await client.IsEndedAsync());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Backend_behind_another_Penstock_sees_the_first_client(int version)
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var inner = new TestProxy(Behind(backend.Port, "127.0.0.0/8") with
        {
            Limits = new Dictionary<string, LimitConfig>(),
        });
        ProxyConfig outer = Behind(((IPEndPoint)inner.EndPoint).Port, "127.0.0.0/8");
        await using var proxy = new TestProxy(outer with
        {
            Upstreams = [outer.Upstreams[0] with { SendProxyVersion = version }],
            Limits = new Dictionary<string, LimitConfig>(),
        });
        foreach (int last in (int[])[1, 2, 3])
        {
            using RawClient client = proxy.Connect();
            await client.SendAsync($"PROXY TCP4 192.0.2.{last} 198.51.100.7 56324 443\r\n");
            Assert.Equal(200, (await client.GetAsync()).Status);
            Assert.Equal(200, (await client.GetAsync()).Status);
        }
        Assert.Equal(["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.2", "192.0.2.3", "192.0.2.3"],
            backend.Heads.Select(static h => Wire.Field(h, "X-Forwarded-For")!));
        await proxy.AssertQuietAsync();
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(0, 1)]
    [InlineData(1, 1)]
    [Trait("tls", "no")] // the backend reads the header behind the handshake
    public async Task Connection_that_named_a_client_carries_no_other_request_after_a_reload(int before, int after)
    {
        var release = new TaskCompletionSource();
        int connections = 0;
        var seen = new ConcurrentQueue<(int Connection, string Head)>();
        await using var backend = new ScriptedBackend(async peer =>
        {
            int connection = Interlocked.Increment(ref connections);
            while (await peer.ReadHeadAsync() is { } head)
            {
                seen.Enqueue((connection, head));
                await release.Task;
                await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        ProxyConfig config = TestProxy.Config(backend.Port);
        ProxyConfig With(int version) =>
            config with { Upstreams = [config.Upstreams[0] with { SendProxyVersion = version }] };
        await using var proxy = new TestProxy(With(before));

        Task<RawResponse> first = proxy.GetAsync("/first");
        await Eventually.TrueAsync(() => seen.Any(static s => s.Head.Contains("/first")), "the request is there");
        Assert.Empty(proxy.Apply(With(after)));
        release.SetResult();
        Assert.Equal(200, (await first).Status);
        Assert.Equal(200, (await proxy.GetAsync("/second")).Status);
        Assert.Equal(200, (await proxy.GetAsync("/third")).Status);

        foreach (IGrouping<int, (int, string Head)> connection in seen.GroupBy(static s => s.Connection))
        {
            string[] heads = [.. connection.Select(static s => s.Head)];
            bool announces = !heads[0].StartsWith("GET", StringComparison.Ordinal);
            Assert.True(heads.Length == 1 || !announces, string.Join("; ", heads));
            Assert.All(heads.Skip(1), static h => Assert.StartsWith("GET", h, StringComparison.Ordinal));
        }
        string second = seen.First(static s => s.Head.Contains("/second")).Head;
        Assert.Equal(after > 0, !second.StartsWith("GET ", StringComparison.Ordinal));
        await proxy.AssertQuietAsync();
    }
}
