using System.Text;
using System.Text.Json;
using Penstock.Fuzz.Targets;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.UnitTests.Http1;
using Xunit;

namespace Penstock.UnitTests.Exchanges;

public sealed class ResponseWriterTests
{
    private static readonly byte[] Date = "Sat, 21 Nov 2026 04:00:00 GMT"u8.ToArray();

    public static TheoryData<string> HostileNames =>
    [
        "plain", "\"", "\\", "\r\n\t\0\u001f\u007f", "</script>", "\u00c3\u00a9",
        "\u00ff\u00fe\u0080", "\u00ed\u00a0\u0080",
        new string('"', 300), new string('\u00ff', 300),
    ];

    [Fact]
    public void Write_keeps_fields_and_removes_what_is_for_one_hop()
    {
        string written = Write("HTTP/1.0 418 I'm a \u00e9\r\nConnection: X-S, keep-alive\r\nX-S: 1\r\nKeep-Alive: 5\r\n"
            + "Proxy-Connection: x\r\nTE: x\r\nTrailer: X\r\nUpgrade: h2c\r\nX:  1\r\nContent-Length: 3\r\n"
            + "Set-Cookie: a\r\nSet-Cookie: b\r\n\r\n");

        Assert.Equal("HTTP/1.1 418 I'm a \u00e9\r\nX: 1\r\nSet-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 3\r\n"
            + "Date: Sat, 21 Nov 2026 04:00:00 GMT\r\nX-Request-Id: the-id\r\n\r\n", written);
    }

    [Fact]
    public void Write_keeps_the_backends_date_and_request_id() => Assert.Equal(
        "HTTP/1.1 200 OK\r\nDate: then\r\nX-Request-Id: theirs\r\nContent-Length: 3\r\n\r\n",
        Write("HTTP/1.1 200 OK\r\nDate: then\r\nX-Request-Id: theirs\r\nContent-Length: 3\r\n\r\n"));

    [Fact]
    public void Write_of_a_nominated_date_writes_ours()
    {
        string written = Write("HTTP/1.1 200 OK\r\nConnection: Date\r\nDate: then\r\nContent-Length: 3\r\n\r\n");
        Assert.Equal("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nDate: Sat, 21 Nov 2026 04:00:00 GMT\r\n"
            + "X-Request-Id: the-id\r\n\r\n", written);
    }

    [Theory]
    [InlineData("200 OK", "Content-Length: 3\r\n", "GET", false, "Content-Length: 3\r\n")]
    [InlineData("200 OK", "Content-Length: 0\r\n", "GET", false, "Content-Length: 0\r\n")]
    [InlineData("200 OK", "Transfer-Encoding: chunked\r\n", "GET", true, "Transfer-Encoding: chunked\r\n")]
    [InlineData("200 OK", "Transfer-Encoding: chunked\r\n", "GET", false, "")]
    [InlineData("200 OK", "Content-Length: 3\r\n", "HEAD", false, "Content-Length: 3\r\n")]
    [InlineData("304 Not Modified", "Content-Length: 3\r\n", "GET", false, "Content-Length: 3\r\n")]
    [InlineData("204 No Content", "Content-Length: 3\r\n", "GET", false, "")]
    public void Write_of_framing_is_one_or_none(
        string status, string fields, string method, bool chunked, string framing)
    {
        string written = Write($"HTTP/1.1 {status}\r\n{fields}\r\n", method: method, chunked: chunked);
        Assert.Equal($"HTTP/1.1 {status}\r\n{framing}Date: Sat, 21 Nov 2026 04:00:00 GMT\r\n"
            + "X-Request-Id: the-id\r\n\r\n", written);
    }

    [Theory]
    [InlineData("HTTP/1.1", true, "")]
    [InlineData("HTTP/1.1", false, "Connection: close\r\n")]
    [InlineData("HTTP/1.0", true, "Connection: keep-alive\r\n")]
    [InlineData("HTTP/1.0", false, "Connection: close\r\n")]
    public void Write_of_connection_says_what_happens_to_it(string version, bool keepAlive, string field)
    {
        string written = Write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", version: version, keepAlive: keepAlive);
        Assert.EndsWith("X-Request-Id: the-id\r\n" + field + "\r\n", written, StringComparison.Ordinal);
    }

    [Fact]
    public void WriteInterim_has_the_backends_fields_only()
    {
        byte[] head = Bytes.Of(@"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nConnection: X-S\r\nX-S: 1\r\n"
            + @"Content-Length: 3\r\n\r\n");
        var exchange = new Exchange(HeadBounds.Default);
        Assert.Equal(ParseStatus.Complete, exchange.Response.Parse(head));
        byte[] room = new byte[1024];
        var to = new HeadWriter(room);

        ResponseWriter.WriteInterim(ref to, exchange, head);

        Assert.Equal("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", Bytes.Text(room.AsSpan(0, to.Length)));
    }

    [Theory]
    [InlineData("HTTP/1.1", true, "Upgrade: TLS/1.2, HTTP/1.1\r\nConnection: Upgrade\r\n\r\n")]
    [InlineData("HTTP/1.1", false, "Upgrade: TLS/1.2, HTTP/1.1\r\nConnection: Upgrade, close\r\n\r\n")]
    [InlineData("HTTP/1.0", false, "X-Request-Id: the-id\r\nConnection: close\r\n\r\n")]
    public void Write_of_426_says_what_to_upgrade_to(string version, bool keepAlive, string end) => Assert.EndsWith(end,
        Write("HTTP/1.1 426 Upgrade Required\r\nConnection: Upgrade\r\nUpgrade: TLS/1.2, HTTP/1.1\r\n"
            + "Content-Length: 0\r\n\r\n", version: version, keepAlive: keepAlive), StringComparison.Ordinal);

    private const string OfBackend = "RateLimit-Policy: \"b\";q=9\r\nRateLimit: \"b\";r=8\r\nX-RateLimit-Limit: 9\r\n"
        + "x-ratelimit-remaining: 8\r\nX-RateLimit-Reset: 7\r\nX-RateLimit-Resource: core\r\n";

    [Theory]
    [InlineData("200 OK", LimitFields.Standard, "ratelimit-policy ratelimit x-ratelimit-limit x-ratelimit-remaining"
        + " x-ratelimit-reset x-ratelimit-resource", "\"default\"")]
    [InlineData("200 OK", LimitFields.Legacy, "ratelimit-policy ratelimit x-ratelimit-limit x-ratelimit-remaining"
        + " x-ratelimit-reset x-ratelimit-resource", ": 97")]
    [InlineData("200 OK", LimitFields.Both, "ratelimit-policy ratelimit x-ratelimit-limit x-ratelimit-remaining"
        + " x-ratelimit-reset x-ratelimit-resource", ": 97")]
    [InlineData("429 No", LimitFields.Both, "ratelimit-policy ratelimit x-ratelimit-limit x-ratelimit-remaining"
        + " x-ratelimit-reset x-ratelimit-resource", ": 8")] // the backend rejected: it knows better
    [InlineData("200 OK", LimitFields.Off, "ratelimit-policy ratelimit x-ratelimit-limit x-ratelimit-remaining"
        + " x-ratelimit-reset x-ratelimit-resource", ": 8")]
    public void Write_of_limit_fields_that_the_backend_wrote_too_has_each_once(
        string status, LimitFields fields, string names, string value)
    {
        Exchange exchange = Limited("default", new LimitConfig(100, 10), requests: 3);
        exchange.Route = RouteProbe.With(fields);
        string written = Write($"HTTP/1.1 {status}\r\nContent-Length: 3\r\n{OfBackend}\r\n", exchange);
        Assert.Equal(names.Split(' ').Order(StringComparer.Ordinal), written.Split("\r\n")
            .Where(static l => l.Contains("RateLimit", StringComparison.OrdinalIgnoreCase))
            .Select(static l => l.Split(':')[0].ToLowerInvariant()).Order(StringComparer.Ordinal));
        Assert.Contains(value, written, StringComparison.Ordinal);
    }

    // ---- answers of our own

    [Theory]
    [InlineData(400, "Bad Request")]
    [InlineData(404, "Not Found")]
    [InlineData(408, "Request Timeout")]
    [InlineData(413, "Content Too Large")]
    [InlineData(414, "URI Too Long")]
    [InlineData(417, "Expectation Failed")]
    [InlineData(431, "Request Header Fields Too Large")]
    [InlineData(501, "Not Implemented")]
    [InlineData(502, "Bad Gateway")]
    [InlineData(503, "Service Unavailable")]
    [InlineData(504, "Gateway Timeout")]
    [InlineData(505, "HTTP Version Not Supported")]
    public void WriteAnswer_is_a_whole_response_with_a_json_body(int status, string phrase)
    {
        Exchange exchange = Request("GET");
        exchange.Status = status;
        (string[] head, string body) = Answer(exchange, keepAlive: false);

        Assert.Equal($"HTTP/1.1 {status} {phrase}", head[0]);
        Assert.Equal(status == 503, head.Contains("Retry-After: 1", StringComparer.Ordinal));
        Assert.Contains("Connection: close", head);
        using JsonDocument json = JsonDocument.Parse(body);
        Assert.Equal(status, json.RootElement.GetProperty("code").GetInt32());
        Assert.NotEmpty(json.RootElement.GetProperty("message").GetString()!);
        Assert.Equal("the-id", json.RootElement.GetProperty("request_id").GetString());
    }

    [Fact]
    public void WriteAnswer_to_every_fault_names_it()
    {
        foreach (HttpFault fault in Enum.GetValues<HttpFault>().Where(static f => f != HttpFault.None))
        {
            var exchange = new Exchange(HeadBounds.Default) { Fault = fault, Status = fault.Status() };
            (string[] head, string body) = Answer(exchange, keepAlive: false);

            Assert.StartsWith($"HTTP/1.1 {fault.Status()} ", head[0], StringComparison.Ordinal);
            using JsonDocument json = JsonDocument.Parse(body);
            Assert.Matches("^[a-z0-9]+(_[a-z0-9]+)*$", json.RootElement.GetProperty("fault").GetString());
            Assert.NotEqual("The message is not valid HTTP/1.1", json.RootElement.GetProperty("detail").GetString());
        }
    }

    [Fact]
    public void WriteAnswer_of_429_tells_limit_and_wait()
    {
        Exchange exchange = Limited("default", new LimitConfig(2, 0.1), requests: 3);
        (string[] head, string body) = Answer(exchange, keepAlive: true);

        Assert.Equal("HTTP/1.1 429 Too Many Requests", head[0]);
        Assert.Contains("Retry-After: 10", head);
        Assert.Contains("RateLimit-Policy: \"default\";q=2;w=20", head);
        Assert.Contains("RateLimit: \"default\";r=0;t=10", head);
        Assert.DoesNotContain(head, static l => l.StartsWith("Connection", StringComparison.Ordinal));
        using JsonDocument json = JsonDocument.Parse(body);
        Assert.Equal("default", json.RootElement.GetProperty("limit").GetString());
        Assert.Equal(10, json.RootElement.GetProperty("retry_after").GetInt32());
    }

    [Theory]
    [MemberData(nameof(HostileNames))]
    public void WriteAnswer_with_a_hostile_client_name_is_valid_json_in_ascii(string name)
    {
        Exchange exchange = Limited("default", new LimitConfig(1, 1), requests: 2);
        byte[] bytes = Encoding.Latin1.GetBytes(name);
        exchange.ClientName = bytes;
        (_, string body) = Answer(exchange, keepAlive: true);

        Assert.All(body, static c => Assert.InRange(c, ' ', '~'));
        using JsonDocument json = JsonDocument.Parse(body);
        Assert.Equal(Encoding.UTF8.GetString(bytes.AsSpan(0, Math.Min(bytes.Length, 256))),
            json.RootElement.GetProperty("client").GetString());
    }

    [Fact]
    public void WriteAnswer_to_head_has_the_length_but_no_body()
    {
        Exchange toGet = Request("GET");
        Exchange toHead = Request("HEAD");
        toGet.Status = toHead.Status = 404;
        (string[] head, string body) = Answer(toHead, keepAlive: true);
        (string[] expected, string getBody) = Answer(toGet, keepAlive: true);

        Assert.Empty(body);
        Assert.Equal(expected, head);
        Assert.Contains($"Content-Length: {getBody.Length}", head);
    }

    [Fact]
    public void Write_of_a_counted_response_tells_what_is_left()
    {
        Exchange exchange = Limited("default", new LimitConfig(100, 10), requests: 3);
        string written = Write("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", exchange);
        Assert.EndsWith("RateLimit-Policy: \"default\";q=100;w=10\r\nRateLimit: \"default\";r=97;t=1\r\n\r\n",
            written, StringComparison.Ordinal);
    }

    private static Exchange Request(string method, string version = "HTTP/1.1")
    {
        var exchange = new Exchange(HeadBounds.Default) { RequestId = "the-id"u8 };
        Assert.Equal(ParseStatus.Complete,
            exchange.Request.Parse(Encoding.ASCII.GetBytes($"{method} / {version}\r\nHost: a\r\n\r\n")));
        return exchange;
    }

    private static Exchange Limited(string name, LimitConfig config, int requests)
    {
        Exchange exchange = Request("GET");
        exchange.Status = 429;
        exchange.Charge(name, config, requests);
        return exchange;
    }

    private static string Write(string text, string method = "GET", string version = "HTTP/1.1", bool keepAlive = true,
        bool chunked = false) => Write(text, Request(method, version), keepAlive, chunked);

    private static string Write(string text, Exchange exchange, bool keepAlive = true, bool chunked = false)
    {
        byte[] head = Encoding.Latin1.GetBytes(text);
        exchange.Response.ToHead = exchange.Request.Method == Method.Head;
        Assert.Equal(ParseStatus.Complete, exchange.Response.Parse(head));
        byte[] room = new byte[4096];
        var to = new HeadWriter(room);
        ResponseWriter.Write(ref to, exchange, head, Date, keepAlive, chunked);
        return Bytes.Text(room.AsSpan(0, to.Length));
    }

    private static (string[] Head, string Body) Answer(Exchange exchange, bool keepAlive)
    {
        byte[] room = new byte[8192];
        var to = new HeadWriter(room);
        int bodyLength = ResponseWriter.WriteAnswer(ref to, exchange, Date, keepAlive);
        string text = Bytes.Text(room.AsSpan(0, to.Length));
        int headEnd = text.IndexOf("\r\n\r\n", StringComparison.Ordinal);
        string body = text[(headEnd + 4)..];
        string[] head = text[..headEnd].Split("\r\n");
        Assert.Equal(bodyLength, body.Length);
        if (exchange.Request.Method != Method.Head)
        {
            Assert.Contains($"Content-Length: {body.Length}", head);
        }
        return (head, body);
    }
}
