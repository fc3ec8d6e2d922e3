using System.Security.Cryptography;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>Messages that Penstock forwards without a change.</summary>
public sealed class ForwardingTests
{
    [Fact]
    public async Task Requests_alternate_over_backends_and_keep_their_connections()
    {
        await using var a = ScriptedBackend.Always("a");
        await using var b = ScriptedBackend.Always("b");
        await using var proxy = TestProxy.To(a, b);
        using RawClient client = proxy.Connect();
        var seen = new StringBuilder();
        for (int i = 0; i < 10; i++)
        {
            seen.Append((await client.GetAsync()).Text);
        }
        Assert.Equal("ababababab", seen.ToString());
        Assert.Equal(1, a.Connections);
        Assert.Equal(1, b.Connections);
    }

    [Trait("tls", "no")]
    [Fact]
    public async Task Backend_sees_the_request_with_who_asked_and_without_hop_by_hop_fields()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("GET /%61/../x?q=%20 HTTP/1.1\r\nHost: api.example.com\r\n"
            + "Connection: keep-alive, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nTE: gzip\r\n"
            + "X-Forwarded-For: 6.6.6.6\r\nCookie: a=b\r\nX: 1\r\nX: 2\r\n\r\n");
        RawResponse response = (await client.ReadAsync())!;
        Assert.Equal(200, response.Status);
        string[] lines = Assert.Single(backend.Heads).Split("\r\n");
        Assert.Equal("GET /%61/../x?q=%20 HTTP/1.1", lines[0]);
        Assert.Equal(["Host: api.example.com", "Cookie: a=b", "X: 1", "X: 2", "X-Forwarded-For: 127.0.0.1",
            "X-Forwarded-Proto: http", "X-Forwarded-Host: api.example.com",
            "X-Request-Id: " + response["X-Request-Id"], "Via: 1.1 penstock"], lines[1..]);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(5_000)]
    [InlineData(100_000)]
    [InlineData(20_000_000)]
    public async Task Bodies_of_every_size_and_framing_arrive_whole(int size)
    {
        byte[] payload = RandomNumberGenerator.GetBytes(size);
        await using var backend = new ScriptedBackend(async peer =>
        {
            while (await peer.ReadRequestAsync() is { } request)
            {
                await peer.SendAsync(request.Line.Contains("chunked", StringComparison.Ordinal)
                    ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                    : $"HTTP/1.1 200 OK\r\nContent-Length: {request.Body.Length}\r\n\r\n");
                if (!request.Line.Contains("chunked", StringComparison.Ordinal))
                {
                    await peer.SendAsync(request.Body);
                    continue;
                }
                for (int at = 0; at < request.Body.Length; at += 3001)
                {
                    byte[] piece = request.Body[at..Math.Min(request.Body.Length, at + 3001)];
                    await peer.SendAsync(piece.Length.ToString("x") + "\r\n");
                    await peer.SendAsync(piece);
                    await peer.SendAsync("\r\n");
                    if (size > 1_000_000 && at > 1_000_000)
                    {
                        // Enough small chunks; the rest in one.
                        at += 3001;
                        await peer.SendAsync((request.Body.Length - at).ToString("x") + "\r\n");
                        await peer.SendAsync(request.Body.AsMemory(at));
                        await peer.SendAsync("\r\n");
                        break;
                    }
                }
                await peer.SendAsync("0\r\nX-Trailer: 1\r\n\r\n");
            }
        });
        await using var proxy = TestProxy.To(backend);
        using var http = new HttpClient(TestTls.Handler()) { BaseAddress = proxy.Url };
        foreach (string target in new[] { "/length", "/chunked" })
        {
            foreach (bool chunkedUp in new[] { false, true })
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, target)
                {
                    Content = new ByteArrayContent(payload),
                };
                request.Headers.TransferEncodingChunked = chunkedUp ? true : null;
                using HttpResponseMessage response = await http.SendAsync(request);
                byte[] back = await response.Content.ReadAsByteArrayAsync();
                Assert.True(payload.AsSpan().SequenceEqual(back),
                    $"{target} up chunked={chunkedUp}");
            }
        }
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Response_until_close_becomes_chunked_and_stays_open_for_the_client()
    {
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.SendAsync("HTTP/1.0 200 OK\r\n\r\nhello");
            await peer.SendAsync(" world");
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        for (int i = 0; i < 2; i++)
        {
            RawResponse response = await client.GetAsync();
            Assert.Equal("chunked", response["Transfer-Encoding"]);
            Assert.Equal("hello world", response.Text);
        }
    }

    [Fact]
    public async Task Http10_client_gets_no_chunks_and_is_closed_unless_it_asks()
    {
        await using var backend = ScriptedBackend.Answer(static r => r.Line.Contains("/chunked")
            ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            : "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        await using var proxy = TestProxy.To(backend);

        using RawClient chunked = proxy.Connect();
        await chunked.SendAsync("GET /chunked HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        RawResponse response = (await chunked.ReadAsync())!;
        Assert.Equal("hello", response.Text);
        Assert.Null(response["Transfer-Encoding"]);
        Assert.Equal("close", response["Connection"]);

        using RawClient keep = proxy.Connect();
        for (int i = 0; i < 2; i++)
        {
            await keep.SendAsync("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
            response = (await keep.ReadAsync())!;
            Assert.Equal("keep-alive", response["Connection"]);
        }
        await keep.SendAsync("GET / HTTP/1.0\r\n\r\n");
        Assert.Equal("close", (await keep.ReadAsync())!["Connection"]);
        Assert.True(await keep.IsEndedAsync());
    }

    [Fact]
    public async Task Pipelined_requests_are_answered_in_order_also_behind_bodies()
    {
        await using var backend = ScriptedBackend.Answer(static r =>
        {
            string text = r.Line + "|" + Encoding.Latin1.GetString(r.Body);
            return $"HTTP/1.1 200 OK\r\nContent-Length: {text.Length}\r\n\r\n{text}";
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        string big = new('x', 50_000);
        await client.SendAsync("GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
            + "POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
            + "POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1;x=y\r\nf\r\n0\r\n\r\n"
            + $"POST /4 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nc350\r\n{big}\r\n0\r\n\r\n"
            + "GET /5 HTTP/1.1\r\nHost: a\r\n\r\n");
        string[] expected = ["GET /1 HTTP/1.1|", "POST /2 HTTP/1.1|abc", "POST /3 HTTP/1.1|def",
            "POST /4 HTTP/1.1|" + big, "GET /5 HTTP/1.1|"];
        foreach (string text in expected)
        {
            Assert.Equal(text, (await client.ReadAsync())!.Text);
        }
    }

    [Fact]
    public async Task Head_204_and_304_have_no_body_and_keep_the_connection_in_step()
    {
        await using var backend = ScriptedBackend.Answer(static r => r.Line.Split(' ')[1] switch
        {
            "/204" => "HTTP/1.1 204 No Content\r\n\r\n",
            "/304" => "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\nETag: \"x\"\r\n\r\n",
            "/head" => "HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n",
            _ => "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nend",
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        Assert.Equal(204, (await client.GetAsync("/204")).Status);
        Assert.Equal(304, (await client.GetAsync("/304")).Status);
        await client.SendAsync("HEAD /head HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.Equal("12345", (await client.ReadAsync(toHead: true))!["Content-Length"]);
        Assert.Equal("end", (await client.GetAsync()).Text);
        Assert.Equal(1, backend.Connections);
    }

    [Fact]
    public async Task Interim_responses_are_passed_on_and_100_continue_works()
    {
        await using var backend = new ScriptedBackend(async peer =>
        {
            string head = (await peer.ReadHeadAsync())!;
            Assert.Equal("100-continue", Wire.Field(head, "Expect"));
            await peer.SendAsync("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n");
            byte[] body = await peer.Reader.ReadBodyAsync(head, isResponse: false);
            await peer.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{body.Length}");
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n");
        Assert.Equal("</a>", (await client.ReadAsync())!["Link"]);
        Assert.Equal(100, (await client.ReadAsync())!.Status);
        await client.SendAsync("body");
        Assert.Equal("4", (await client.ReadAsync())!.Text);
    }

    [Fact]
    public async Task Early_response_reaches_a_client_that_still_uploads()
    {
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SendAsync("HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno");
            await peer.Reader.ReadToEndAsync();
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nstart");
        Assert.Equal(401, (await client.ReadAsync())!.Status);
        Assert.True(await client.IsEndedAsync());
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Slow_reader_slows_the_backend_down_and_still_gets_all()
    {
        const int Size = 30_000_000;
        long written = 0;
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {Size}\r\n\r\n");
            byte[] piece = new byte[100_000];
            for (int i = 0; i < Size / piece.Length; i++)
            {
                await peer.SendAsync(piece);
                Interlocked.Add(ref written, piece.Length);
            }
        });
        await using var proxy = TestProxy.To(backend);
        using RawClient client = proxy.Connect();
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        string head = (await client.Reader.ReadHeadAsync())!;

        // The client does not read, so the backend gets stuck when the socket buffers are full, long before the end.
        long before = -1;
        while (before != Interlocked.Read(ref written))
        {
            before = Interlocked.Read(ref written);
            await Task.Delay(100);
        }
        Assert.InRange(before, 1, Size - 5_000_000);
        Assert.Equal(Size, (await client.Reader.ReadBodyAsync(head, isResponse: true)).Length);
    }

    [Fact]
    public async Task Unix_sockets_serve_on_both_sides()
    {
        string path = Path.Combine(Path.GetTempPath(), $"penstock-{Guid.NewGuid():N}.sock");
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig inner = TestProxy.Config(backend.Port) with
        {
            Listeners = [new ListenerConfig(new System.Net.Sockets.UnixDomainSocketEndPoint(path), path)],
            Loops = 2,
        };
        await using var behind = new TestProxy(inner);
        await using var proxy = new TestProxy(TestProxy.Config() with
        {
            Upstreams = [new UpstreamConfig { Name = "web", Backends = [new BackendConfig { Host = path, Port = 0 }] }],
        });
        Assert.Equal("ok", (await proxy.GetAsync()).Text);
    }

    [Fact]
    public async Task Routes_send_requests_to_their_upstreams()
    {
        await using var api = ScriptedBackend.Always("api");
        await using var web = ScriptedBackend.Always("web");
        await using var proxy = new TestProxy(TestProxy.Config() with
        {
            Upstreams =
            [
                new UpstreamConfig { Name = "api", Backends = [TestProxy.Backend(api.Port)] },
                new UpstreamConfig { Name = "web", Backends = [TestProxy.Backend(web.Port)] },
            ],
            Routes =
            [
                new RouteConfig { Host = "api.example.com", Path = "/v1/*", Upstream = "api" },
                new RouteConfig { Host = "*.example.com", Upstream = "web" },
            ],
        });
        using RawClient client = proxy.Connect();
        foreach ((string host, string path, string expected) in new[]
        {
            ("api.example.com", "/v1/x", "api"), ("API.example.com:80", "/v1/", "api"),
            ("api.example.com", "/v2", "web"), ("www.example.com", "/v1/x", "web"),
        })
        {
            await client.SendAsync($"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            Assert.Equal(expected, (await client.ReadAsync())!.Text);
        }
        RawResponse none = await client.GetAsync();
        Assert.Equal(404, none.Status);
        Assert.StartsWith("{\"code\":404,\"message\":\"No route for this request\"", none.Text);
    }
}
