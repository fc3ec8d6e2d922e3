using System.Net;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Http1;
using Penstock.UnitTests.Http1;
using Xunit;

namespace Penstock.UnitTests.Exchanges;

public sealed class RequestWriterTests
{
    private const string Via = "X-Request-Id: the-id\r\nVia: 1.1 penstock\r\n\r\n";
    private static readonly ClientAddress Peer = new(new IPEndPoint(IPAddress.Parse("192.0.2.9"), 9), 64);

    [Fact]
    public void Write_of_a_plain_request_keeps_bytes_and_order_and_adds_ours() => Assert.Equal(
        "GET /%61/%2E%2E/b?x=/../ HTTP/1.1\r\nHost: a:80\r\nX: 1\r\ny: 2\r\n"
            + "X: 3\r\nAuthorization: Basic \u00ff\r\nIf-None-Match: \"x\"\r\nX-Forwarded-For: 192.0.2.9\r\n"
            + "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a:80\r\n" + Via,
        Write("GET /%61/%2E%2E/b?x=/../ HTTP/1.1\r\nX:1\r\ny:  2\t\r\nHost: a:80\r\nX: 3\r\n"
            + "Authorization: Basic \u00ff\r\nIf-None-Match: \"x\"\r\n\r\n"));

    [Fact]
    public void Write_removes_what_is_for_one_hop()
    {
        string written = Write("GET / HTTP/1.1\r\nHost: a\r\nConnection: X-S, close\r\nX-S: 1\r\nx-s: 2\r\n"
            + "Keep-Alive: 5\r\nProxy-Connection: x\r\nTE: gzip\r\nTrailer: X\r\nUpgrade: ws\r\nX-T: 1\r\n\r\n");

        Assert.Equal(["Host", "X-T", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id", "Via"],
            NamesOf(written));
    }

    [Fact]
    public void Write_keeps_what_a_client_must_not_nominate_away()
    {
        const string names = "Host, Content-Length, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, "
            + "X-Request-Id, Via, Forwarded";
        string written = Write("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nForwarded: for=x\r\nVia: 1.1 v\r\n"
            + "X-Forwarded-For: 10.1.1.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: h\r\n"
            + $"Connection: {names}\r\n\r\n", trusted: true);

        Assert.Equal("POST / HTTP/1.1\r\nHost: a\r\nForwarded: for=x\r\nVia: 1.1 v\r\nX-Forwarded-Proto: https\r\n"
            + "X-Forwarded-Host: h\r\nContent-Length: 3\r\nX-Forwarded-For: 10.1.1.1, 192.0.2.9\r\n" + Via, written);
    }

    [Fact]
    public void Write_of_chunked_cannot_lose_its_framing_by_nomination()
    {
        string written = Write("POST / HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\n"
            + "Transfer-Encoding: chunked\r\n\r\n");
        Assert.Contains("\r\nTransfer-Encoding: chunked\r\n", written, StringComparison.Ordinal);
        Assert.DoesNotContain("Content-Length", written, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_of_a_strangers_forwarded_fields_drops_them()
    {
        string written = Write("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n"
            + "X-Forwarded-Host: evil\r\nForwarded: for=1.1.1.1\r\nX-Request-Id: theirs\r\n\r\n");
        Assert.Equal("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: http\r\n"
            + "X-Forwarded-Host: a\r\n" + Via, written);
    }

    [Theory]
    [InlineData("X-Forwarded-Prefix")]
    [InlineData("X-Forwarded-Port")]
    [InlineData("x-forwarded-ssl")]
    [InlineData("X-Forwarded-Server")]
    [InlineData("X-Forwarded-Anything-Else-That-Comes-Up")]
    [InlineData("X_Forwarded_Prefix")]
    [InlineData("X-Forwarded_Anything-Else-That-Comes-Up")]
    [InlineData("X-Real-IP")]
    [InlineData("X_Real_IP")]
    [InlineData("X-Client-IP")]
    [InlineData("X-Cluster-Client-IP")]
    [InlineData("True-Client-IP")]
    [InlineData("Forwarded-For")]
    [InlineData("X-Forwarded")]
    [InlineData("X-Original-Forwarded-For")]
    [InlineData("X-Original-URL")]
    [InlineData("X-Original-Host")]
    [InlineData("X-Rewrite-URL")]
    [InlineData("X-Scheme")]
    [InlineData("X-Url-Scheme")]
    [InlineData("Front-End-Https")]
    public void Write_of_what_a_stranger_says_about_itself_drops_it(string name)
    {
        string request = $"GET / HTTP/1.1\r\nHost: a\r\n{name}: 6.6.6.6\r\n\r\n";
        Assert.DoesNotContain(name, NamesOf(Write(request)));
        Assert.Equal(!name.Contains('_', StringComparison.Ordinal),
            NamesOf(Write(request, trusted: true)).Contains(name));
    }

    [Theory]
    [InlineData("X-Forward")]
    [InlineData("X-Forwards-For")]
    [InlineData("CF-Connecting-IP")]
    [InlineData("X-Realm")]
    [InlineData("X-Scheme-2")]
    [InlineData("X-RateLimit-Limit")]
    public void Write_of_a_strangers_other_fields_keeps_them(string name) =>
        Assert.Contains(name, NamesOf(Write($"GET / HTTP/1.1\r\nHost: a\r\n{name}: 1\r\n\r\n")));

    [Fact]
    public void Write_of_an_upgrade_with_a_body_keeps_both()
    {
        string written = Write("POST /exec/1/start HTTP/1.1\r\nHost: docker\r\nConnection: Upgrade\r\n"
            + "Upgrade: tcp\r\nContent-Length: 30\r\n\r\n");
        Assert.Contains("\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n", written, StringComparison.Ordinal);
        Assert.Contains("\r\nContent-Length: 30\r\n", written, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_of_a_trusted_peers_forwarded_fields_appends_to_them()
    {
        string written = Write("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2\r\n"
            + "X-Forwarded-For:\r\nx-forwarded-for: 3.3.3.3\r\n\r\n", trusted: true);
        Assert.Equal("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.9\r\n"
            + "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n" + Via, written);
    }

    [Theory]
    [InlineData("", false, "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n")]
    [InlineData("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-Proto: https\r\n", false,
        "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n")]
    [InlineData("", true, "X-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n")]
    [InlineData("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2.2.2.2\r\nX-Forwarded-Proto: https\r\n", true,
        "X-Forwarded-Proto: https\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nX-Forwarded-Host: a\r\n")]
    public void Write_of_a_peer_behind_a_unix_socket_names_addresses_only(
        string fields, bool trusted, string written) =>
        Assert.Equal("GET / HTTP/1.1\r\nHost: a\r\n" + written + Via, Write(
            $"GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n", trusted, new ClientAddress(null, 64)));

    [Theory]
    [InlineData("GET http://a:1/p?q HTTP/1.1", "GET /p?q HTTP/1.1", "a:1")]
    [InlineData("GET http://a HTTP/1.1", "GET / HTTP/1.1", "a")]
    [InlineData("GET http://a?q HTTP/1.1", "GET /?q HTTP/1.1", "a")]
    [InlineData("OPTIONS http://a HTTP/1.1", "OPTIONS * HTTP/1.1", "a")]
    [InlineData("OPTIONS http://a/ HTTP/1.1", "OPTIONS / HTTP/1.1", "a")]
    [InlineData("OPTIONS * HTTP/1.1", "OPTIONS * HTTP/1.1", "host")]
    [InlineData("PURGE /x HTTP/1.7", "PURGE /x HTTP/1.1", "host")]
    public void Write_of_any_target_form_is_one_that_servers_know(string line, string written, string host) =>
        Assert.StartsWith($"{written}\r\nHost: {host}\r\nX-Forwarded-For: 192.0.2.9\r\nX-Forwarded-Proto: http\r\n"
            + $"X-Forwarded-Host: {host}\r\n", Write(line + "\r\nHost: host\r\n\r\n"), StringComparison.Ordinal);

    [Fact]
    public void Write_of_http10_says_so_in_via_only()
    {
        string written = Write("GET / HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n");
        Assert.StartsWith("GET / HTTP/1.1\r\n", written, StringComparison.Ordinal);
        Assert.EndsWith("\r\nVia: 1.0 penstock\r\n\r\n", written, StringComparison.Ordinal);
        Assert.DoesNotContain("Expect", written, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("Expect: 100-continue\r\nContent-Length: 1\r\n", "Expect: 100-continue\r\nContent-Length: 1\r\n")]
    [InlineData("Expect: 100-continue\r\n", "")]
    [InlineData("Content-Length: 0\r\n", "Content-Length: 0\r\n")]
    [InlineData("", "")]
    public void Write_of_framing_and_expectation_is_what_was_understood(string fields, string written) =>
        Assert.StartsWith("POST / HTTP/1.1\r\nHost: a\r\n" + written + "X-Forwarded-For: ",
            Write("POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"), StringComparison.Ordinal);

    private static string Write(string text, bool trusted = false, ClientAddress? peer = null)
    {
        byte[] head = Bytes.Of(text);
        var exchange = new Exchange(HeadBounds.Default) { PeerTrusted = trusted, RequestId = "the-id"u8 };
        Assert.Equal(ParseStatus.Complete, exchange.Request.Parse(head));
        byte[] room = new byte[4096];
        var to = new HeadWriter(room);
        RequestWriter.Write(ref to, exchange, head, peer ?? Peer);
        return Bytes.Text(room.AsSpan(0, to.Length));
    }

    private static IEnumerable<string> NamesOf(string head) => head.Split("\r\n").Skip(1)
        .Where(static l => l.Length > 0).Select(static l => l[..l.IndexOf(':', StringComparison.Ordinal)]);
}
