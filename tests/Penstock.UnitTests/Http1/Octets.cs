using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Penstock.UnitTests.Http1;

/// <summary>Octets as test data writes them, and as messages show them.</summary>
internal static partial class Octets
{
    /// <summary>Understands <c>\r \n \t \xHH</c>; every other character is the octet of its number.</summary>
    public static byte[] Of(string escaped) => Encoding.Latin1.GetBytes(Escape().Replace(escaped, static m =>
        m.Value[1] switch
        {
            'r' => "\r",
            'n' => "\n",
            't' => "\t",
            _ => ((char)byte.Parse(m.Value.AsSpan(2), NumberStyles.HexNumber, CultureInfo.InvariantCulture)).ToString(),
        }));

    public static string Text(ReadOnlySpan<byte> octets) => Encoding.Latin1.GetString(octets);

    [GeneratedRegex(@"\\(r|n|t|x[0-9a-fA-F]{2})", RegexOptions.NonBacktracking | RegexOptions.ExplicitCapture)]
    private static partial Regex Escape();
}
