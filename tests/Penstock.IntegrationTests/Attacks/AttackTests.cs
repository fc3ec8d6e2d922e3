using System.Net;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Attacks;

/// <summary>Attacks that need timing, two messages or two connections (James Kettle, "HTTP Desync Attacks" and
/// "HTTP/1.1 must die"; PortSwigger).</summary>
public sealed class AttackTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    private const string Smuggled = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

    [Theory]
    [InlineData("POST /none HTTP/1.1\r\nHost: nowhere\r\n", 404, false)]
    [InlineData("POST /none HTTP/1.1\r\nHost: nowhere\r\n", 404, true)]
    [InlineData("POST /limited HTTP/1.1\r\nHost: a\r\nX-Client-ID: spent\r\n", 429, false)]
    [InlineData("POST /limited HTTP/1.1\r\nHost: a\r\nX-Client-ID: spent\r\n", 429, true)]
    [InlineData("OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n", 200, false)]
    [InlineData("OPTIONS /x HTTP/1.1\r\nHost: a\r\nMax-Forwards: 0\r\n", 200, true)]
    public async Task Body_of_a_request_that_we_answer_ourselves_is_never_a_request(
        string head, int status, bool later)
    {
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Routes = [config.Routes[0] with { Host = "a" }],
            Clients = new ClientsConfig { Identify = [new IdentitySource(IdentityKind.Header, "X-Client-ID")] },
        });
        proxy.Server.Limiter.Clients.Register("spent", new LimitConfig(1, 0.0001), tokens: 0);
        string[] framings = [$"Content-Length: {Smuggled.Length}\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n"];
        foreach (string framing in framings)
        {
            string body = framing[0] == 'C' ? Smuggled : $"{Smuggled.Length:x}\r\n{Smuggled}\r\n0\r\n\r\n";
            using RawClient client = proxy.Connect();
            await client.SendAsync(head + framing + (later ? "" : body));
            Assert.Equal(status, (await client.ReadAsync())!.Status);
            if (later)
            {
                await TrySendAsync(client, body);
            }

            // The connection is used again only after the body; otherwise it is closed.
            await TrySendAsync(client, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
            RawResponse? next = await TryReadAsync(client);
            Assert.True(next is null or { Status: 200, Text: "ok" }, next?.Head);
        }
        Assert.DoesNotContain(backend.Heads, static h => h.Contains("smuggled", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nX: ")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 36\r\n\r\n")]
    public async Task Body_that_comes_after_its_timeout_is_never_a_request(string start)
    {
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Timeouts = config.Timeouts with
            {
                Head = TimeSpan.FromMilliseconds(150),
                Response = TimeSpan.FromMilliseconds(150),
            },
        });
        using RawClient client = proxy.Connect();
        await client.SendAsync(start);
        Assert.Equal(408, (await client.ReadAsync())!.Status);
        await TrySendAsync(client, Smuggled + Smuggled);
        Assert.Null(await TryReadAsync(client));
        Assert.DoesNotContain(backend.Heads, static h => h.Contains("smuggled", StringComparison.Ordinal));
        await proxy.AssertQuietAsync();
    }

    [Theory]
    [InlineData("Expect: y 100-continue\r\n", 417)]
    [InlineData("Expect: 100-continue, 100-continue\r\n", 417)]
    [InlineData("Expect: 100-continue\r\nExpect: 100-continue\r\n", 400, 417, 200)]
    [InlineData("Expect: 100-CONTINUE\r\n", 200)]
    public async Task Expectation_that_is_odd_desynchronises_nobody(string field, params int[] statuses)
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync(
            $"POST /x HTTP/1.1\r\nHost: a\r\n{field}Content-Length: {Smuggled.Length}\r\n\r\n{Smuggled}");
        Assert.Contains((await client.ReadAsync())!.Status, statuses);
        await TrySendAsync(client, "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
        RawResponse? next = await TryReadAsync(client);
        Assert.True(next is null or { Status: 200, Text: "ok" }, next?.Head);
        Assert.DoesNotContain(backend.Heads, static h => h.StartsWith("GET /smuggled", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Continue_twice_or_behind_the_answer_reaches_nobody_elses_exchange()
    {
        const string Continue = "HTTP/1.1 100 Continue\r\n\r\n";
        await using var backend = ScriptedBackend.Answer(static request =>
        {
            string answer = $"HTTP/1.1 200 OK\r\nContent-Length: {request.Line.Length}\r\n\r\n{request.Line}";
            return request.Line.Contains("twice", StringComparison.Ordinal) ? Continue + Continue + answer
                : request.Line.Contains("behind", StringComparison.Ordinal) ? answer + Continue : answer;
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        foreach (string path in new[] { "/twice", "/a", "/behind", "/b", "/behind", "/c" })
        {
            RawResponse response = await client.GetAsync(path);
            while (response.Status == 100)
            {
                response = (await client.ReadAsync())!;
            }
            Assert.Equal($"GET {path} HTTP/1.1", response.Text);
        }
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Backend_connection_carries_one_request_at_a_time()
    {
        int overlaps = 0;
        await using var backend = new ScriptedBackend(async peer =>
        {
            while (await peer.ReadRequestAsync() is not null)
            {
                await Task.Delay(5);
                if (peer.Reader.HasBuffered)
                {
                    Interlocked.Increment(ref overlaps); // a second request before the first was answered
                }
                await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        await using var proxy = TestProxy.To(backend);
        await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(async () =>
        {
            using RawClient client = proxy.Connect();
            await client.SendAsync(string.Concat(Enumerable.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 20)));
            for (int i = 0; i < 20; i++)
            {
                Assert.Equal(200, (await client.ReadAsync())!.Status);
            }
        })));
        Assert.Equal(0, overlaps);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Body_of_one_byte_chunks_is_rejected_after_some_thousand()
    {
        await using var backend = ScriptedBackend.Answer(static request =>
            $"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Got: {request.Body.Length}\r\n\r\n");
        await using var proxy = TestProxy.To(backend);
        using (RawClient client = proxy.Connect())
        {
            await client.SendAsync("POST /few HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                + string.Concat(Enumerable.Repeat("1\r\nx\r\n", 10_000)) + "0\r\n\r\n");
            Assert.Equal("10000", (await client.ReadAsync())!["X-Got"]);
        }
        using (RawClient client = proxy.Connect())
        {
            await client.SendAsync("POST /many HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
            byte[] chunks = Encoding.ASCII.GetBytes(string.Concat(Enumerable.Repeat("1\r\nx\r\n", 30_000)));
            await TrySendAsync(client, Encoding.ASCII.GetString(chunks));
            Assert.Equal(400, (await client.ReadAsync())!.Status);
        }
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Connection_whose_request_body_is_unfinished_is_not_used_for_others()
    {
        var ended = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            string head = (await peer.ReadHeadAsync())!;
            if (head.StartsWith("GET", StringComparison.Ordinal))
            {
                await peer.SendAsync(Ok);
                return;
            }
            await peer.SendAsync("HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno"); // and keeps the connection
            await peer.Reader.ReadToEndAsync();
            ended.SetResult();
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient uploading = proxy.Connect();
        await uploading.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\nstart");
        Assert.Equal(401, (await uploading.ReadAsync())!.Status);
        Assert.Equal("ok", (await proxy.GetAsync()).Text);
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(5));
        Assert.Equal(2, backend.Connections);
        await TrySendAsync(uploading, Smuggled.PadRight(995, 'x') + Smuggled);
        Assert.Null(await TryReadAsync(uploading));
        Assert.Equal(2, backend.Heads.Count);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n")]
    public async Task Kept_connection_that_closes_as_it_is_used_loses_no_get_and_repeats_no_post(string head)
    {
        bool isPost = head.StartsWith("POST", StringComparison.Ordinal);
        int answered = 0;
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            Interlocked.Increment(ref answered);
            await peer.SendAsync(Ok); // says nothing of closing, then closes: the race is on
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        const int Count = 200;
        int failed = 0;
        for (int i = 0; i < Count; i++)
        {
            await client.SendAsync(head + "\r\n" + (isPost ? "hi" : ""));
            int status = (await client.ReadAsync())!.Status;
            failed += status == 200 ? 0 : 1;
            Assert.Contains(status, isPost ? new[] { 200, 502 } : [200]);
        }
        Assert.InRange(answered, Count - failed, Count); // each whole request was seen once at most
        Assert.Equal(answered, backend.Heads.Count);
    }

    [Theory]
    [InlineData("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        + "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n", 200)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket, H2C\r\n\r\n", 200)]
    public async Task Http2_is_neither_spoken_nor_tunnelled(string bytes, int status)
    {
        await using var backend = ScriptedBackend.Answer(static r => r["Upgrade"] is null ? Ok
            : "HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n");
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync(bytes);
        Assert.Equal(status, (await client.ReadAsync())!.Status);
        Assert.All(backend.Heads, static h => Assert.DoesNotContain("h2", h, StringComparison.OrdinalIgnoreCase));
    }

    private static async Task TrySendAsync(RawClient client, string bytes)
    {
        try
        {
            await client.SendAsync(bytes);
        }
        catch (IOException)
        {
            // The connection is already closed, which is also correct.
        }
    }

    private static async Task<RawResponse?> TryReadAsync(RawClient client)
    {
        try
        {
            return await client.ReadAsync();
        }
        catch (IOException)
        {
            return null;
        }
    }
}
