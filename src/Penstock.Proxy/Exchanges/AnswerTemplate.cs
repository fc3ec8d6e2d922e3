using System.Text;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Observability;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Proxy.Exchanges;

/// <summary>The value that a placeholder stands for.</summary>
internal enum AnswerValue : byte
{
    None,
    Status,
    Phrase,
    Message,
    Reason,
    Fault,
    Detail,
    Client,
    Limit,
    RetryAfter,
    RequestId,

    /// <summary>The request's Origin field, for CORS.</summary>
    Origin,
}

/// <summary>How values are escaped.</summary>
internal enum AnswerEscape : byte
{
    Plain,
    Json,

    /// <summary>As HTML or XML.</summary>
    Markup,

    /// <summary>As the value of a header field.</summary>
    Field,
}

/// <summary>The values of the placeholders of one answer.</summary>
internal readonly ref struct AnswerValues
{
    public required Exchange Exchange { get; init; }
    public ReadOnlySpan<byte> Phrase { get; init; }
    public ReadOnlySpan<byte> Message { get; init; }
    public ReadOnlySpan<byte> Origin { get; init; }

    /// <summary>In seconds; 0: unknown.</summary>
    public long RetryAfter { get; init; }
}

/// <summary>Compiled text with placeholders such as <c>{{status}}</c>. Variables of the configuration, <c>${NAME}</c>,
/// are something else: they are filled in when the file is read. Immutable.</summary>
internal sealed class AnswerTemplate
{
    private const int MaxTextBytes = 256;

    /// <summary>Bytes of the longest escape of one byte: <c>&amp;#xfffd;</c>.</summary>
    private const int MaxEscapedPerByte = 8;
    private const int MaxNumberBytes = 20;
    private const string Open = "{{";
    private const string Close = "}}";

    private readonly List<(byte[] Before, AnswerValue Value)> _parts = [];
    private readonly AnswerEscape _escape;

    private AnswerTemplate(AnswerEscape escape) => _escape = escape;

    /// <summary>The placeholders' names, as they are written.</summary>
    public static IReadOnlyList<string> Names { get; } =
        ["status", "phrase", "message", "reason", "fault", "detail", "client", "limit", "retry_after", "request_id",
            "origin"];

    /// <summary>Maximum length of the filled-in text, in bytes.</summary>
    public int MaxBytes { get; private set; }

    /// <returns>A fault as a sentence; null: none.</returns>
    public static string? Parse(string text, AnswerEscape escape, out AnswerTemplate template)
    {
        template = new AnswerTemplate(escape);
        var literal = new StringBuilder();
        for (int at = 0; ;)
        {
            int open = text.IndexOf(Open, at, StringComparison.Ordinal);
            literal.Append(text, at, (open < 0 ? text.Length : open) - at);
            if (open < 0)
            {
                template.Add(literal, AnswerValue.None);
                return null;
            }
            if (string.CompareOrdinal(text, open, "{{{{", 0, 4) == 0)
            {
                literal.Append(Open);
                at = open + 4;
                continue;
            }
            int close = text.IndexOf(Close, open, StringComparison.Ordinal);
            string name = close < 0 ? "" : text[(open + 2)..close].Trim();
            int value = Names.ToList().IndexOf(name);
            if (value < 0)
            {
                string shown = name.Length is > 0 and <= 40 ? $"{{{{{name}}}}}" : "'{{'";
                return $"{shown} is not a placeholder; write {{{{name}}}} with one of {string.Join(", ", Names)}, "
                    + "or {{{{ for two braces";
            }
            template.Add(literal, (AnswerValue)(value + 1));
            literal.Clear();
            at = close + 2;
        }
    }

    public static AnswerEscape EscapeFor(string contentType)
    {
        string type = contentType.Split(';')[0].Trim().ToLowerInvariant();
        return type.EndsWith("json", StringComparison.Ordinal) || type.EndsWith("javascript", StringComparison.Ordinal)
            ? AnswerEscape.Json
            : type.EndsWith("html", StringComparison.Ordinal) || type.EndsWith("xml", StringComparison.Ordinal)
            ? AnswerEscape.Markup : AnswerEscape.Plain;
    }

    public void Write(ref HeadWriter to, scoped in AnswerValues values)
    {
        foreach ((byte[] before, AnswerValue value) in _parts)
        {
            to.Add(before);
            switch (value)
            {
                case AnswerValue.None:
                    break;
                case AnswerValue.Status:
                    to.Add(values.Exchange.Status);
                    break;
                case AnswerValue.RetryAfter:
                    to.Add(values.RetryAfter);
                    break;
                default:
                    AddEscaped(ref to, TextOf(value, values));
                    break;
            }
        }
    }

    /// <summary>Whether the text consists of placeholders that are all empty.</summary>
    public bool IsEmpty(scoped in AnswerValues values)
    {
        bool any = false;
        foreach ((byte[] before, AnswerValue value) in _parts)
        {
            any |= before.Length > 0 || value is AnswerValue.Status or AnswerValue.RetryAfter
                || (value != AnswerValue.None && TextOf(value, values).Length > 0);
        }
        return !any;
    }

    private void Add(StringBuilder literal, AnswerValue value)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(literal.ToString());
        _parts.Add((bytes, value));
        MaxBytes += bytes.Length + (value is AnswerValue.None ? 0
            : value is AnswerValue.Status or AnswerValue.RetryAfter ? MaxNumberBytes
            : MaxTextBytes * MaxEscapedPerByte);
    }

    private static ReadOnlySpan<byte> TextOf(AnswerValue value, scoped in AnswerValues values)
    {
        Exchange exchange = values.Exchange;
        ReadOnlySpan<byte> text = value switch
        {
            AnswerValue.Phrase => values.Phrase,
            AnswerValue.Message => values.Message,
            AnswerValue.Reason => exchange.Outcome.Word(),
            AnswerValue.Fault => exchange.Fault == HttpFault.None ? default : exchange.Fault.Bytes(),
            AnswerValue.Detail => exchange.Fault == HttpFault.None ? default : exchange.Fault.Sentence(),
            AnswerValue.Client => exchange.ClientName.IsEmpty && exchange.Caller is { } caller ? caller.Text
                : exchange.ClientName,
            AnswerValue.Limit => exchange.Admission.Rejected
                && exchange.Admission.TryGetDecisive(out AppliedLimit rejection)
                ? rejection.NameBytes : default,
            AnswerValue.RequestId => exchange.RequestId,
            AnswerValue.Origin => values.Origin,
            _ => default,
        };
        return text[..Math.Min(text.Length, MaxTextBytes)];
    }

    private void AddEscaped(ref HeadWriter to, ReadOnlySpan<byte> text)
    {
        switch (_escape)
        {
            case AnswerEscape.Json:
                JsonText.AddEscaped(ref to, text);
                return;
            case AnswerEscape.Field:
                foreach (byte b in text)
                {
                    to.Add(b is >= 0x20 and < 0x7F ? [b] : "?"u8);
                }
                return;
        }
        Span<byte> utf8 = stackalloc byte[4];
        while (!text.IsEmpty)
        {
            Rune.DecodeFromUtf8(text, out Rune rune, out int used);
            text = text[used..];
            if (_escape == AnswerEscape.Markup && (!rune.IsAscii || rune.Value is '&' or '<' or '>' or '"' or '\''))
            {
                to.Add("&#x"u8);
                to.AddHex(rune.Value);
                to.Add(";"u8);
                continue;
            }
            to.Add(rune.Value is < 0x20 or 0x7F ? "?"u8 : utf8[..rune.EncodeToUtf8(utf8)]);
        }
    }
}
