using System.Text.RegularExpressions;

namespace Penstock.Control.Config;

/// <summary>Takes secrets out of what is shown: a line of the file, a value in a message, an argument. It does not ask
/// what the parser made of it, because it is shown when the parser could make nothing of it. It rather hides too much.
/// Lengths stay, so that what is pointed at stays in its column.</summary>
internal static partial class Secrets
{
    private const int Unbounded = -1; // each pattern takes time in proportion to the line

    /// <summary>A sentence, or a value that it quotes.</summary>
    public static string Hide(string message) =>
        Parameter().Replace(UserInfo().Replace(message, Stars), AfterKey);

    /// <summary>A line of a file.</summary>
    public static string HideInLine(string line) =>
        Entry().Replace(Hide(line), AfterKey);

    private static string AfterKey(Match match) => match.Groups["key"].Value + Stars(match.Groups["value"]);

    private static string Stars(Match match) => Stars((Capture)match);

    private static string Stars(Capture secret) =>
        string.Create(secret.Length, secret.Value, static (span, value) =>
        {
            for (int i = 0; i < span.Length; i++)
            {
                span[i] = value[i] == '\t' ? '\t' : '*';
            }
        });

    // A scheme, and who it is that comes there. In a password everything may stand, '@' and '/' too. What our own
    // messages give as an example is no secret.
    [GeneratedRegex(@"(?<=[A-Za-z][A-Za-z0-9+.-]*:/{1,3}|postgres(ql)?:)(?!/{0,3}user:password@host).+(?=@)",
        RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase, Unbounded)]
    private static partial Regex UserInfo();

    [GeneratedRegex(@"(?<key>(token|password|passwd|pwd|pass|secret|key)=)(?<value>[^\s&""']+)",
        RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase, Unbounded)]
    private static partial Regex Parameter();

    // A key that sounds like a secret, and its value: in quotes, up to the end of a flow mapping's entry, or up to the
    // end of the line. Without a colon, too, since that may be the fault.
    [GeneratedRegex("""
        (?<key>(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{0,40}
        (tok[a-z]*n|passw|passphrase|pwd|secret|credential|authori[sz]ation|api[-_]?key|private)
        [A-Za-z0-9_-]*["']?(\s*[:=]\s*|\s+))
        (?<value>"([^"\\]|\\.)*"?|'([^']|'')*'?|[^\s,}\]&"'][^,}&]*)
        """,
        RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase | RegexOptions.IgnorePatternWhitespace, Unbounded)]
    private static partial Regex Entry();
}
