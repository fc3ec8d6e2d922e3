using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>Clients that close their connection (TCP FIN, not a reset) during a request: in every phase the request
/// ends and releases its resources. And clients that close only their sending side, if the operator allows it.
/// </summary>
public sealed class ClosingClientTests : IDisposable
{
    private const string Get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

    private readonly string _log = Path.GetTempFileName();
    private readonly TaskCompletionSource _release = new();
    private int _gone;

    public void Dispose() => File.Delete(_log);

    [Fact]
    public async Task Request_at_a_silent_backend_ends()
    {
        await using ScriptedBackend backend = Silent();
        await using var proxy = new TestProxy(With(backend.Port));
        await AskAndCloseAsync(proxy, Get, () => backend.Heads.Count == 1);
        await AssertAbortedAsync(proxy, "\"status\":0,");
        await Eventually.TrueAsync(() => _gone == 1, "the backend connection is closed");
    }

    [Fact]
    public async Task Request_that_came_with_its_end_is_not_sent()
    {
        await using ScriptedBackend backend = Silent();
        await using var proxy = new TestProxy(With(backend.Port));
        using RawClient client = proxy.Connect();
        await Eventually.TrueAsync(() => proxy.Server.OpenConnections == 1, "it is in");
        using (await proxy.HoldLoopAsync())
        {
            await client.SendAsync(Get);
            client.ShutdownSend();
        }
        Assert.True(await client.IsEndedAsync());
        await AssertAbortedAsync(proxy);
        Assert.Empty(backend.Heads);
    }

    [Fact]
    public async Task Requests_in_a_row_end_with_the_first()
    {
        await using ScriptedBackend backend = Silent();
        await using var proxy = new TestProxy(With(backend.Port));
        await AskAndCloseAsync(proxy, Get + Get + Get, () => backend.Heads.Count == 1);
        await AssertAbortedAsync(proxy);
        Assert.Single(backend.Heads);
    }

    [Fact]
    public async Task Request_in_the_queue_leaves_it()
    {
        await using ScriptedBackend backend = Silent();
        await using var proxy = new TestProxy(With(Queueing, backend.Port));
        Task<RawResponse> served = proxy.GetAsync("/first");
        await Eventually.TrueAsync(() => backend.Heads.Count == 1, "the first request is served");
        await AskAndCloseAsync(proxy, Get, () => proxy.Server.Upstreams()[0].Queued == 1);
        await Eventually.TrueAsync(() => proxy.Server.Upstreams()[0].Queued == 0, "it has left the queue");
        await Eventually.TrueAsync(() => proxy.Server.OpenConnections == 1, "its connection is closed");
        _release.SetResult();
        Assert.Equal(200, (await served).Status);
        await AssertAbortedAsync(proxy, lines: 2);
        Assert.Single(backend.Heads);
    }

    [Fact]
    public async Task Request_whose_backend_does_not_take_the_connection_ends()
    {
        using FullListener full = await FullListener.StartAsync();
        ProxyConfig config = With(full.Port);
        await using var proxy = new TestProxy(config with
        {
            Timeouts = config.Timeouts with { Connect = TimeSpan.FromMinutes(1) },
        });
        await AskAndCloseAsync(proxy, Get, () => proxy.Server.Upstreams()[0].Backends[0].InFlight == 1);
        await AssertAbortedAsync(proxy);
    }

    [Fact]
    public async Task Request_between_two_tries_is_not_tried_again()
    {
        ScriptedBackend[] dying = [.. Enumerable.Range(0, 12).Select(static _ => new ScriptedBackend(DieAsync))];
        await using (var proxy = new TestProxy(With(static u => u with
        {
            Retries = u.Retries with { Attempts = 100, MinPerSecond = 1000 },
            PassiveHealth = null,
        }, [.. dying.Select(static b => b.Port)])))
        {
            await AskAndCloseAsync(proxy, Get, () => dying.Sum(static b => b.Heads.Count) == 4);
            await AssertAbortedAsync(proxy);
            Assert.InRange(dying.Sum(static b => b.Heads.Count), 4, 11); // the others' pauses are a second together
        }
        foreach (ScriptedBackend backend in dying)
        {
            await backend.DisposeAsync();
        }
    }

    [Fact]
    public async Task Request_at_two_backends_ends_at_both()
    {
        await using ScriptedBackend first = Silent();
        await using ScriptedBackend second = Silent();
        await using var proxy = new TestProxy(With(static u => u with
        {
            Hedge = new HedgeConfig(TimeSpan.FromMilliseconds(10)),
            Retries = u.Retries with { MinPerSecond = 100 },
        }, first.Port, second.Port));
        await AskAndCloseAsync(proxy, Get, () => first.Heads.Count + second.Heads.Count == 2);
        await AssertAbortedAsync(proxy);
        await Eventually.TrueAsync(() => _gone == 2, "both connections are closed");
    }

    [Fact]
    public async Task Response_that_has_gone_silent_ends()
    {
        await using ScriptedBackend backend = Silent("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nbegin");
        await using var proxy = new TestProxy(With(backend.Port));
        using (RawClient client = proxy.Connect())
        {
            await client.SendAsync(Get);
            await client.Reader.ReadHeadAsync();
            Assert.Equal(5, (await client.Reader.ReadExactlyAsync(5)).Length);
        }
        await AssertAbortedAsync(proxy, "\"status\":200,");
        await Eventually.TrueAsync(() => _gone == 1, "the backend connection is closed");
    }

    [Fact]
    public async Task Upload_that_is_whole_is_delivered_and_then_ends()
    {
        string body = new('x', 300_000);
        var whole = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            Assert.Equal(body.Length, (await peer.ReadRequestAsync())!.Body.Length);
            whole.SetResult();
            await peer.Reader.ReadToEndAsync();
            Interlocked.Increment(ref _gone);
        });
        await using var proxy = new TestProxy(With(backend.Port));
        using (RawClient client = proxy.Connect())
        {
            await client.SendAsync($"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {body.Length}\r\n\r\n");
            await client.SendAsync(body[..100_000]);
            await Eventually.TrueAsync(() => backend.Heads.Count == 1, "the upload has begun");
            await client.SendAsync(body[100_000..]);
            await whole.Task.WaitAsync(TimeSpan.FromSeconds(10));
        }
        await AssertAbortedAsync(proxy, "\"status\":0,");
        await Eventually.TrueAsync(() => _gone == 1, "the backend connection is closed");
    }

    [Fact]
    public async Task Place_under_a_concurrency_limit_is_free_again()
    {
        await using ScriptedBackend backend = Silent();
        ProxyConfig config = With(backend.Port) with
        {
            Limits = new Dictionary<string, LimitConfig> { ["default"] = new(0, 0) { Concurrent = 1 } },
        };
        await using var proxy = new TestProxy(config);
        await AskAndCloseAsync(proxy, Get, () => backend.Heads.Count == 1);
        await Eventually.TrueAsync(() => proxy.Server.OpenConnections == 0, "the connection is closed");
        Task<RawResponse> next = proxy.GetAsync();
        await Eventually.TrueAsync(() => backend.Heads.Count == 2 || next.IsCompleted, "the next one is admitted");
        _release.SetResult();
        Assert.Equal(200, (await next).Status);
        await AssertAbortedAsync(proxy, lines: 2);
    }

    [Fact]
    public async Task Hundreds_that_close_leave_no_descriptor_behind()
    {
        await using ScriptedBackend backend = Silent();
        await using var proxy = new TestProxy(With(backend.Port));
        RawClient[] clients = [.. Enumerable.Range(0, 300).Select(_ => proxy.Connect())];
        foreach (RawClient client in clients)
        {
            await client.SendAsync(Get);
        }
        await Eventually.TrueAsync(() => backend.Heads.Count == clients.Length, "all are at the backend");
        Array.ForEach(clients, static c => c.Dispose());
        await Eventually.TrueAsync(() => _gone == clients.Length, "every backend connection is closed");
        await AssertAbortedAsync(proxy, lines: clients.Length, aborted: clients.Length);
    }

    // ---- clients that end only their side

    [Fact]
    public async Task Half_close_that_is_allowed_is_answered_from_a_silent_backend_and_the_queue()
    {
        await using ScriptedBackend backend = Silent();
        await using var proxy = new TestProxy(Allowing(With(Queueing, backend.Port)));
        using RawClient first = proxy.Connect();
        using RawClient second = proxy.Connect();
        await first.SendAsync(Get);
        first.ShutdownSend();
        await Eventually.TrueAsync(() => backend.Heads.Count == 1, "the first request is served");
        await second.SendAsync(Get + Get);
        second.ShutdownSend();
        await Eventually.TrueAsync(() => proxy.Server.Upstreams()[0].Queued == 1, "the second one waits");
        _release.SetResult();
        Assert.Equal("ok", (await first.ReadAsync())!.Text);
        Assert.True(await first.IsEndedAsync());
        Assert.Equal("ok", (await second.ReadAsync())!.Text);
        Assert.Equal("ok", (await second.ReadAsync())!.Text);
        Assert.True(await second.IsEndedAsync());
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Half_close_that_is_allowed_is_answered_after_an_upload()
    {
        await using var backend = ScriptedBackend.Answer(static r =>
            $"HTTP/1.1 200 OK\r\nContent-Length: {r.Body.Length}\r\n\r\n{new string('y', r.Body.Length)}");
        await using var proxy = new TestProxy(Allowing(With(backend.Port)));
        using RawClient client = proxy.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n");
        await client.SendAsync(new string('x', 300_000));
        client.ShutdownSend();
        Assert.Equal(300_000, (await client.ReadAsync())!.Body.Length);
        Assert.True(await client.IsEndedAsync());
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Reset_ends_a_request_whatever_is_allowed()
    {
        await using ScriptedBackend backend = Silent();
        await using var proxy = new TestProxy(Allowing(With(backend.Port)));
        using RawClient client = proxy.Connect();
        await client.SendAsync(Get);
        client.ShutdownSend();
        await Eventually.TrueAsync(() => backend.Heads.Count == 1, "it is at the backend");
        client.Reset();
        await AssertAbortedAsync(proxy);
    }

    private static UpstreamConfig Queueing(UpstreamConfig web) => web with
    {
        Backends = [web.Backends[0] with { MaxConnections = 1 }],
        Queue = new QueueConfig { Timeout = TimeSpan.FromMinutes(1) },
    };

    private static ProxyConfig Allowing(ProxyConfig config) => config with
    {
        Bounds = config.Bounds with { AllowsHalfClose = true },
    };

    private static async Task DieAsync(BackendPeer peer)
    {
        await peer.ReadRequestAsync();
        peer.Reset();
    }

    /// <summary>Reads a request, may begin its response, and completes it only when the test allows it.</summary>
    private ScriptedBackend Silent(string begin = "") => new(async peer =>
    {
        await peer.ReadHeadAsync();
        await peer.SendAsync(begin);
        if (await Task.WhenAny(_release.Task, peer.Reader.ReadSomeAsync()) == _release.Task)
        {
            await peer.SendAsync(Ok);
        }
        Interlocked.Increment(ref _gone);
    });

    private ProxyConfig With(params int[] ports) => With(static u => u, ports);

    private ProxyConfig With(Func<UpstreamConfig, UpstreamConfig> change, params int[] ports)
    {
        ProxyConfig config = TestProxy.Config(ports);
        return config with
        {
            Upstreams = [change(config.Upstreams[0])],
            AccessLog = new() { To = AccessLogTarget.File(_log) },
            Timeouts = config.Timeouts with { Response = TimeSpan.FromMinutes(1) },
        };
    }

    private static async Task AskAndCloseAsync(TestProxy proxy, string bytes, Func<bool> isThere)
    {
        using RawClient client = proxy.Connect();
        await client.SendAsync(bytes);
        await Eventually.TrueAsync(isThere, "the request is where it is to wait");
    }

    /// <summary>Asserts that the request left nothing behind, and that the log says why it ended.</summary>
    private async Task AssertAbortedAsync(TestProxy proxy, string has = "", int lines = 1, int aborted = 1)
    {
        await Eventually.TrueAsync(() => proxy.Server.OpenConnections == 0, "every client connection is closed");
        await proxy.AssertQuietAsync();
        await Eventually.TrueAsync(() => File.ReadAllLines(_log).Length >= lines, "it is logged");
        string[] logged = await File.ReadAllLinesAsync(_log);
        Assert.Equal(lines, logged.Length);
        const string Reason = "\"reason\":\"client_abort\"";
        string[] ends = [.. logged.Where(static l => l.Contains(Reason, StringComparison.Ordinal))];
        Assert.Equal(aborted, ends.Length);
        Assert.All(ends, l => Assert.Contains(has, l, StringComparison.Ordinal));
    }
}
