using Penstock.Proxy.Configuration;
using Penstock.Proxy.EventLoop;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>Rare orders of events; many tests force them by blocking the loop.</summary>
[Trait("tls", "no")]
public sealed class EventOrderTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    private static TestProxy ToSlow(ScriptedBackend backend, int responseMs)
    {
        ProxyConfig config = TestProxy.Config(backend.Port);
        return new TestProxy(config with
        {
            Timeouts = config.Timeouts with { Response = TimeSpan.FromMilliseconds(responseMs) },
        });
    }

    [Fact]
    public async Task Body_that_the_backend_did_not_want_is_never_read_as_a_request()
    {
        var started = new TaskCompletionSource();
        var answer = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            if (!(await peer.ReadHeadAsync())!.StartsWith("POST", StringComparison.Ordinal))
            {
                await peer.SendAsync(Ok);
                return;
            }
            await peer.Reader.ReadExactlyAsync(5);
            started.SetResult();
            await answer.Task;
            await peer.SendAsync("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
            peer.Reset();
            answer = new TaskCompletionSource();
            started.TrySetResult();
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nstart");
        await started.Task;
        using (await proxy.HoldLoopAsync())
        {
            // The loop sees the client's bytes first, fails to pass them on, and only then sees the answer.
            await client.SendAsync("more");
            TaskCompletionSource sent = answer;
            sent.SetResult();
            await Eventually.TrueAsync(() => answer != sent, "the backend has answered and reset");
        }
        Assert.Equal(401, (await client.ReadAsync())!.Status);
        try
        {
            await client.SendAsync("GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        catch (IOException)
        {
            // The connection is already closed, which is also correct.
        }
        Assert.True(await client.IsEndedAsync());
        Assert.DoesNotContain(backend.Heads, static h => h.Contains("/smuggled", StringComparison.Ordinal));
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Request_behind_an_uploaded_body_survives_the_failure_of_the_backend()
    {
        await using var backend = new ScriptedBackend(static async peer =>
        {
            while (await peer.ReadRequestAsync() is { } request)
            {
                if (request.Line.StartsWith("POST", StringComparison.Ordinal))
                {
                    peer.Reset();
                    return;
                }
                await peer.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {request.Line.Length}\r\n\r\n{request.Line}");
            }
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        const int Size = 5000;
        string next = "GET /second HTTP/1.1\r\nHost: a\r\nX-Pad: ".PadRight(Size, 'p')
            + "GET /smuggled HTTP/1.0\r\n\r\n";
        await client.SendAsync($"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {Size}\r\n\r\n{new string('b', Size)}"
            + next);
        Assert.Equal(502, (await client.ReadAsync())!.Status);
        Assert.Equal("GET /second HTTP/1.1", (await client.ReadAsync())!.Text);
        Assert.DoesNotContain(backend.Heads, static h => h.StartsWith("GET /smuggled", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Client_that_stops_uploading_is_a_408_and_no_failure_of_the_backend()
    {
        await using var backend = new ScriptedBackend(static async peer => await peer.ReadRequestAsync());
        await using TestProxy proxy = ToSlow(backend, 200);
        using RawClient client = proxy.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nstart");
        await Task.Delay(100); // some way into the timeout, which each piece starts anew for both sides
        await client.SendAsync("more");
        Assert.Equal(408, (await client.ReadAsync())!.Status);
        Assert.True(await client.IsEndedAsync());
        Assert.Equal(0, proxy.Server.Upstreams()[0].Backends[0].Failures);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Unframed_response_that_is_cut_while_the_client_uploads_ends_in_a_reset()
    {
        var seen = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SendAsync("HTTP/1.1 200 OK\r\n\r\npart");
            await seen.Task;
            peer.Reset();
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("POST / HTTP/1.0\r\nContent-Length: 1000\r\n\r\nstart");
        Assert.StartsWith("HTTP/1.1 200", await client.Reader.ReadHeadAsync());
        await client.Reader.ReadExactlyAsync(4);
        seen.SetResult();
        await Assert.ThrowsAnyAsync<IOException>(client.Reader.ReadToEndAsync);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Early_response_tells_the_client_that_the_connection_ends()
    {
        await using var backend = new ScriptedBackend(static async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SendAsync(Ok);
            await peer.Reader.ReadToEndAsync();
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nstart");
        Assert.Equal("close", (await client.ReadAsync())!["Connection"]);
        Assert.True(await client.IsEndedAsync());
    }

    [Fact]
    public async Task Any_number_of_interim_responses_goes_through_and_counts_as_progress()
    {
        const int Count = 200;
        string hint = $"HTTP/1.1 103 Early Hints\r\nLink: {new string('l', 1000)}\r\n\r\n";
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            for (int i = 0; i < Count; i++)
            {
                await peer.SendAsync(hint);
                await Task.Delay(i % 20 == 0 ? 50 : 0);
            }
            await peer.SendAsync(Ok);
        });
        await using TestProxy proxy = ToSlow(backend, 300);
        using RawClient client = proxy.Connect();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        for (int i = 0; i < Count; i++)
        {
            Assert.Equal(103, (await client.ReadAsync())!.Status);
        }
        Assert.Equal("ok", (await client.ReadAsync())!.Text);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Interim_responses_without_end_are_a_502()
    {
        const int Most = 1000;
        await using var backend = new ScriptedBackend(static async peer =>
        {
            await peer.ReadRequestAsync();
            for (int i = 0; i <= Most; i++)
            {
                await peer.SendAsync("HTTP/1.1 102 Processing\r\n\r\n");
            }
            await peer.SendAsync(Ok);
        });
        await using TestProxy proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        for (int i = 0; i < Most; i++)
        {
            Assert.Equal(102, (await client.ReadAsync())!.Status);
        }
        Assert.Equal(502, (await client.ReadAsync())!.Status);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Client_that_neither_reads_nor_sends_leaves_no_buffer_behind()
    {
        string hint = $"HTTP/1.1 103 Early Hints\r\nLink: {new string('l', 8000)}\r\n\r\n";
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadHeadAsync();
            while (true)
            {
                await peer.SendAsync(hint);
            }
        });
        await using TestProxy proxy = ToSlow(backend, 300);
        using RawClient client = proxy.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nstart");
        await Eventually.TrueAsync(() => proxy.Server.Requests == 1, "the exchange is over");
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Flood_of_pipelined_requests_leaves_the_loop_to_others()
    {
        const string Request = "GET / HTTP/1.1\r\nHost: elsewhere\r\n\r\n";
        const int Count = 30_000;
        string log = Path.GetTempFileName();
        var logged = new AccessLogConfig { To = AccessLogTarget.File(log) };
        await using (var proxy = new TestProxy(TestProxy.Config(1) with { Routes = [], AccessLog = logged }))
        {
            using RawClient flood = proxy.Connect();
            using RawClient other = proxy.Connect();
            await Eventually.TrueAsync(() => proxy.Server.OpenConnections == 2, "both are in");
            using (await proxy.HoldLoopAsync())
            {
                await flood.SendAsync(string.Concat(Enumerable.Repeat(Request, Count)));
                await other.SendAsync("GET /other HTTP/1.1\r\nHost: elsewhere\r\n\r\n");
            }
            flood.ShutdownSend();
            await flood.Reader.ReadToEndAsync();
            Assert.Equal(404, (await other.ReadAsync())!.Status);
        }
        string[] lines = await File.ReadAllLinesAsync(log);
        File.Delete(log);
        Assert.Equal(Count + 1, lines.Length);

        // At most 16 reads of 4 KiB each come before it.
        Assert.InRange(Array.FindIndex(lines, static l => l.Contains("/other", StringComparison.Ordinal)), 0,
            17 * BufferPool.Small / Request.Length);
    }

    [Fact]
    public async Task Stop_answers_requests_that_have_arrived_already()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = TestProxy.To(backend);
        using RawClient kept = proxy.Connect();
        Assert.Equal("ok", (await kept.GetAsync()).Text);

        // The drain is the next thing that the loop does; it has not looked at its sockets since the requests came.
        IDisposable first = await proxy.HoldLoopAsync();
        Task<IDisposable> second = proxy.HoldLoopAsync();
        Task stop = proxy.Server.StopAsync();
        first.Dispose();
        IDisposable hold = await second;
        using RawClient waiting = proxy.Connect();
        await kept.SendAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        await waiting.SendAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        hold.Dispose();
        foreach (RawClient client in new[] { kept, waiting })
        {
            RawResponse response = (await client.ReadAsync())!;
            Assert.Equal("ok", response.Text);
            Assert.Equal("close", response["Connection"]);
            Assert.True(await client.IsEndedAsync());
        }
        await stop.WaitAsync(TimeSpan.FromSeconds(5));
    }

    [Fact]
    public async Task Upload_never_goes_to_a_kept_connection_that_has_been_closed()
    {
        var close = new TaskCompletionSource();
        var closed = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.SendAsync(Ok);
            await close.Task;
            peer.Dispose();
            closed.TrySetResult();
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        Assert.Equal("ok", (await client.GetAsync()).Text);
        using (await proxy.HoldLoopAsync())
        {
            // The loop sees the request first, so the connection still counts as good.
            await client.SendAsync("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nstart");
            close.SetResult();
            await closed.Task;
        }
        await client.SendAsync("+end");
        Assert.Equal("ok", (await client.ReadAsync())!.Text);
        Assert.Equal(2, backend.Connections);
        Assert.Equal(0, proxy.Server.Upstreams()[0].Backends[0].Failures);
    }

    [Fact]
    public async Task Idle_connection_holds_no_buffer_even_when_its_request_filled_one()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\nX: ".PadRight(BufferPool.Small - 4, 'x') + "\r\n\r\n");
        Assert.Equal("ok", (await client.ReadAsync())!.Text);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Target_without_a_path_is_routed_as_the_slash_that_is_forwarded()
    {
        await using var root = ScriptedBackend.Always("root");
        await using var rest = ScriptedBackend.Always("rest");
        await using var proxy = new TestProxy(TestProxy.Config() with
        {
            Upstreams =
            [
                new UpstreamConfig { Name = "root", Backends = [TestProxy.Backend(root.Port)] },
                new UpstreamConfig { Name = "rest", Backends = [TestProxy.Backend(rest.Port)] },
            ],
            Routes = [new RouteConfig { Path = "/", Upstream = "root" }, new RouteConfig { Upstream = "rest" }],
        });
        using RawClient client = proxy.Connect();
        foreach (string target in new[] { "/", "/?q", "http://a/", "http://a", "http://a?q" })
        {
            Assert.Equal("root", (await client.GetAsync(target)).Text);
        }
    }
}
