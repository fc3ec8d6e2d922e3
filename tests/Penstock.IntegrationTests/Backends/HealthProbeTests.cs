using System.Net;
using System.Net.Sockets;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Health;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Tls;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Backends;

/// <summary>One check of one backend, over a real socket.</summary>
public sealed class HealthProbeTests
{
    private static readonly HealthCheckConfig Get = new() { Path = "/health" };

    private readonly ManualTime _time = new();

    [Fact]
    public async Task Request_is_as_configured()
    {
        await using var backend = ScriptedBackend.Always("ok");
        CheckResult result = await CheckAsync(backend.Port, Get with
        {
            Path = "/up?x=1", Method = "OPTIONS", Fields = [new("Host", "app.internal"), new("X-Key", "a b")],
        });
        Assert.Equal(CheckResult.Passed, result);
        string head = Assert.Single(backend.Heads);
        Assert.StartsWith("OPTIONS /up?x=1 HTTP/1.1\r\n", head, StringComparison.Ordinal);
        Assert.Equal(("app.internal", "a b", "penstock-health-check"),
            (Wire.Field(head, "Host"), Wire.Field(head, "X-Key"), Wire.Field(head, "User-Agent")));
    }

    [Theory]
    [InlineData(200, null)]
    [InlineData(302, null)]
    [InlineData(399, null)]
    [InlineData(400, "status 400 for /health")]
    [InlineData(503, "status 503 for /health")]
    public async Task Default_expects_success_or_a_redirection(int status, string? cause)
    {
        await using var backend = ScriptedBackend.Answer(_ => $"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        Assert.Equal(cause, (await CheckAsync(backend.Port, Get)).Cause);
    }

    [Theory]
    [InlineData(204, null)]
    [InlineData(401, null)]
    [InlineData(200, "status 200 for /health")]
    public async Task Expected_statuses_are_those_configured(int status, string? cause)
    {
        await using var backend = ScriptedBackend.Answer(_ => $"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        Assert.Equal(cause,
            (await CheckAsync(backend.Port, Get with { ExpectStatus = [new(201, 299), new(401, 401)] })).Cause);
    }

    /// <summary>Wherever the text stands in the body, also over the edge of two packets, up to the bound.</summary>
    [Theory]
    [InlineData(0, true)]
    [InlineData(30_000, true)]
    [InlineData((64 * 1024) - 5, true)]
    [InlineData((64 * 1024) - 4, false)]
    [InlineData(90_000, false)]
    public async Task Expected_text_is_looked_for_in_the_first_64_KiB(int at, bool found)
    {
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + new string('.', at) + "all");
            await peer.SendAsync("ok" + new string('.', 100_000 - at - 5));
        });
        CheckResult result = await CheckAsync(backend.Port, Get with { ExpectBody = "allok" });
        Assert.Equal(found ? null : "the body does not contain 'allok'", result.Cause);
    }

    [Fact]
    public async Task Timeout_holds_for_the_body_too()
    {
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
            await peer.ReadHeadAsync();
        });
        Assert.Equal(CheckResult.Failed("no response in 1000 ms"),
            await WhileTimePassesAsync(CheckAsync(backend.Port, Get with { ExpectBody = "ok" })));
    }

    [Fact]
    public async Task Time_in_which_we_did_not_run_does_not_count()
    {
        var asked = new TaskCompletionSource();
        var answer = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            asked.SetResult();
            await answer.Task;
            await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        });
        Task<CheckResult> check = CheckAsync(backend.Port, Get);
        await asked.Task;
        _time.Advance(TimeSpan.FromSeconds(10)); // stopped by a signal: the timer of 1 s fires 9 s late
        answer.SetResult();
        Assert.Equal(CheckResult.Passed, await check);
    }

    [Fact]
    public async Task Backend_that_never_answers_fails_also_after_a_delay_of_our_own()
    {
        await using var backend = new ScriptedBackend(static peer => peer.ReadHeadAsync().ContinueWith(
            _ => peer.ReadHeadAsync(), TaskScheduler.Default).Unwrap());
        Task<CheckResult> check = CheckAsync(backend.Port, Get);
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(CheckResult.Failed("no response in 1000 ms"), await WhileTimePassesAsync(check));
    }

    [Fact]
    public async Task Tcp_check_only_connects()
    {
        await using var backend = ScriptedBackend.Always("ok");
        Assert.Equal(CheckResult.Passed, await CheckAsync(backend.Port, new HealthCheckConfig()));
        Assert.Empty(backend.Heads);
    }

    [Theory]
    [InlineData(1, "/health")]
    [InlineData(2, "/health")]
    [InlineData(1, null)]
    [InlineData(2, null)]
    public async Task Check_begins_with_a_PROXY_header_where_requests_do(int version, string? path)
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        int port = ((IPEndPoint)listener.LocalEndpoint).Port;
        Task<CheckResult> check = CheckAsync(new Backend("web", TestProxy.Backend(port)), Get with { Path = path },
            version);
        using Socket peer = await listener.AcceptSocketAsync(TestContext.Current.CancellationToken);
        byte[] bytes = new byte[1000];
        int count = 0;
        int length = 0;
        IPEndPoint? source = null;
        while (ProxyProtocol.Parse(bytes.AsSpan(0, count), out length, out source) != ParseStatus.Complete)
        {
            count += await peer.ReceiveAsync(bytes.AsMemory(count), TestContext.Current.CancellationToken);
        }
        // Version 2 says LOCAL; version 1 the truth, because not everybody takes UNKNOWN.
        Assert.Equal(version == 1 ? peer.RemoteEndPoint : null, source);
        if (path is not null)
        {
            while (!bytes.AsSpan(0, count).EndsWith("\r\n\r\n"u8))
            {
                count += await peer.ReceiveAsync(bytes.AsMemory(count), TestContext.Current.CancellationToken);
            }
            Assert.StartsWith("GET /health HTTP/1.1\r\n", Encoding.ASCII.GetString(bytes, length, count - length));
            await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"u8.ToArray());
        }
        Assert.Equal(CheckResult.Passed, await check);
    }

    [Theory]
    [InlineData("/a/../h/%2e/x")]
    [InlineData("/a//b/./c?x=%2F&y=a|b")]
    [InlineData("/%zz\\")]
    public async Task Path_is_sent_as_it_was_written(string path)
    {
        await using var backend = ScriptedBackend.Always("ok");
        Assert.Equal(CheckResult.Passed, await CheckAsync(backend.Port, Get with { Path = path }));
        Assert.StartsWith($"GET {path} HTTP/1.1\r\n", Assert.Single(backend.Heads), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("127.0.0.1", null, "127.0.0.1:{0}")]
    [InlineData("127.0.0.1", "localhost:{0}", "localhost:{0}")]
    [InlineData("127.0.0.1", "my_app.internal:80", "my_app.internal")]
    [InlineData("::1", null, "[::1]:{0}")]
    public async Task Host_is_the_backend_as_it_was_written(string address, string? name, string host)
    {
        await using var backend = new ScriptedBackend(static async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }, IPAddress.Parse(address));
        string Filled(string text) => text.Replace("{0}", $"{backend.Port}", StringComparison.Ordinal);
        var config = new BackendConfig { Host = address, Port = backend.Port };
        Assert.Equal(CheckResult.Passed,
            await CheckAsync(new Backend("web", config, name: name is null ? null : Filled(name)), Get));
        Assert.Equal(Filled(host), Wire.Field(Assert.Single(backend.Heads), "Host"));
    }

    [Fact]
    public async Task Unix_socket_is_asked_as_localhost()
    {
        string path = Path.Combine(Path.GetTempPath(), $"penstock-{Guid.NewGuid():n}.sock");
        using var listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        listener.Bind(new UnixDomainSocketEndPoint(path));
        listener.Listen();
        Task<CheckResult> check = CheckAsync(new Backend("web", new BackendConfig { Host = path, Port = 0 }), Get, 1);
        using Socket peer = await listener.AcceptAsync(TestContext.Current.CancellationToken);
        using var wire = new NetworkStream(peer);
        var reader = new Wire(wire);
        string head = (await reader.ReadHeadAsync())!;
        Assert.StartsWith("PROXY UNKNOWN\r\nGET /health HTTP/1.1\r\n", head, StringComparison.Ordinal);
        Assert.Equal("localhost", Wire.Field(head, "Host"));
        await wire.WriteAsync("HTTP/1.1 204 X\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
        Assert.Equal(CheckResult.Passed, await check);
        File.Delete(path);
    }

    /// <summary>A response that would be a 502 for a request fails the check.</summary>
    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", "invalid response")]
    [InlineData("HTTP/1.1 200 OK\r\nX : a\r\n\r\n", "invalid response")]
    [InlineData("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello", null)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", null)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhell", "connection closed")]
    [InlineData("HTTP/1.1 200", "connection closed")]
    public async Task Answer_is_read_as_requests_read_it(string bytes, string? cause)
    {
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.SendAsync(bytes);
        });
        Assert.Equal(cause, (await CheckAsync(backend.Port, Get with { ExpectBody = "hello" })).Cause);
    }

    [Fact]
    public async Task Server_that_listens_on_the_names_other_address_only_is_well()
    {
        var backend = new ScriptedBackend(static async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        }, IPAddress.IPv6Loopback);
        var both = new Backend("web", TestProxy.Backend(backend.Port), name: $"localhost:{backend.Port}")
        {
            Alternate = new BackendAddress(new IPEndPoint(IPAddress.IPv6Loopback, backend.Port)),
        };
        Assert.Equal(CheckResult.Passed, await CheckAsync(both, Get));
        Assert.Equal(both.Alternate, both.AddressesToTry().First);
        await backend.DisposeAsync();
        Assert.Equal(CheckResult.Failed("connection refused"), await CheckAsync(both, Get));
    }

    [Fact]
    public async Task Refused_connection_is_told_as_such()
    {
        int port;
        using (var listener = new TcpListener(IPAddress.Loopback, 0))
        {
            listener.Start();
            port = ((IPEndPoint)listener.LocalEndpoint).Port;
        }
        Assert.Equal(CheckResult.Failed("connection refused"), await CheckAsync(port, Get));
        Assert.Equal(CheckResult.Failed("connection refused"), await CheckAsync(port, new HealthCheckConfig()));
    }

    [Theory]
    [InlineData(SocketError.TooManyOpenSockets, (int)CheckVerdict.Inconclusive)]
    [InlineData(SocketError.AddressNotAvailable, (int)CheckVerdict.Inconclusive)]
    [InlineData(SocketError.NoBufferSpaceAvailable, (int)CheckVerdict.Inconclusive)]
    [InlineData(SocketError.ConnectionReset, (int)CheckVerdict.Failed)]
    [InlineData(SocketError.HostUnreachable, (int)CheckVerdict.Failed)]
    public void Want_of_our_own_means_says_nothing_of_the_backend(SocketError error, int verdict) =>
        Assert.Equal((CheckVerdict)verdict, HealthProbe.Judge(new SocketException((int)error)).Verdict);

    private Task<CheckResult> CheckAsync(int port, HealthCheckConfig check) =>
        CheckAsync(new Backend("web", TestProxy.Backend(port)), check);

    private async Task<CheckResult> CheckAsync(Backend backend, HealthCheckConfig check, int proxyProtocol = 0)
    {
        if (TestTls.IsSecured(backend.Config.Port))
        {
            backend.Tls = new TlsClient(TestTls.ToBackends);
        }
        using var selfDelay = new SelfDelay(_time);
        var probe = new HealthProbe(backend, check, _time, selfDelay) { ProxyProtocolVersion = proxyProtocol };
        return await probe.RunAsync(TestContext.Current.CancellationToken);
    }

    private async Task<CheckResult> WhileTimePassesAsync(Task<CheckResult> check)
    {
        await Eventually.TrueAsync(
            () =>
            {
                _time.Advance(TimeSpan.FromMilliseconds(50));
                return check.IsCompleted;
            }, "the check ends");
        return await check;
    }
}
