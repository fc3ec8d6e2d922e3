using System.Text.RegularExpressions;
using Penstock.TestKit;

namespace Penstock.IntegrationTests.Documents;

/// <summary>Finds the command lines of Penstock in shell commands, without running them.</summary>
internal static partial class CommandLines
{
    private const int MatchTimeoutMs = 5000;

    /// <returns>The words behind <c>penstock</c>, for each command.</returns>
    public static IEnumerable<string[]> Of(string commands) =>
        from line in commands.Replace("\\\n", " ", StringComparison.Ordinal).Split('\n')
        let uncommented = Comment().Replace(line, "")
        from command in Separator().Split(uncommented)
        let words = Word().Matches(command).Select(static m => m.Value.Replace("'", "", StringComparison.Ordinal)
            .Replace("\"", "", StringComparison.Ordinal)).ToArray()
        where words.Length > 0 && words[0] == "penstock"
        select words[1..];

    /// <returns>The commands that stand in sentences and tables of a document, as code.</returns>
    public static IEnumerable<string> InText(string page) => Code()
        .Matches(Fenced().Replace(File.ReadAllText(Path.Combine(Repository.Root, page)), ""))
        .Select(static m => m.Groups["code"].Value);

    [GeneratedRegex("^ *```.*?^ *```$", RegexOptions.ExplicitCapture | RegexOptions.Multiline
        | RegexOptions.Singleline, MatchTimeoutMs)]
    private static partial Regex Fenced();

    /// <summary>Not patterns such as <c>penstock COMMAND</c> and <c>penstock run [FILE]</c>.</summary>
    [GeneratedRegex(@"`(?<code>penstock [a-z][^`\[]*)`", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Code();

    [GeneratedRegex(@"(^|\s)#.*$", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Comment();

    [GeneratedRegex(@"&&|\|\||[;|&]|>.*$|<.*$|\$\(|\)", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Separator();

    [GeneratedRegex("""('[^']*'|"[^"]*"|[^\s'"])+""", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Word();
}
