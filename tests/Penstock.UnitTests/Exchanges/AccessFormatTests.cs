using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using FsCheck;
using FsCheck.Fluent;
using Penstock.Proxy;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Observability;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Routing;
using Penstock.Proxy.Upstreams;
using Penstock.UnitTests.Http1;
using Xunit;
using Outcome = Penstock.Proxy.Exchanges.Outcome;

namespace Penstock.UnitTests.Exchanges;

public sealed class AccessFormatTests
{
    private static readonly DateTimeOffset Time = new(2026, 11, 21, 4, 5, 6, 7, TimeSpan.Zero);

    [Fact]
    public void Json_line_is_one_object_with_everything_that_is_known()
    {
        Exchange exchange = Whole(out byte[] head);

        Assert.Equal("""
            {"time":"2026-11-21T04:05:06.007Z","client":"alice","identified_by":"header:X-API-Key",
            "client_address":"192.0.2.9","method":"GET","host":"example.com:80","path":"/p",
            "status":200,"bytes_in":3,"bytes_out":4,"duration_ms":10.250,
            "upstream_ms":1.500,"route":"*/*","upstream":"u","backend":"127.0.0.1:81","retries":1,"limit":"default",
            "tokens_left":7,"reason":"ok","request_id":"the-id"}
            """.ReplaceLineEndings("") + "\n", Line(exchange, head, new(), 11_250_000));
    }

    [Fact]
    public void Json_line_of_a_sample_says_how_many_requests_it_stands_for() =>
        Assert.Contains(",\"sample\":100,", Line(Whole(out byte[] head), head, new(), sample: 100));

    [Fact]
    public void Combined_line_is_that_of_nginx()
    {
        const string Expected = """
            192.0.2.9 - - [21/Nov/2026:04:05:06 +0000] "GET /p HTTP/1.1" 200 4 "http://b/c" "curl/8 \x22a\x22"

            """;
        Assert.Equal(Expected, Line(Whole(out byte[] head), head, new() { Format = "combined" }));

        var nothing = new Exchange(HeadBounds.Default);
        Assert.Equal("- - - [21/Nov/2026:04:05:06 +0000] \"-\" 499 0 \"-\" \"-\"\n",
            Line(nothing, default, new() { Format = "combined" }));
    }

    [Theory]
    [InlineData("$client_address $method $path $status $duration_ms $reason", "192.0.2.9 GET /p 200 10.250 ok")]
    [InlineData("$$client costs $5, $ $client.", "$alice costs $5, $ alice.")]
    [InlineData("$fault|$exempt|$sample|$dry_run_rejects|$tokens_left", "-|-|-|-|7")]
    [InlineData("é\t$host", "\u00c3\u00a9\texample.com:80")]
    public void Line_of_a_template_has_the_values_in_place_of_the_names(string template, string line) =>
        Assert.Equal(line + "\n", Line(Whole(out byte[] head), head, new() { Format = template }, 11_250_000));

    [Fact]
    public void Query_stands_in_the_line_only_if_asked_for_and_never_a_credential()
    {
        Exchange exchange = Whole(out byte[] head);
        AccessLogConfig plain = new() { Format = "$path $request $referer" };

        Assert.Equal("/p GET /p HTTP/1.1 http://b/c\n", Line(exchange, head, plain));
        Assert.Equal("/p?q=1&my_id=***&API-Key=*** GET /p?q=1&my_id=***&API-Key=*** HTTP/1.1 http://b/c?token=***\n",
            Line(exchange, head, plain with { ShowsQuery = true }));
        Assert.Contains("\"path\":\"/p?q=1&my_id=***&API-Key=***\"",
            Line(exchange, head, new() { ShowsQuery = true }));
    }

    [Theory]
    [InlineData("", "")]
    [InlineData("a=1", "a=1")]
    [InlineData("apikey=s&a", "apikey=***&a")]
    [InlineData("%61pi.key=s;a=b;token=x;", "%61pi.key=***;a=b;token=***;")]
    [InlineData("api_key&api_key=", "api_key&api_key=")]
    [InlineData("my.id=a=b&&my_idx=c", "my.id=***&&my_idx=c")]
    [InlineData("key=a&key=a&key=a", "key=***&key=***&key=***")]
    public void Mask_hides_the_values_of_credentials(string query, string masked)
    {
        byte[] room = new byte[2 * query.Length];
        Assert.Equal(masked, Bytes.Text(Mask.Write(Encoding.ASCII.GetBytes(query), room)));
    }

    [Fact]
    public void Client_that_is_named_by_authorization_is_shown_by_its_hash()
    {
        Exchange exchange = Whole(out byte[] head);
        exchange.IdentifiedBy = "header:AUTHORIZATION"u8.ToArray();
        string hash = Convert.ToHexStringLower(SHA256.HashData("alice"u8));

        Assert.Equal($"sha256:{hash}\n", Line(exchange, head, new() { Format = "$client" }));
        exchange.ClientName = Encoding.ASCII.GetBytes($"sha256:{hash}");
        Assert.Equal($"sha256:{hash}\n", Line(exchange, head, new() { Format = "$client" }));
    }

    [Fact]
    public void Line_for_a_terminal_is_short_and_coloured_only_if_wanted()
    {
        Exchange exchange = Whole(out byte[] head);
        var log = new AccessLogConfig { Terminal = TerminalLines.Plain };
        string clock = Time.LocalDateTime.ToString("HH:mm:ss", CultureInfo.InvariantCulture);

        Assert.Equal($"{clock} 200 GET /p alice -> 127.0.0.1:81 10.250 ms\n", Line(exchange, head, log, 11_250_000));
        (exchange.Status, exchange.Outcome, exchange.Backend) = (429, Outcome.RateLimited, null);
        Assert.Equal(
            $"\e[2m{clock}\e[0m \e[33m429\e[0m GET /p alice 10.250 ms\e[33m rate_limited\e[0m\n",
            Line(exchange, head, log with { Terminal = TerminalLines.Coloured }, 11_250_000));
        exchange.ClientName = default;
        Assert.EndsWith(" 429 GET /p 192.0.2.9 10.250 ms rate_limited\n", Line(exchange, head, log, 11_250_000));
        Assert.StartsWith("{", Line(exchange, head, log with { To = AccessLogTarget.File("./a") }));
        Assert.StartsWith("{", Line(exchange, head, log with { Format = "json" }));
    }

    [Fact]
    public void Every_variable_has_a_name_of_its_own_and_a_meaning()
    {
        Assert.Distinct(AccessLogRules.Variables);
        Assert.All(AccessVariables.All, static v => Assert.True(v.Name.Length > 0 && v.Meaning.Length > 0));
        string all = string.Concat(AccessLogRules.Variables.Select(static v => $"${v},"));
        Assert.Null(AccessLogRules.UnknownVariable(all));
        Assert.Equal("nope", AccessLogRules.UnknownVariable("$client $nope"));
    }

    [Fact]
    public void Json_line_of_a_request_that_was_not_understood_names_the_fault()
    {
        var exchange = new Exchange(HeadBounds.Default) 
        {
            Fault = HttpFault.BadMethod, Status = 400, Outcome = Outcome.BadRequest,
        };
        using JsonDocument json = JsonDocument.Parse(Line(exchange, default, new()));
        Assert.Equal("", json.RootElement.GetProperty("method").GetString());
        Assert.Equal("", json.RootElement.GetProperty("client_address").GetString());
        Assert.Equal("bad_method", json.RootElement.GetProperty("fault").GetString());
        Assert.Equal("bad_request", json.RootElement.GetProperty("reason").GetString());
        Assert.False(json.RootElement.TryGetProperty("upstream_ms", out _));
        Assert.False(json.RootElement.TryGetProperty("backend", out _));
    }

    [Fact]
    public void Json_line_of_any_client_name_is_one_line_that_gives_it_back() => Check.One(
        FsCheck.Config.QuickThrowOnFailure.WithMaxTest(100).WithQuietOnSuccess(true),
        Prop.ForAll(ArbMap.Default.ArbFor<byte[]>(), static name =>
        {
            string line = Line(new Exchange(HeadBounds.Default) { ClientName = name }, default, new());
            Assert.All(line[..^1], static c => Assert.InRange(c, ' ', '~'));
            Assert.Equal('\n', line[^1]);
            using JsonDocument json = JsonDocument.Parse(line);
            Assert.Equal(Encoding.UTF8.GetString(name), json.RootElement.GetProperty("client").GetString());
        }));

    [Theory]
    [InlineData("\u00f0\u009f\u0090\u00a7", "\"\\ud83d\\udc27\"")]
    [InlineData("a\"b\\c\nd\u007f", "\"a\\u0022b\\u005cc\\u000ad\\u007f\"")]
    [InlineData("\u00ff\u00c3", "\"\\ufffd\\ufffd\"")]
    [InlineData("", "\"\"")]
    public void AddJsonString_escapes_all_but_printable_ascii(string bytes, string written)
    {
        byte[] room = new byte[64];
        var to = new HeadWriter(room);
        JsonText.AddString(ref to, Encoding.Latin1.GetBytes(bytes));
        Assert.Equal(written, Bytes.Text(room.AsSpan(0, to.Length)));
    }

    [Theory]
    [InlineData("\u00f0\u009f\u0090\u00a7", "\\xF0\\x9F\\x90\\xA7")]
    [InlineData("a\"b\\c\nd\u007f e", "a\\x22b\\x5Cc\\x0Ad\\x7F e")]
    [InlineData("", "")]
    public void AddEscaped_of_plain_text_leaves_only_printable_ascii(string bytes, string written)
    {
        byte[] room = new byte[64];
        var to = new HeadWriter(room);
        PlainText.AddEscaped(ref to, Encoding.Latin1.GetBytes(bytes));
        Assert.Equal(written, Bytes.Text(room.AsSpan(0, to.Length)));
    }

    /// <summary>Each character of this head is valid in its place and as long as possible when escaped.</summary>
    [Theory]
    [InlineData(null)]
    [InlineData("combined")]
    [InlineData("$path$request$host$user_agent")]
    public void Line_of_the_longest_and_worst_head_fits(string? format)
    {
        byte[] head = Encoding.Latin1.GetBytes($"{new string('M', 32)} /?{new string('"', 8000)} HTTP/1.1\r\n"
            + $"Host: {new string('h', 8000)}\r\nReferer: {new string('"', 8000)}\r\n"
            + $"User-Agent: {new string('"', 8000)}\r\n\r\n");
        Exchange exchange = Parsed(head);
        exchange.ClientName = new byte[1000];
        exchange.RequestId = new byte[Exchange.MaxRequestIdBytes];

        string line = Line(exchange, head, new() { Format = format, ShowsQuery = true });
        if (format is null)
        {
            using JsonDocument json = JsonDocument.Parse(line);
            Assert.Equal(2048, json.RootElement.GetProperty("path").GetString()!.Length);
            Assert.Equal(2048, json.RootElement.GetProperty("host").GetString()!.Length);
        }
        Assert.InRange(AccessFormat.Of(new() { Format = format }).MaxBytes, line.Length, AccessLogRules.MaxLineBytes);
    }

    private static Exchange Parsed(byte[] head)
    {
        var exchange = new Exchange(HeadBounds.Default);
        Assert.Equal(ParseStatus.Complete, exchange.Request.Parse(head));
        return exchange;
    }

    private static QueryMask Mask { get; } = new([new IdentitySource(IdentityKind.Query, "my_id")]);

    /// <summary>An exchange of which everything is known.</summary>
    private static Exchange Whole(out byte[] head)
    {
        head = Bytes.Of(@"GET /p?q=1&my_id=alice&API-Key=s HTTP/1.1\r\nHost: example.com:80\r\n"
            + @"Referer: http://b/c?token=x\r\nUser-Agent: curl/8 ""a""\r\nAuthorization: Basic c2VjcmV0\r\n\r\n");
        Exchange exchange = Parsed(head);
        exchange.ClientName = "alice"u8;
        exchange.IdentifiedBy = "header:X-API-Key"u8.ToArray();
        exchange.RequestId = "the-id"u8;
        exchange.Caller = new ClientAddress(new IPEndPoint(IPAddress.Parse("192.0.2.9"), 1), 64);
        exchange.Status = 200;
        (exchange.BytesIn, exchange.BytesOut, exchange.Retries) = (3, 4, 1);
        (exchange.StartNs, exchange.SentNs, exchange.ResponseNs) = (1_000_000, 2_000_000, 3_500_000);
        var backend = new Backend("u", new BackendConfig { Host = "127.0.0.1", Port = 81 });
        var upstream = new Upstream(new UpstreamConfig { Name = "u", Backends = [backend.Config] },
            new MonotonicClock(TimeProvider.System));
        exchange.Route = new Route(
            new RouteConfig { Upstream = "u" }, "*/*", upstream, LimitFields.Standard, LimitRules.None);
        exchange.Backend = backend;
        exchange.Charge("default", new LimitConfig(10, 1), requests: 3);
        return exchange;
    }

    private static string Line(
        Exchange exchange, ReadOnlySpan<byte> head, AccessLogConfig config, long nowNs = 0, int sample = 1)
    {
        var format = AccessFormat.Of(config);
        byte[] room = new byte[format.MaxBytes];
        var to = new HeadWriter(room);
        format.Write(ref to, new AccessEntry
        {
            Exchange = exchange,
            Head = head,
            Time = Time,
            NowNs = nowNs,
            Room = new byte[AccessEntry.RoomBytes],
            Queries = config.ShowsQuery ? Mask : null,
            Sample = sample,
        });
        return Bytes.Text(room.AsSpan(0, to.Length));
    }
}
