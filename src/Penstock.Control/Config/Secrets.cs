using System.Text.RegularExpressions;

namespace Penstock.Control.Config;

/// <summary>Hides secrets in shown text: a line of the file, a value in a message, an argument. It does not use the
/// parser's result, because text is often shown when it cannot be parsed; in doubt it hides too much. Lengths stay the
/// same, so that carets point at the right column.</summary>
internal static partial class Secrets
{
    private const int Unbounded = -1; // no timeout is needed: each pattern takes linear time

    /// <summary>Hides secrets in a sentence or a quoted value.</summary>
    public static string Hide(string message) =>
        Parameter().Replace(AdminToken().Replace(UserInfo().Replace(message, Stars), Stars), AfterKey);

    /// <summary>Whether a header field or parameter of this name usually holds a credential; in doubt it does.
    /// </summary>
    public static bool IsSecretName(string name) => CredentialName().IsMatch(name);

    /// <summary>Hides secrets in a line of a file. A reference to a variable of the environment is shown.</summary>
    public static string HideInLine(string line) => Entry().Replace(Hide(line), static match =>
        Variables.IsReference(match.Groups["value"].ValueSpan.Trim()) ? match.Value : AfterKey(match));

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

    // User and password after a scheme. A password may contain any character, also '@' and '/'. The example in
    // Penstock's messages is not a secret.
    [GeneratedRegex(@"(?<=[A-Za-z][A-Za-z0-9+.-]*:/{1,3}|postgres(ql)?:)(?!/{0,3}user:password@host).+(?=@)",
        RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase, Unbounded)]
    private static partial Regex UserInfo();

    [GeneratedRegex(@"(?<key>(token|password|passwd|pwd|pass|secret|key)=)(?<value>[^\s&""']+)",
        RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase, Unbounded)]
    private static partial Regex Parameter();

    // A token of the admin API, wherever it was pasted.
    [GeneratedRegex("pst_[A-Za-z0-9_-]+", RegexOptions.None, Unbounded)]
    private static partial Regex AdminToken();

    [GeneratedRegex("tok[a-z]*n|pass|pwd|secret|credential|auth|key|private|cookie|session|sig(nature)?$|jwt",
        RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase, Unbounded)]
    private static partial Regex CredentialName();

    // A key with the name of a secret, and its value: in quotes, up to the end of a flow mapping's entry, or up to the
    // end of the line. The colon is optional, because it may be the fault that it is missing.
    [GeneratedRegex("""
        (?<key>(?<![A-Za-z0-9_-])[A-Za-z0-9_-]{0,40}
        (tok[a-z]*n|passw|passphrase|pwd|secret|credential|sha256|authori[sz]ation|api[-_]?key|private|hmac)
        [A-Za-z0-9_-]*["']?(\s*[:=]\s*|\s+))
        (?<value>("([^"\\]|\\.)*"?|'([^']|'')*'?)[^\s,}\]&]*|(\$\{[^{}]*\}|[^\s,}\]&"'])(\$\{[^{}]*\}|[^,}&])*)
        """,
        RegexOptions.ExplicitCapture | RegexOptions.IgnoreCase | RegexOptions.IgnorePatternWhitespace, Unbounded)]
    private static partial Regex Entry();
}
