using System.Text.RegularExpressions;

namespace Penstock.IntegrationTests.Differential;

internal enum Difference
{
    /// <summary>They forward more of the message than we.</summary>
    TheyForward,

    /// <summary>We forward more of it than they.</summary>
    WeForward,

    /// <summary>Both forward it, but not the same.</summary>
    Rewritten,

    /// <summary>Nothing or the same is forwarded, and the client gets another kind of answer.</summary>
    Answer,
}

/// <summary>Why proxies differ: what is not here is a finding.</summary>
internal static class Differences
{
    private const string Nginx = "nginx", Haproxy = "HAProxy", Both = "nginx HAProxy";

    /// <param name="Pattern">Which messages, written <c>class: bytes</c>; the escapes of the bytes are text.</param>
    private sealed record Rule(string Others, Difference Kind, string Pattern, string Reason);

    private static readonly Rule[] Rules =
    [
        .. TheyForward(), .. WeForward(),

        new(Haproxy, Difference.Rewritten, @"^target: GET (?i:https?)://a",
            "HAProxy keeps the absolute form, and leaves a default port out of Host"),
        new(Nginx, Difference.Rewritten, @"^target: GET http://",
            "nginx sends the Host field as it came; the target's authority replaces it here (RFC 9112 §3.2.2)"),
        new(Haproxy, Difference.Rewritten, @"^trailer",
            "HAProxy passes trailer fields on, which the recording backend does not know; here they are dropped"),

        new(Both, Difference.Answer, @"(?i)transfer-encoding:",
            "rejected by both: an unknown coding is a 501 for one and a malformed field, 400, for the other; or it "
            + "waits for more of a chunk whose size line ended in LF"),
        new(Both, Difference.Answer, @"^version", "rejected by both, as 400 or as 505; or it waits for more"),
        new(Nginx, Difference.Answer, @"^(method: TRACE|connect:)", "rejected by both, as 405 or 400 there, 501 here"),
        new(Nginx, Difference.Answer, @"^incomplete: GET / HTTP/5.6$",
            "nginx judges the version before the line's end"),
        new(Nginx, Difference.Answer, @"^content-length: .*4294967301",
            "nginx bounds bodies at 1 MiB by default; here the backend was asked"),
        new(Nginx, Difference.Answer, @"^upgrade-data:",
            "what follows is an unfinished request line: nginx rejects at its first byte, here the rest is awaited"),
    ];

    public static Difference? KindOf(Outcome we, Outcome they) =>
        we.Seen.Count < they.Seen.Count ? Difference.TheyForward
        : we.Seen.Count > they.Seen.Count ? Difference.WeForward
        : !we.Seen.SequenceEqual(they.Seen, StringComparer.Ordinal) ? Difference.Rewritten
        : we.Status / 100 != they.Status / 100 ? Difference.Answer : null;

    public static string Words(Difference kind) => kind switch
    {
        Difference.TheyForward => "only they forward",
        Difference.WeForward => "only we forward",
        Difference.Rewritten => "forwarded otherwise",
        _ => "another answer",
    };

    /// <summary>The explanation; null when there is none.</summary>
    public static string? Reason(string other, Difference kind, Message message) =>
        Array.Find(Rules, r => r.Kind == kind && r.Others.Contains(other, StringComparison.Ordinal)
            && Regex.IsMatch($"{message.Class}: {message.Escaped}", r.Pattern, RegexOptions.ExplicitCapture,
                TimeSpan.FromSeconds(1)))?.Reason;

    private static Rule[] TheyForward()
    {
        return
        [
            Rule(Both, @"(?<!\\r)\\n", "a line may end in LF alone (RFC 9112 §2.2 allows it, but not for chunk lines)"),
            Rule(Both, @"^chunk: .*\\r\\n5\\r\\nhell\\r\\n",
                "the end of a chunk's data may be LF alone, so that the CR "
                + "belongs to the data"),
            Rule(Nginx, @"^(http09|request-line): GET /x?\\r\\n",
                "nginx still serves HTTP/0.9, and makes HTTP/1.1 of it"),
            Rule(Both, @"^(leading-crlf: \\r\\n|pipeline: .*\\r\\n\\r\\n\\r\\nGET)",
                "an empty line before a request line is skipped (RFC 9112 §2.2: SHOULD)"),
            Rule(Both, @"^request-line: GET( |\\t) ?/x( |\\t) ?HTTP/1\.1 ?\\r\\n",
                "white space in the request line is repaired (RFC 9112 §3: MAY)"),
            Rule(Both, @"^chunk: .*\\r\\n0{15,}5\\r\\n", "a chunk size may have any number of leading zeros"),
            Rule(Both, @"^chunk: .*\\r\\n5( a?|\\t)\\r\\n", "white space behind a chunk size is skipped"),
            Rule(Both, @"^chunk: .*\\r\\n5;a?\\x0[01]", "chunk extensions are skipped unseen"),
            Rule(Both, @"Content-Length: 0+\d", "Content-Length may have leading zeros"),
            Rule(Haproxy, @"Content-Length: 5(, ?5|\\r\\nContent-Length: 5)\\r\\n",
                "the same Content-Length twice counts as once (RFC 9110 §8.6: MAY)"),
            Rule(Haproxy,
                @"(Transfer-Encoding: chunked\\r\\nContent-Length|Content-Length: \d+\\r\\nTransfer-Encoding: chunked)",
                "Transfer-Encoding wins over Content-Length, which is dropped (RFC 9112 §6.3: MAY)"),
            Rule(Haproxy, "^te-http10:", "Transfer-Encoding is taken from HTTP/1.0 too"),
            Rule(Haproxy, @"Transfer-Encoding: chunked,\\r\\n", "an empty list element is skipped (RFC 9110 §5.6.1)"),
            Rule(Both, @"^expect: .*Expect: x?\\r\\n", "an unknown expectation is passed on or dropped, not a 417"),
            Rule(Haproxy, @"(^host-multiple:|Host: a\\r\\nHost: a)", "the same Host twice counts as once"),
            Rule(Haproxy, @"(^(host-missing|bad-target):|^host: GET /x HTTP/1\.1\\r\\n(Host:|X: y)\\r\\n)",
                "Host may be missing or empty"),
            Rule(Both, @"^host(-invalid)?:", "the syntax of Host is looked at less closely"),
            Rule(Both, "^method: [A-Z]{33,} ", "methods may be longer than 32 bytes"),
            Rule(Haproxy, "^(method: TRACE|connect: CONNECT) ", "TRACE and CONNECT are forwarded"),
            Rule(Nginx, "^(bad-name|field-name|no-colon):",
                "a field whose name is no token is dropped and the rest forwarded (ignore_invalid_headers)"),
            Rule(Haproxy, @"\\r\\n( |\\t)", "folded fields are unfolded (RFC 9112 §5.2: MAY)"),
            Rule(Both, @"^(field-value|nul-in-value|trailer): .*\\x(0[01bc]|1f|7f)",
                "control bytes in a field value are passed on (nginx: not NUL)"),
            Rule(Haproxy, @"^(star-non-options|bad-authority|target): GET (\*|ftp://|http:///|http:// |http://u@)",
                "the form of the target is looked at less closely"),
            Rule(Nginx, @"^target: GET (/\\x80|/x#y|ftp://)", "the bytes of the target are looked at less closely"),
            Rule(Haproxy, @"^version(-major)?: .* HTTP/[0239]\.", "the major version is not looked at"),
            Rule(Nginx, @"^version: .* HTTP/1\.10", "a minor version may have two digits"),
            Rule(Haproxy, "^trailer: .*X : y", "white space before a trailer field's colon is passed on"),
            Rule(Nginx, "^trailer(-bad)?:", "trailer fields are skipped unseen"),
        ];

        static Rule Rule(string others, string pattern, string reason) =>
            new(others, Difference.TheyForward, pattern, reason);
    }

    private static Rule[] WeForward()
    {
        return
        [
            Rule(Haproxy, "^target: GET http://b/x", "a Host other than the target's authority is rejected; here the "
                + "authority counts (RFC 9112 §3.2.2)"),
            Rule(Haproxy, "^upgrade-data:",
                "a WebSocket upgrade without Sec-WebSocket-Key is rejected; here that is for "
                + "the backend to say"),
            Rule(Nginx, @"(Content-Length: 5\\t|Host: \\ta\\t|Transfer-Encoding: \\tchunked)",
                "a tab is not optional white space for nginx (RFC 9110 §5.6.3: it is)"),
            Rule(Nginx, @"^host: .*Host: \.\\r\\n", "nginx rejects an empty label; names are for the backend to judge"),
            Rule(Nginx, "^method: (get|G-E.T) ", "nginx takes capitals, '-' and '_' for a method; RFC 9110 any token"),
            Rule(Nginx, @"^target: GET /(%00|%2e%2e/x|%zz|\.\./x|a%) ",
                "nginx decodes the path and rejects what it cannot; here paths are passed on byte by byte"),
        ];

        static Rule Rule(string others, string pattern, string reason) =>
            new(others, Difference.WeForward, pattern, reason);
    }
}
