using System.Net;
using Penstock.Proxy;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Routing;
using Penstock.Proxy.Upstreams;
using Penstock.UnitTests.Http1;
using Xunit;

namespace Penstock.UnitTests.Exchanges;

/// <summary>What a route changes on the way, in bytes.</summary>
public sealed class RouteEditsTests
{
    private static readonly ClientAddress Peer = new(new IPEndPoint(IPAddress.Parse("192.0.2.9"), 9), 64);

    [Theory]
    [InlineData("/v1", null, "/v1/users?id=/v1//..", "/users?id=/v1//..")]
    [InlineData("/v1", null, "/v1", "/")]
    [InlineData("/v1", null, "/v1?q", "/?q")]
    [InlineData("/v1", null, "/v1/", "/")]
    [InlineData("/v1", null, "/v1//evil.example/a//b", "/evil.example/a//b")]
    [InlineData("/v1", null, "/v1x/y", "/x/y")]
    [InlineData("/v1/", null, "/v1", "/")]
    [InlineData("/v1/", null, "/v1/a/", "/a/")]
    [InlineData("/v1", null, "/%761/%41%2F%zz", "/%41%2F%zz")]
    [InlineData("/%7Ev", null, "/~v/a", "/a")]
    [InlineData("/~v", "/%7ew", "/%7ev/a", "/%7ew/a")]
    [InlineData("/v1", "/api", "/v1", "/api")]
    [InlineData("/v1", "/api", "/v1/", "/api/")]
    [InlineData("/v1", "/api", "/v1/users", "/api/users")]
    [InlineData("/v1", "/api/", "/v1/users", "/api/users")]
    [InlineData("/v1", "/", "/v1/users", "/users")]
    [InlineData(null, "/shop", "/", "/shop/")]
    [InlineData(null, "/shop", "//a", "/shop/a")]
    [InlineData(null, "/shop", "http://a", "/shop/")]
    [InlineData(null, "/shop", "http://a?q=1", "/shop/?q=1")]
    [InlineData(null, "/shop", "http://a/b?q=1", "/shop/b?q=1")]
    [InlineData("/v1", null, "/other", "/other")]
    public void Rewrite_changes_the_front_of_the_path_and_nothing_else(
        string? strip, string? add, string target, string written)
    {
        string head = Request(new() { Upstream = "u", Rewrite = new() { StripPrefix = strip, AddPrefix = add } },
            $"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.StartsWith($"GET {written} HTTP/1.1\r\nHost: a\r\n", head, StringComparison.Ordinal);
    }

    [Fact]
    public void Rewrite_leaves_the_asterisk_alone() => Assert.StartsWith("OPTIONS * HTTP/1.1\r\n", Request(
        new() { Upstream = "u", Rewrite = new() { AddPrefix = "/a" } }, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"));

    [Fact]
    public void Request_fields_are_dropped_in_any_spelling_and_ours_written_once()
    {
        var edits = new HeaderEditsConfig
        {
            Set = [new("X-User", "us"), new("Host", "inner:81")], Add = [new("X", "2"), new("X", "")],
            Remove = ["Cookie", "X-Gone"],
        };
        string head = Request(new() { Upstream = "u", RequestHeaders = edits }, "GET / HTTP/1.1\r\nHost: outer\r\n"
            + "x-user: them\r\nX_User: them\r\nX-USER: \r\nX: 1\r\ncookie: a\r\nX-gone: 1\r\nx_GONE: 1\r\n"
            + "X-Users: 3\r\nConnection: X-User, X-Users, Host\r\n\r\n");

        Assert.Equal("GET / HTTP/1.1\r\nHost: inner:81\r\nX: 1\r\nX-Forwarded-For: 192.0.2.9\r\n"
            + "X-Forwarded-Proto: http\r\nX-Forwarded-Host: outer\r\nX-User: us\r\nX: 2\r\nX: \r\n"
            + "X-Request-Id: the-id\r\nVia: 1.1 penstock\r\n\r\n", head);
    }

    [Fact]
    public void Response_fields_are_changed_and_framing_is_not()
    {
        var edits = new HeaderEditsConfig
        {
            Set = [new("Cache-Control", "no-store")], Add = [new("Set-Cookie", "b")], Remove = ["server"],
        };
        Exchange exchange = Routed(new() { Upstream = "u", ResponseHeaders = edits }, "GET / HTTP/1.0\r\n\r\n");
        byte[] head = Bytes.Of("HTTP/1.1 200 OK\r\nServer: x\r\nCache-Control: public\r\nSet-Cookie: a\r\n"
            + "cache-control: x\r\nDate: then\r\nContent-Length: 3\r\n\r\n");
        Assert.Equal(ParseStatus.Complete, exchange.Response.Parse(head));
        byte[] room = new byte[1024];
        var to = new HeadWriter(room);
        ResponseWriter.Write(ref to, exchange, head, "today"u8, keepAlive: false, chunked: false);

        Assert.Equal("HTTP/1.1 200 OK\r\nSet-Cookie: a\r\nDate: then\r\nContent-Length: 3\r\nX-Request-Id: the-id\r\n"
            + "Cache-Control: no-store\r\nSet-Cookie: b\r\nConnection: close\r\n\r\n",
            Bytes.Text(room.AsSpan(0, to.Length)));
    }

    [Fact]
    public void Interim_responses_lose_fields_and_get_none()
    {
        var edits = new HeaderEditsConfig { Set = [new("X", "1")], Remove = ["Server"] };
        Exchange exchange = Routed(new() { Upstream = "u", ResponseHeaders = edits }, "GET / HTTP/1.0\r\n\r\n");
        byte[] head = Bytes.Of("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nServer: x\r\nX: 0\r\n\r\n");
        Assert.Equal(ParseStatus.Complete, exchange.Response.Parse(head));
        byte[] room = new byte[1024];
        var to = new HeadWriter(room);
        ResponseWriter.WriteInterim(ref to, exchange, head);

        Assert.Equal("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", Bytes.Text(room.AsSpan(0, to.Length)));
    }

    /// <summary>With every valid configuration, the backend sees exactly one request with the framing of the client.
    /// </summary>
    [Theory]
    [InlineData(11)]
    [InlineData(12)]
    public void Request_with_any_permitted_changes_stays_one_request_with_its_framing(int seed)
    {
        var random = new Random(seed);
        int permitted = 0;
        for (int i = 0; i < 20_000; i++)
        {
            HeaderField field = new(RandomName(random), RandomValue(random));
            if (RouteRules.HeaderNameFault(field.Name, ofResponse: false, isSet: true) is not null
                || RouteRules.HeaderValueFault(field.Name, field.Value) is not null)
            {
                continue;
            }
            permitted++;
            var config = new RouteConfig
            {
                Upstream = "u", RequestHeaders = new() { Set = [field], Remove = [RandomName(random)] },
                Rewrite = new() { AddPrefix = "/p" },
            };
            byte[] head = Bytes.Of(Request(config, "POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"));
            var again = new RequestHead();
            Assert.True(again.Parse(head) == ParseStatus.Complete && again.Length == head.Length
                && again.ContentLength == 5 && again.Target.Of(head).SequenceEqual("/p/a"u8) && again.KeepAlive,
                $"seed {seed}: {field} makes {Bytes.Text(head)}");
        }
        Assert.InRange(permitted, 1000, 19_000);
    }

    private static string RandomName(Random random)
    {
        string[] names =
        [
            "X", "X-A", "Host", "Content-Length", "content_length", "Transfer-Encoding", "Connection", "TE", "Upgrade",
            "Expect", "Via", "X-Forwarded-For", "Max-Forwards", "Proxy-Connection", "Keep-Alive", "Accept",
        ];
        string name = names[random.Next(names.Length)];
        return random.Next(4) > 0 ? name
            : name.Insert(random.Next(name.Length + 1), "\r\n :\t\0\u00e9_a"[random.Next(9)].ToString());
    }

    private static string RandomValue(Random random) => string.Concat(Enumerable.Range(0, random.Next(6)).Select(_ =>
        new[] { "a", " ", "\t", "\r\n", "\n", "\r", "\0", ":", ",", "chunked", "\u00e9", "\u010a", "close" }[
            random.Next(13)]));

    private static string Request(RouteConfig config, string text)
    {
        Exchange exchange = Routed(config, text);
        byte[] room = new byte[4096];
        var to = new HeadWriter(room);
        RequestWriter.Write(ref to, exchange, Bytes.Of(text), Peer);
        return Bytes.Text(room.AsSpan(0, to.Length));
    }

    private static Exchange Routed(RouteConfig config, string text)
    {
        var backend = new Backend("u", new BackendConfig { Host = "127.0.0.1", Port = 1 });
        var upstream = new Upstream(new UpstreamConfig { Name = "u", Backends = [backend.Config] },
            new MonotonicClock(TimeProvider.System));
        var exchange = new Exchange(HeadBounds.Default)
        {
            RequestId = "the-id"u8,
            Route = new Route(config, config.Name, upstream, LimitFields.Standard, LimitRules.None),
        };
        Assert.Equal(ParseStatus.Complete, exchange.Request.Parse(Bytes.Of(text)));
        return exchange;
    }
}
