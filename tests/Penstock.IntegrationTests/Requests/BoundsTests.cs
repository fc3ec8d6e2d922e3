using System.Net;
using System.Net.Sockets;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>Every bound on what a client may send or hold.</summary>
public sealed class BoundsTests
{
    private static TestProxy Bounded(ScriptedBackend backend, BoundsConfig bounds) =>
        new(TestProxy.Config(backend.Port) with { Bounds = bounds });

    [Theory]
    [InlineData(414, "GET /%LONG% HTTP/1.1\r\nHost: a\r\n\r\n")]
    [InlineData(431, "GET / HTTP/1.1\r\nHost: a\r\nX: %LONG%\r\n\r\n")]
    [InlineData(431, "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 1\r\nC: 1\r\nD: 1\r\nE: 1\r\n\r\n")]
    public async Task Head_beyond_its_bounds_is_rejected(int status, string request)
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using TestProxy proxy = Bounded(backend,
            new BoundsConfig { RequestLineBytes = 500, HeadBytes = 1000, HeadFields = 5 });
        using RawClient client = proxy.Connect();
        Assert.Equal(200, (await client.GetAsync()).Status);
        await client.SendAsync(request.Replace("%LONG%", new string('x', status == 414 ? 600 : 1100),
            StringComparison.Ordinal));
        Assert.Equal(status, (await client.ReadAsync())!.Status);
        Assert.True(await client.IsEndedAsync());
        Assert.Single(backend.Heads);
    }

    [Fact]
    public async Task Response_head_beyond_its_bounds_is_a_502()
    {
        await using var backend = ScriptedBackend.Always("ok", $"X: {new string('x', 2000)}\r\n");
        await using TestProxy proxy = Bounded(backend, new BoundsConfig { HeadBytes = 1000 });
        Assert.Equal(502, (await proxy.GetAsync()).Status);
    }

    [Fact]
    public async Task Large_heads_pass_when_the_bound_lets_them()
    {
        string large = new('x', 60_000);
        await using var backend = ScriptedBackend.Always("ok", $"X: {large}\r\n");
        await using TestProxy proxy = Bounded(backend, new BoundsConfig { HeadBytes = 64 * 1024 });
        RawResponse response = await proxy.GetAsync("/", $"Y: {large}\r\n");
        Assert.Equal(large, response["X"]);
        Assert.Equal(large, Wire.Field(Assert.Single(backend.Heads), "Y"));
        await proxy.AssertQuietAsync();
    }

    [Theory]
    [InlineData("Content-Length: 1001\r\n\r\n", "")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n", "3e9\r\n%1001%\r\n0\r\n\r\n")]
    [InlineData("Transfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n%MANY%")]
    public async Task Body_beyond_its_bound_is_a_413_and_is_never_whole_at_the_backend(string framing, string body)
    {
        bool whole = false;
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            whole = true;
        });
        await using TestProxy proxy = Bounded(backend, new BoundsConfig { BodyBytes = 1000 });
        using RawClient client = proxy.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\n" + framing);
        await client.SendAsync(body.Replace("%1001%", new string('x', 1001), StringComparison.Ordinal)
            .Replace("%MANY%", string.Concat(Enumerable.Repeat("64\r\n" + new string('x', 100) + "\r\n", 11)),
                StringComparison.Ordinal));
        RawResponse response = (await client.ReadAsync())!;
        Assert.Equal(413, response.Status);
        Assert.Contains("\"fault\":\"body_too_large\"", response.Text);
        Assert.True(await client.IsEndedAsync());
        Assert.False(whole);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Body_of_exactly_its_bound_passes()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using TestProxy proxy = Bounded(backend, new BoundsConfig { BodyBytes = 1000 });
        using RawClient client = proxy.Connect();
        string body = new('x', 1000);
        await client.SendAsync($"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n{body}");
        Assert.Equal(200, (await client.ReadAsync())!.Status);
        await client.SendAsync(
            $"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n{body}\r\n0\r\n\r\n");
        Assert.Equal(200, (await client.ReadAsync())!.Status);
    }

    [Fact]
    public async Task Connection_closes_after_its_last_request()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using TestProxy proxy = Bounded(backend, new BoundsConfig { RequestsPerConnection = 3 });
        using RawClient client = proxy.Connect();
        Assert.Null((await client.GetAsync())["Connection"]);
        Assert.Null((await client.GetAsync())["Connection"]);
        Assert.Equal("close", (await client.GetAsync())["Connection"]);
        Assert.True(await client.IsEndedAsync());
    }

    [Trait("tls", "no")]
    [Fact]
    public async Task Connections_of_one_address_are_bounded_and_freed()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using TestProxy proxy = Bounded(backend, new BoundsConfig { ConnectionsPerAddress = 2 });
        using RawClient first = proxy.Connect();
        using (RawClient second = proxy.Connect())
        {
            Assert.Equal(200, (await first.GetAsync()).Status);
            Assert.Equal(200, (await second.GetAsync()).Status);
            using RawClient third = proxy.Connect();
            Assert.True(await third.IsEndedAsync());
        }
        await Eventually.TrueAsync(() => proxy.Server.OpenConnections == 1, "the second is gone");
        Assert.Equal(200, (await proxy.GetAsync()).Status);
    }

    [Fact]
    public async Task Connections_behind_a_proxy_count_by_the_address_that_it_tells_and_ipv6_by_network()
    {
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Listeners = [config.Listeners[0] with { ProxyProtocol = true }],
            Clients = new ClientsConfig { TrustedProxies = [IPNetwork.Parse("127.0.0.0/8")] },
            Bounds = new BoundsConfig { ConnectionsPerAddress = 2 },
        });
        string[] told =
        [
            "TCP4 192.0.2.1 198.51.100.7 1 443", "TCP4 192.0.2.1 198.51.100.7 2 443",
            "TCP4 192.0.2.2 198.51.100.7 3 443", "TCP6 2001:db8::1 2001:db8::7 4 443",
            "TCP6 2001:db8::ffff 2001:db8::7 5 443", "TCP6 2001:db8:0:1::1 2001:db8::7 6 443", "UNKNOWN", "UNKNOWN",
            "UNKNOWN",
        ];
        List<RawClient> inside = [];
        foreach (string header in told)
        {
            inside.Add(proxy.Connect());
            await inside[^1].SendAsync($"PROXY {header}\r\n");
            Assert.Equal(200, (await inside[^1].GetAsync()).Status);
        }
        foreach (string header in new[] { told[0], told[3] })
        {
            using RawClient oneTooMany = proxy.Connect();
            await oneTooMany.SendAsync($"PROXY {header}\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
            Assert.True(await oneTooMany.IsEndedAsync());
        }
        inside[0].Dispose();
        await Eventually.TrueAsync(() => proxy.Server.OpenConnections == told.Length - 1, "one is gone");
        using RawClient next = proxy.Connect();
        await next.SendAsync($"PROXY {told[0]}\r\n");
        Assert.Equal(200, (await next.GetAsync()).Status);
        inside.ForEach(static c => c.Dispose());
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Head_of_64_KiB_that_is_one_host_reaches_the_backend()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using TestProxy proxy = Bounded(backend, new BoundsConfig { HeadBytes = 64 * 1024 });
        string host = new('h', 65_000);
        using RawClient client = proxy.Connect();
        for (int i = 0; i < 2; i++)
        {
            await client.SendAsync($"POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 5\r\n\r\nhello");
            Assert.Equal("ok", (await client.ReadAsync())!.Text);
        }
        Assert.All(backend.Heads, h => Assert.Equal(host, Wire.Field(h, "Host")));
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Fields_of_the_operator_may_be_as_long_as_they_like()
    {
        HeaderField[] many = [.. Enumerable.Range(0, 40)
            .Select(static i => new HeaderField($"X-{i}", new string('v', 4000)))];
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Routes = [config.Routes[0] with
            {
                RequestHeaders = new HeaderEditsConfig { Set = [.. many] },
                ResponseHeaders = new HeaderEditsConfig { Set = [.. many] },
            }],
        });
        RawResponse response = await proxy.GetAsync();
        Assert.Equal("ok", response.Text);
        Assert.Equal(4000, response["X-39"]!.Length);
        Assert.Equal(4000, Wire.Field(backend.Heads.Single(), "X-39")!.Length);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Long_head_that_begins_in_the_middle_of_a_full_buffer_is_read()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using TestProxy proxy = Bounded(backend, new BoundsConfig { HeadBytes = 64 * 1024 });
        using RawClient client = proxy.Connect();
        await Eventually.TrueAsync(() => proxy.Server.OpenConnections == 1, "it is in");
        static string Request(int length) =>
            $"GET /{length} HTTP/1.1\r\nHost: a\r\nX-Long: {new string('x', length)}\r\n\r\n";
        string bytes = Request(28_000) + Request(60_000) + Request(10);
        using (await proxy.HoldLoopAsync())
        {
            await client.SendAsync(bytes[..70_000]);
        }
        Assert.Equal("ok", (await client.ReadAsync())!.Text);
        await client.SendAsync(bytes[70_000..]);
        Assert.Equal("ok", (await client.ReadAsync())!.Text);
        Assert.Equal("ok", (await client.ReadAsync())!.Text);
        await proxy.AssertQuietAsync();
    }

    [Trait("tls", "no")]
    [Fact]
    public async Task Connections_beyond_the_bound_wait_until_one_is_gone()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using TestProxy proxy = Bounded(backend, new BoundsConfig { Connections = 2 });
        RawClient first = proxy.Connect();
        using RawClient second = proxy.Connect();
        Assert.Equal(200, (await first.GetAsync()).Status);
        Assert.Equal(200, (await second.GetAsync()).Status);
        using RawClient third = proxy.Connect(); // the kernel takes it, Penstock not yet
        Task<RawResponse> waiting = third.GetAsync();
        await Task.Delay(250);
        Assert.False(waiting.IsCompleted);
        Assert.Equal(2, proxy.Server.OpenConnections);
        first.Dispose();
        Assert.Equal(200, (await waiting.WaitAsync(TimeSpan.FromSeconds(5))).Status);
        Assert.Single(proxy.Log.Lines, static l => l.StartsWith("accepting pauses", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Body_that_drips_below_the_least_rate_is_a_408()
    {
        await using var backend = new ScriptedBackend(static async peer => await peer.ReadRequestAsync());
        await using TestProxy proxy = Bounded(backend, new BoundsConfig { BodyMinBytesPerSecond = 1_000_000 });
        using RawClient client = proxy.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
        using var stop = new CancellationTokenSource();
        Task drip = Task.Run(async () =>
        {
            try
            {
                while (!stop.IsCancellationRequested)
                {
                    await client.SendAsync("x");
                    await Task.Delay(200);
                }
            }
            catch (Exception e) when (e is IOException or SocketException)
            {
                // Cut off, as it should be.
            }
        });
        RawResponse response = (await client.ReadAsync())!;
        await stop.CancelAsync();
        await drip;
        Assert.Equal(408, response.Status);
    }
}
