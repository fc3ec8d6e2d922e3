using System.Net;
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

public sealed class AccessLineTests
{
    private static readonly DateTimeOffset Time = new(2026, 11, 21, 4, 5, 6, 7, TimeSpan.Zero);

    [Fact]
    public void Write_is_one_json_object_with_everything_that_is_known()
    {
        byte[] head = Bytes.Of(@"GET /p?q=1 HTTP/1.1\r\nHost: example.com:80\r\n\r\n");
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

        Assert.Equal("""
            {"time":"2026-11-21T04:05:06.007Z","client":"alice","identified_by":"header:X-API-Key",
            "client_address":"192.0.2.9","method":"GET","host":"example.com:80","path":"/p?q=1",
            "status":200,"bytes_in":3,"bytes_out":4,"duration_ms":10.250,
            "upstream_ms":1.500,"route":"*/*","upstream":"u","backend":"127.0.0.1:81","retries":1,"limit":"default",
            "tokens_left":7,"reason":"ok","request_id":"the-id"}
            """.ReplaceLineEndings("") + "\n", Line(exchange, head, 11_250_000));
    }

    [Fact]
    public void Write_of_a_request_that_was_not_understood_names_the_fault()
    {
        var exchange = new Exchange(HeadBounds.Default) 
        {
            Fault = HttpFault.BadMethod, Status = 400, Outcome = Outcome.BadRequest,
        };
        using JsonDocument json = JsonDocument.Parse(Line(exchange, default, 0));
        Assert.Equal("", json.RootElement.GetProperty("method").GetString());
        Assert.Equal("", json.RootElement.GetProperty("client_address").GetString());
        Assert.Equal("bad_method", json.RootElement.GetProperty("fault").GetString());
        Assert.Equal("bad_request", json.RootElement.GetProperty("reason").GetString());
        Assert.False(json.RootElement.TryGetProperty("upstream_ms", out _));
        Assert.False(json.RootElement.TryGetProperty("backend", out _));
    }

    [Fact]
    public void Write_of_any_client_name_is_one_line_that_gives_it_back() => Check.One(
        FsCheck.Config.QuickThrowOnFailure.WithMaxTest(100).WithQuietOnSuccess(true),
        Prop.ForAll(ArbMap.Default.ArbFor<byte[]>(), static name =>
        {
            string line = Line(new Exchange(HeadBounds.Default) { ClientName = name }, default, 0);
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

    [Fact]
    public void Write_of_the_longest_and_worst_head_fits_a_line()
    {
        // Each of these characters is valid in its place and takes six bytes when escaped, where there are such.
        byte[] head = Encoding.Latin1.GetBytes($"{new string('M', 32)} /{new string('"', 8000)} HTTP/1.1\r\n"
            + $"Host: {new string('h', 24_000)}\r\n\r\n");
        Exchange exchange = Parsed(head);
        exchange.ClientName = new byte[1000];
        exchange.RequestId = new byte[Exchange.MaxRequestIdBytes];

        using JsonDocument json = JsonDocument.Parse(Line(exchange, head, 0));
        Assert.Equal(2048, json.RootElement.GetProperty("path").GetString()!.Length);
        Assert.Equal(2048, json.RootElement.GetProperty("host").GetString()!.Length);
    }

    private static Exchange Parsed(byte[] head)
    {
        var exchange = new Exchange(HeadBounds.Default);
        Assert.Equal(ParseStatus.Complete, exchange.Request.Parse(head));
        return exchange;
    }

    private static string Line(Exchange exchange, ReadOnlySpan<byte> head, long nowNs)
    {
        byte[] room = new byte[AccessLine.MaxBytes];
        var to = new HeadWriter(room);
        AccessLine.Write(ref to, exchange, head, Time, nowNs);
        return Bytes.Text(room.AsSpan(0, to.Length));
    }
}
