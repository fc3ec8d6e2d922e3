using Penstock.Proxy.Http1;
using Penstock.TestKit;

namespace Penstock.Fuzz.Targets;

/// <summary>A message that Penstock sent, read in the simplest way: as lines, split at CRLF.</summary>
internal sealed record MessageText(string StartLine, IReadOnlyList<(string Name, string Value)> Fields)
{
    /// <summary>Fields that hold for one hop (RFC 9110 §7.6.1), and those that are always written anew.</summary>
    private static readonly HashSet<string> Rewritten = new(StringComparer.OrdinalIgnoreCase)
    {
        "host", "content-length", "transfer-encoding", "connection", "keep-alive", "proxy-connection", "te", "trailer",
        "upgrade",
    };

    private static readonly HashSet<string> Known = new(Rewritten, StringComparer.OrdinalIgnoreCase)
    {
        "expect", "max-forwards", "date", "via", "forwarded", "x-forwarded-for", "x-forwarded-proto",
        "x-forwarded-host", "x-request-id", "ratelimit", "ratelimit-policy", "x-ratelimit-limit",
        "x-ratelimit-remaining", "x-ratelimit-reset",
    };

    /// <summary>Other fields with the client's address and protocol; and all that begin with <c>x-forwarded-</c>.
    /// </summary>
    private static readonly HashSet<string> Hearsay = new(StringComparer.OrdinalIgnoreCase)
    {
        "x-real-ip", "x-client-ip", "x-cluster-client-ip", "true-client-ip", "forwarded-for", "x-forwarded",
        "x-original-forwarded-for", "x-original-host", "x-original-url", "x-rewrite-url", "x-scheme", "x-url-scheme",
        "front-end-https",
    };

    private static readonly HashSet<string> Protected = new(StringComparer.OrdinalIgnoreCase)
    {
        "host", "content-length", "transfer-encoding", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host",
        "x-request-id", "via", "forwarded",
    };

    /// <summary>Checks that the bytes are lines that end in CRLF and hold no other control byte.</summary>
    public static MessageText Of(ReadOnlySpan<byte> head)
    {
        string text = Bytes.Text(head);
        FuzzTarget.Require(text.EndsWith("\r\n\r\n", StringComparison.Ordinal), "a head ends in an empty line",
            $"{Bytes.Escaped(head)}");
        string[] lines = text[..^4].Split("\r\n");
        FuzzTarget.Require(Array.TrueForAll(lines, static l => l.AsSpan().IndexOfAny('\r', '\n', '\0') < 0),
            "no CR, LF or NUL within a line", $"{Bytes.Escaped(head)}");
        return new MessageText(lines[0], [.. lines.Skip(1).Select(static l => l.Split(':', 2))
            .Select(static p => (p[0], p[1].Trim(' ', '\t')))]);
    }

    public static string Text(MessageHead head, ReadOnlySpan<byte> bytes)
    {
        string text = "";
        foreach (ref readonly Field field in head.Fields)
        {
            text += $"{Bytes.Text(field.Name.Of(bytes))}: {Bytes.Text(field.Value.Of(bytes))}\n";
        }
        return text;
    }

    public bool Has(string name) => Fields.Any(f => Same(f.Name, name));

    /// <summary>The fields that must reach the next hop, in order.</summary>
    public IEnumerable<(string Name, string Value)> ToForward()
    {
        HashSet<string> nominated = new(Fields.Where(static f => Same(f.Name, "connection"))
            .SelectMany(static f => f.Value.Split(',')).Select(static n => n.Trim(' ', '\t')),
            StringComparer.OrdinalIgnoreCase);
        return Fields.Where(f => !Rewritten.Contains(f.Name) && !IsLookalike(f.Name)
            && (Protected.Contains(f.Name) || IsHearsay(f.Name) || !nominated.Contains(f.Name)));
    }

    public static bool Same(string name, string other) => name.Equals(other, StringComparison.OrdinalIgnoreCase);

    public static bool IsHearsay(string name) => Hearsay.Contains(name)
        || (name.StartsWith("x-forwarded-", StringComparison.OrdinalIgnoreCase) && name.Length > "x-forwarded-".Length
            && !Known.Contains(name));

    private static bool IsLookalike(string name) => name.Contains('_', StringComparison.Ordinal)
        && !IsHearsay(name) && (Known.Contains(name.Replace('_', '-')) || IsHearsay(name.Replace('_', '-')));
}
