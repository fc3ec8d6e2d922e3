using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Observability;

/// <summary>Writes text from outside into a line of plain text.</summary>
internal static class PlainText
{
    /// <summary>Adds the text as nginx does: quotes, backslashes and everything but printable ASCII become
    /// <c>\xXX</c>. So a client's bytes cannot break the line, its fields in quotes, or the terminal.</summary>
    public static void AddEscaped(ref HeadWriter line, scoped ReadOnlySpan<byte> text)
    {
        while (!text.IsEmpty)
        {
            int plain = text.IndexOfAny(JsonText.NotPlain);
            if (plain < 0)
            {
                line.Add(text);
                return;
            }
            line.Add(text[..plain]);
            line.Add([(byte)'\\', (byte)'x', HexDigit(text[plain] >> 4), HexDigit(text[plain] & 15)]);
            text = text[(plain + 1)..];
        }
    }

    private static byte HexDigit(int value) => "0123456789ABCDEF"u8[value];
}
