using System.Net;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>Duties of RFC 9110 that only an intermediary has.</summary>
public sealed class IntermediaryTests
{
    [Trait("tls", "no")]
    [Fact]
    public async Task Route_to_ourselves_ends_as_508()
    {
        int port = PenstockProcess.FreePort();
        ProxyConfig config = TestProxy.Config(port) with
        {
            Listeners = [new ListenerConfig(new IPEndPoint(IPAddress.Loopback, port), $"127.0.0.1:{port}")],
        };
        await using var proxy = new TestProxy(config);
        RawResponse response = await proxy.GetAsync();
        Assert.Equal(508, response.Status);
        Assert.InRange(proxy.Server.Requests, 1, 12);
    }

    [Fact]
    public async Task Options_with_max_forwards_is_answered_at_zero_and_counted_down_above()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n\r\n");
        RawResponse own = (await client.ReadAsync())!;
        Assert.Equal(200, own.Status);
        Assert.Empty(own.Body);
        Assert.NotNull(own["Allow"]);
        Assert.Empty(backend.Heads);
        await client.SendAsync("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n");
        Assert.Equal("ok", (await client.ReadAsync())!.Text);
        string head = Assert.Single(backend.Heads);
        Assert.StartsWith("OPTIONS * HTTP/1.1\r\n", head);
        Assert.Equal("4", Wire.Field(head, "Max-Forwards"));
    }

    [Theory]
    [InlineData("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n")]
    public async Task Trace_and_connect_are_not_for_a_balancer(string request)
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync(request);
        Assert.Equal(501, (await client.ReadAsync())!.Status);
        Assert.Empty(backend.Heads);
    }

    [Fact]
    public async Task Fields_that_only_look_like_ours_do_not_reach_the_backend()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = TestProxy.To(backend);
        await proxy.GetAsync("/", "X_Forwarded_For: 6.6.6.6\r\nTransfer_Encoding: chunked\r\nmy_own: kept\r\n");
        string head = Assert.Single(backend.Heads);
        Assert.DoesNotContain("6.6.6.6", head);
        Assert.DoesNotContain("Transfer", head);
        Assert.Equal("kept", Wire.Field(head, "my_own"));
    }

    [Fact]
    public async Task Identifier_that_counts_reaches_the_backend_whatever_connection_says()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(TestProxy.Config(backend.Port) with
        {
            Clients = new ClientsConfig { Identify = [new IdentitySource(IdentityKind.Header, "X-API-Key")] },
        });
        proxy.Server.Limiter.Clients.Register("key1", new LimitConfig(10, 1));
        proxy.Server.Limiter.Clients.Register("127.0.0.9", new LimitConfig(10, 1));
        RawResponse response = await proxy.GetAsync("/",
            "X-API-Key: key1\r\nConnection: X-API-Key, X-Other\r\nX-Other: 1\r\n");
        Assert.Equal("\"client\";q=10;w=10", response["RateLimit-Policy"]);
        string head = Assert.Single(backend.Heads);
        Assert.Equal("key1", Wire.Field(head, "X-API-Key"));
        Assert.Null(Wire.Field(head, "X-Other"));

        // A client cannot send a registered address as its key.
        Assert.Null((await proxy.GetAsync("/", "X-API-Key: 127.0.0.9\r\n"))["RateLimit-Policy"]);
    }
}
