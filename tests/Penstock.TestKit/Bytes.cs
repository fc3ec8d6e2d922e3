using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Penstock.TestKit;

/// <summary>Bytes as test data writes them, and as messages show them.</summary>
internal static partial class Bytes
{
    /// <summary>Understands <c>\r \n \t \xHH</c>; every other character is the byte of its number.</summary>
    public static byte[] Of(string escaped) => Encoding.Latin1.GetBytes(Escape().Replace(escaped, static m =>
        m.Value[1] switch
        {
            'r' => "\r",
            'n' => "\n",
            't' => "\t",
            _ => ((char)byte.Parse(m.Value.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToString(),
        }));

    public static string Text(ReadOnlySpan<byte> bytes) => Encoding.Latin1.GetString(bytes);

    /// <summary>The inverse of <see cref="Of"/>: one line of visible ASCII.</summary>
    public static string Escaped(ReadOnlySpan<byte> bytes)
    {
        var text = new StringBuilder(bytes.Length);
        foreach (byte b in bytes)
        {
            _ = b switch
            {
                (byte)'\r' => text.Append("\\r"),
                (byte)'\n' => text.Append("\\n"),
                (byte)'\t' => text.Append("\\t"),
                >= 0x20 and <= 0x7E and not (byte)'\\' => text.Append((char)b),
                _ => text.Append(CultureInfo.InvariantCulture, $"\\x{b:x2}"),
            };
        }
        return text.ToString();
    }

    [GeneratedRegex(@"\\(r|n|t|x[0-9a-fA-F]{2})", RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    private static partial Regex Escape();
}
