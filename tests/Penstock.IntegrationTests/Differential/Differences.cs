using System.Text.RegularExpressions;

namespace Penstock.IntegrationTests.Differential;

internal enum Difference
{
    /// <summary>The other proxy forwards more of the message.</summary>
    TheyForward,

    /// <summary>Penstock forwards more of it.</summary>
    WeForward,

    /// <summary>Both forward it, but differently.</summary>
    Rewritten,

    /// <summary>Nothing or the same is forwarded, and the client gets another kind of answer.</summary>
    Answer,
}

/// <summary>Explains why proxies differ; a difference without a rule fails the test.</summary>
internal static class Differences
{
    private const string Nginx = "nginx", Haproxy = "HAProxy", Both = "nginx HAProxy";

    /// <param name="Pattern">Which messages, written <c>class: bytes</c>; the escapes of the bytes are text.</param>
    private sealed record Rule(string Others, Difference Kind, string Pattern, string Reason);

    private static readonly Rule[] Rules =
    [
        .. TheyForward(), .. WeForward(),

        new(Haproxy, Difference.Rewritten, @"^target: GET (?i:https?)://a",
            "HAProxy keeps the absolute form, and omits a default port in Host"),
        new(Nginx, Difference.Rewritten, @"^target: GET http://",
            "nginx forwards the Host field; Penstock replaces it by the target's authority (RFC 9112 §3.2.2)"),
        new(Haproxy, Difference.Rewritten, @"^trailer",
            "HAProxy forwards trailer fields, which the recording backend does not know; Penstock drops them"),

        new(Both, Difference.Answer, @"(?i)transfer-encoding:",
            "both reject it: an unknown coding is a 501 for one and a malformed field, 400, for the other; or the "
            + "other waits for more of a chunk whose size line ended in LF"),
        new(Both, Difference.Answer, @"^version", "both reject it, with 400 or 505; or the other waits for more"),
        new(Nginx, Difference.Answer, @"^(method: TRACE|connect:)",
            "both reject it: nginx with 405 or 400, Penstock with 501"),
        new(Nginx, Difference.Answer, @"^incomplete: GET / HTTP/5.6$",
            "nginx checks the version before the end of the line"),
        new(Nginx, Difference.Answer, @"^content-length: .*4294967301",
            "nginx limits bodies to 1 MiB by default; Penstock has asked the backend"),
        new(Nginx, Difference.Answer, @"^upgrade-data:",
            "an unfinished request line follows: nginx rejects its first byte, Penstock waits for the rest"),
    ];

    public static Difference? KindOf(Outcome we, Outcome they) =>
        we.Seen.Count < they.Seen.Count ? Difference.TheyForward
        : we.Seen.Count > they.Seen.Count ? Difference.WeForward
        : !we.Seen.SequenceEqual(they.Seen, StringComparer.Ordinal) ? Difference.Rewritten
        : we.Status / 100 != they.Status / 100 ? Difference.Answer : null;

    public static string Words(Difference kind) => kind switch
    {
        Difference.TheyForward => "only the other forwards",
        Difference.WeForward => "only Penstock forwards",
        Difference.Rewritten => "forwarded differently",
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
                "the end of a chunk's data may be LF alone, so the CR belongs to the data"),
            Rule(Nginx, @"^(http09|request-line): GET /x?\\r\\n",
                "nginx still accepts HTTP/0.9, and converts it to HTTP/1.1"),
            Rule(Both, @"^(leading-crlf: \\r\\n|pipeline: .*\\r\\n\\r\\n\\r\\nGET)",
                "an empty line before a request line is skipped (RFC 9112 §2.2: SHOULD)"),
            Rule(Both, @"^request-line: GET( |\\t) ?/x( |\\t) ?HTTP/1\.1 ?\\r\\n",
                "white space in the request line is repaired (RFC 9112 §3: MAY)"),
            Rule(Both, @"^chunk: .*\\r\\n0{15,}5\\r\\n", "a chunk size may have any number of leading zeros"),
            Rule(Both, @"^chunk: .*\\r\\n5( a?|\\t)\\r\\n", "white space after a chunk size is skipped"),
            Rule(Both, @"^chunk: .*\\r\\n5;a?\\x0[01]", "chunk extensions are skipped unchecked"),
            Rule(Both, @"Content-Length: 0+\d", "Content-Length may have leading zeros"),
            Rule(Haproxy, @"Content-Length: 5(, ?5|\\r\\nContent-Length: 5)\\r\\n",
                "the same Content-Length twice counts as once (RFC 9110 §8.6: MAY)"),
            Rule(Haproxy,
                @"(Transfer-Encoding: chunked\\r\\nContent-Length|Content-Length: \d+\\r\\nTransfer-Encoding: chunked)",
                "Transfer-Encoding wins over Content-Length, which is dropped (RFC 9112 §6.3: MAY)"),
            Rule(Haproxy, "^te-http10:", "Transfer-Encoding is accepted from HTTP/1.0 too"),
            Rule(Haproxy, @"Transfer-Encoding: chunked,\\r\\n", "an empty list element is skipped (RFC 9110 §5.6.1)"),
            Rule(Both, @"^expect: .*Expect: x?\\r\\n",
                "an unknown expectation is forwarded or dropped, instead of a 417"),
            Rule(Haproxy, @"(^host-multiple:|Host: a\\r\\nHost: a)", "the same Host twice counts as once"),
            Rule(Haproxy, @"(^(host-missing|bad-target):|^host: GET /x HTTP/1\.1\\r\\n(Host:|X: y)\\r\\n)",
                "Host may be missing or empty"),
            Rule(Both, @"^host(-invalid)?:", "the syntax of Host is checked less strictly"),
            Rule(Both, "^method: [A-Z]{33,} ", "methods may be longer than 32 bytes"),
            Rule(Haproxy, "^(method: TRACE|connect: CONNECT) ", "TRACE and CONNECT are forwarded"),
            Rule(Nginx, "^(bad-name|field-name|no-colon):",
                "a field whose name is not a token is dropped, the rest is forwarded (ignore_invalid_headers)"),
            Rule(Haproxy, @"\\r\\n( |\\t)", "folded fields are unfolded (RFC 9112 §5.2: MAY)"),
            Rule(Both, @"^(field-value|nul-in-value|trailer): .*\\x(0[01bc]|1f|7f)",
                "control bytes in a field value are forwarded (nginx: except NUL)"),
            Rule(Haproxy, @"^(star-non-options|bad-authority|target): GET (\*|ftp://|http:///|http:// |http://u@)",
                "the form of the target is checked less strictly"),
            Rule(Nginx, @"^target: GET (/\\x80|/x#y|ftp://)", "the bytes of the target are checked less strictly"),
            Rule(Haproxy, @"^version(-major)?: .* HTTP/[0239]\.", "the major version is not checked"),
            Rule(Nginx, @"^version: .* HTTP/1\.10", "a minor version may have two digits"),
            Rule(Haproxy, "^trailer: .*X : y", "white space before a trailer field's colon is forwarded"),
            Rule(Nginx, "^trailer(-bad)?:", "trailer fields are skipped unchecked"),
        ];

        static Rule Rule(string others, string pattern, string reason) =>
            new(others, Difference.TheyForward, pattern, reason);
    }

    private static Rule[] WeForward()
    {
        return
        [
            Rule(Haproxy, "^target: GET http://b/x", "HAProxy rejects a Host other than the target's authority; "
                + "Penstock uses the authority (RFC 9112 §3.2.2)"),
            Rule(Haproxy, "^upgrade-data:",
                "HAProxy rejects a WebSocket upgrade without Sec-WebSocket-Key; Penstock leaves that to the backend"),
            Rule(Nginx, @"(Content-Length: 5\\t|Host: \\ta\\t|Transfer-Encoding: \\tchunked)",
                "for nginx a tab is not optional white space (RFC 9110 §5.6.3: it is)"),
            Rule(Nginx, @"^host: .*Host: \.\\r\\n",
                "nginx rejects an empty label; Penstock leaves names to the backend"),
            Rule(Nginx, "^method: (get|G-E.T) ",
                "nginx accepts capitals, '-' and '_' in a method; RFC 9110 allows any token"),
            Rule(Nginx, @"^target: GET /(%00|%2e%2e/x|%zz|\.\./x|a%) ",
                "nginx decodes the path and rejects what it cannot decode; Penstock forwards paths byte by byte"),
        ];

        static Rule Rule(string others, string pattern, string reason) =>
            new(others, Difference.WeForward, pattern, reason);
    }
}
