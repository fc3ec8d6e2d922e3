using System.Text.RegularExpressions;

namespace Penstock.IntegrationTests.Documents;

/// <summary>Compares output that a document shows with real output. Each line that is shown must occur in a line, in
/// this order; others may stand between them. <c>…</c> stands for any text. The width of columns may differ, and
/// numbers if a comment says so.</summary>
internal static partial class ShownOutput
{
    private const int MatchTimeoutMs = 5000;

    public static IEnumerable<string> Differences(Block shown, string real)
    {
        bool numbersDiffer = shown.Notes.ContainsKey("numbers differ");
        string[] lines = [.. real.Split('\n').Select(line => Plain(line, numbersDiffer))];
        int next = 0;
        foreach (string line in shown.Text.Split('\n').Where(static line => line.Trim().Length > 0))
        {
            string pattern = Regex.Escape(Plain(line, numbersDiffer)).Replace("…", ".*", StringComparison.Ordinal);
            var found = new Regex(pattern, RegexOptions.None, TimeSpan.FromMilliseconds(MatchTimeoutMs));
            int at = Array.FindIndex(lines, next, found.IsMatch);
            if (at < 0)
            {
                yield return $"the output has no line '{line}'";
                yield break;
            }
            next = at + 1;
        }
    }

    private static string Plain(string line, bool numbersDiffer)
    {
        string plain = Blanks().Replace(line.Trim(), " ");
        return numbersDiffer ? Number().Replace(plain, "0") : plain;
    }

    [GeneratedRegex(@"\d+(\.\d+)?", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Number();

    [GeneratedRegex(@"[\s\-]{2,}|\s", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Blanks();
}
