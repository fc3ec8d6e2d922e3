using System.Buffers;
using System.Globalization;
using System.Text;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Observability;

/// <summary>Writes text from outside into JSON.</summary>
internal static class JsonText
{
    /// <summary>What is escaped: everything but printable ASCII, quotes and backslashes.</summary>
    public static readonly SearchValues<byte> NotPlain = SearchValues.Create(
        [.. Enumerable.Range(0, 256).Where(static b => b is < 0x20 or >= 0x7F or '"' or '\\')
            .Select(static b => (byte)b)]);

    /// <summary>Adds a JSON string. Everything but printable ASCII is escaped, so a client's bytes cannot break the
    /// line or the terminal. Bytes that are not UTF-8 become U+FFFD.</summary>
    public static void AddString(ref HeadWriter line, scoped ReadOnlySpan<byte> text)
    {
        line.Add("\""u8);
        AddEscaped(ref line, text);
        line.Add("\""u8);
    }

    /// <summary>As <see cref="AddString"/>, without the quotes.</summary>
    public static void AddEscaped(ref HeadWriter line, scoped ReadOnlySpan<byte> text)
    {
        Span<char> units = stackalloc char[2];
        Span<byte> escaped = stackalloc byte[6];
        "\\u"u8.CopyTo(escaped);
        while (!text.IsEmpty)
        {
            byte b = text[0];
            if (b is >= 0x20 and < 0x7F and not (byte)'"' and not (byte)'\\')
            {
                int plain = text.IndexOfAny(NotPlain);
                plain = plain < 0 ? text.Length : plain;
                line.Add(text[..plain]);
                text = text[plain..];
                continue;
            }
            Rune.DecodeFromUtf8(text, out Rune rune, out int used);
            text = text[used..];
            int count = rune.EncodeToUtf16(units);
            for (int i = 0; i < count; i++)
            {
                ((int)units[i]).TryFormat(escaped[2..], out _, "x4", CultureInfo.InvariantCulture);
                line.Add(escaped);
            }
        }
    }
}
