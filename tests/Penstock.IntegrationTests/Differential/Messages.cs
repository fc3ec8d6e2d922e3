using Penstock.TestKit;

namespace Penstock.IntegrationTests.Differential;

/// <param name="Meant">How many requests a backend may see of it at most.</param>
internal sealed record Message(string Class, string Escaped, int Meant)
{
    public byte[] Content => Bytes.Of(Escaped);
}

/// <summary>The table of hostile messages, and valid requests with one small change.</summary>
internal static class Messages
{
    private const string Fields = @"Host: a\r\n";

    public static IReadOnlyList<Message> All { get; } =
    [
        .. HostileRequests.All.Select(static r => new Message(r.Class, r.Escaped, 1)),
        .. Each("method", $@"{{0}} /x HTTP/1.1\r\n{Fields}\r\n", "GET", "HEAD", "OPTIONS", "DELETE", "TRACE", "PURGE",
            "get", "G-E.T", "G@T", "G(T", @"G\x00T", @"GE\xe9", "ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ"),
        .. Each("target", $@"GET {{0}} HTTP/1.1\r\n{Fields}\r\n", "/", "//x", "/../x", "/%2e%2e/x", "/%00",
            "/x?y=/../z",
            "/x#y", "/a|b", @"/a\x5cb", "/{a}", "/<a>", "/a^b", "/`a", "/\"a", @"/\x7f", @"/\x80", "*", "x", "?x", "",
            "http://a/x", "http://a", "http://b/x", "HTTP://a/x", "https://a/x", "ftp://a/x", "http://a:80/x",
            "http://u@a/x", "http:///x", "//b/x", "/%zz", "/a%"),
        .. Each("request-line", $@"{{0}}\r\n{Fields}\r\n", "GET /x", "GET  /x HTTP/1.1", "GET /x  HTTP/1.1",
            "GET /x HTTP/1.1 ", " GET /x HTTP/1.1", @"GET\t/x HTTP/1.1", @"GET /x\tHTTP/1.1", "GET /x HTTP/1.1 x",
            "GET /x y HTTP/1.1", "GET", @"GET /x HTTP/1.1\r"),
        .. Each("version", $@"GET /x {{0}}\r\n{Fields}\r\n", "HTTP/1.0", "HTTP/1.2", "HTTP/1.9", "HTTP/1.10",
            "HTTP/0.9",
            "HTTP/2.0", "HTTP/3.0", "http/1.1", "HTTP/1,1", "HTTP/01.1", "HTTP/1.", "HTTP/1", "HTTPS/1.1", "HTTP/+1.1"),
        .. Each("host", @"GET /x HTTP/1.1\r\n{0}\r\n\r\n", "Host: a", "host:a", @"Host: \ta\t", "Host: a:80",
            "Host: a:",
            "Host: a:x", "Host: a:99999", "Host: a:100000", "Host: [::1]", "Host: [::1", "Host: ::1", "Host: [::1]x",
            "Host: a/b", "Host: a b", "Host: u@a", "Host: a,b", "Host: a?b", "Host: a#b", "Host: a%41", @"Host: \xe9",
            "Host: a_b", "Host: .", "Host:", @"Host: a\r\nHost: a", @"Host: a\r\nhost: b", "X: y"),
        .. Each("field-name", $@"GET /x HTTP/1.1\r\n{Fields}{{0}}: 1\r\n\r\n", "X", "X_Y", "X.Y", "X Y", "X ", @"X\t",
            " X", @"\tX", "", "X@", "X(", "X/", @"X\x00", @"X\x0b", @"X\x7f", @"X\xe9", "Content_Length",
            "Transfer_Encoding", "'X'", "X\""),
        .. Each("field-value", $@"GET /x HTTP/1.1\r\n{Fields}X: {{0}}\r\n\r\n", "", "a b", @"a\tb", @"\x01", @"a\x00b",
            @"a\x0bb", @"a\x0cb", @"a\x1fb", @"a\x7fb", @"a\x80b", @"a\xffb", @"a\rb", @"a\nb", @"a\nY: b", @"a\r\n b",
            @"a\r\n\tb", @"a\r\n \r\n b"),
        .. Each("content-length", $@"POST /x HTTP/1.1\r\n{Fields}Content-Length: {{0}}\r\n\r\nhello", "5", "05", "005",
            "+5", "-5", "5 ", @"5\t", " 5", "5,5", "5, 5", "5,6", "5;", "0x5", "5.0", "5e0", "five", "", @"\x005",
            @"5\x00", "4294967301", "18446744073709551621", "99999999999999999999", @"5\r\nContent-Length: 5",
            @"5\r\nContent-Length: 4", "5 5", "\"5\"", "5_0"),
        .. Each("transfer-encoding",
            $@"POST /x HTTP/1.1\r\n{Fields}Transfer-Encoding: {{0}}\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "chunked", "Chunked", "CHUNKED", @"\tchunked", "chunked ", "chunked,", ",chunked", "chunked;a",
            "\"chunked\"",
            "chunked x", "xchunked", "identity", "identity, chunked", "gzip", "gzip, chunked", "chunked, gzip",
            "chunked, chunked", "chunked, identity", "", @"\x0bchunked", @"chunked\x00",
            @"chunked\r\nTransfer-Encoding: identity", @"identity\r\nTransfer-Encoding: chunked",
            @"chunked\r\nContent-Length: 5", @"chunked\r\n chunked", @"\r\n chunked"),
        .. Each("chunk", $@"POST /x HTTP/1.1\r\n{Fields}Transfer-Encoding: chunked\r\n\r\n{{0}}\r\n0\r\n\r\n",
            @"5\r\nhello", @"05\r\nhello", @"0000000000000005\r\nhello", @"00000000000000005\r\nhello", @" 5\r\nhello",
            @"5 \r\nhello", @"5\t\r\nhello", @"5;\r\nhello", @"5;a\r\nhello", @"5;a=b\r\nhello", @"5; a = b\r\nhello",
            @"5;a=""b;\x5c""c""\r\nhello", @"5;a=""\n""\r\nhello", @"5;a\x00\r\nhello", @"5;\x01\r\nhello",
            @"5 a\r\nhello",
            @"+5\r\nhello", @"-5\r\nhello", @"0x5\r\nhello", @"5.\r\nhello", @"5\nhello", @"5\rhello", @"5\r\rhello",
            @"5\r\nhelloX", @"5\r\nhell", @"5\r\nhello\n5\r\nworld", @"g\r\nhello", @"\r\nhello",
            @"100000000000000005\r\nhello", @"5;a\nhello", @"5\r\n\nello"),
        .. Each("trailer",
            $@"POST /x HTTP/1.1\r\n{Fields}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n{{0}}\r\n\r\n",
            "X: y", "Host: b", "Content-Length: 9", "Transfer-Encoding: chunked", "X", "X : y", ": y", @"X: \x00",
            @"X: y\r\n z", @"X: y\nZ: z", @"X\x00: y", " X: y"),
        .. Each("connection", $@"GET /x HTTP/1.1\r\n{Fields}Connection: {{0}}\r\n\r\n", "close", "keep-alive", "host",
            "content-length", "transfer-encoding", "x-y, close", "", ",", "upgrade"),
        .. Each("expect", $@"POST /x HTTP/1.1\r\n{Fields}Expect: {{0}}\r\nContent-Length: 5\r\n\r\nhello",
            "100-continue",
            "100-Continue", "x", ""),
        .. Each("pipeline", $@"GET /x HTTP/1.1\r\n{Fields}\r\n{{0}}", 2, $@"GET /y HTTP/1.1\r\n{Fields}\r\n",
            $@"\r\nGET /y HTTP/1.1\r\n{Fields}\r\n", $@"\nGET /y HTTP/1.1\r\n{Fields}\r\n", "G", @"\x16\x03\x01"),
        .. Each("after-close", $@"GET /x HTTP/1.1\r\n{Fields}Connection: close\r\n\r\n{{0}}",
            $@"GET /y HTTP/1.1\r\n{Fields}\r\n"),
        .. Each("cl-te", $@"POST /x HTTP/1.1\r\n{Fields}{{0}}\r\n\r\n0\r\n\r\nGET /y HTTP/1.1\r\n{Fields}\r\n", 2,
            @"Content-Length: 5\r\nTransfer-Encoding: chunked", @"Transfer-Encoding: chunked\r\nContent-Length: 5",
            @"Content-Length: 5\r\nTransfer-Encoding : chunked", @"Content-Length: 5\r\nTransfer-Encoding: xchunked",
            @"Content-Length: 5\r\nTransfer_Encoding: chunked", @"Content-Length: 5\nTransfer-Encoding: chunked"),
    ];

    private static IEnumerable<Message> Each(string kind, string pattern, params string[] variants) =>
        Each(kind, pattern, 1, variants);

    private static IEnumerable<Message> Each(string kind, string pattern, int meant, params string[] variants) =>
        variants.Select(v => new Message(kind, pattern.Replace("{0}", v, StringComparison.Ordinal), meant));
}
