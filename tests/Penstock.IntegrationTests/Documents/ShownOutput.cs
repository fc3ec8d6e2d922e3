using System.Text.RegularExpressions;

namespace Penstock.IntegrationTests.Documents;

/// <summary>Compares output that a document shows with real output. Each line that is shown must occur, in this order;
/// others may stand between them. <c>…</c> stands for any text. Numbers and the width of columns may differ.</summary>
internal static partial class ShownOutput
{
    private const int MatchTimeoutMs = 5000;

    public static IEnumerable<string> Differences(string shown, string real)
    {
        string[] lines = [.. real.Split('\n').Select(Plain)];
        int next = 0;
        foreach (string line in shown.Split('\n').Where(static line => line.Trim().Length > 0))
        {
            var pattern = new Regex("^" + Regex.Escape(Plain(line)).Replace("…", ".*", StringComparison.Ordinal) + "$",
                RegexOptions.None, TimeSpan.FromMilliseconds(MatchTimeoutMs));
            int at = Array.FindIndex(lines, next, pattern.IsMatch);
            if (at < 0)
            {
                yield return $"the output has no line '{line}'";
                yield break;
            }
            next = at + 1;
        }
    }

    private static string Plain(string line) => Number().Replace(Blanks().Replace(line.Trim(), " "), "0");

    [GeneratedRegex(@"\d+(\.\d+)?", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Number();

    [GeneratedRegex(@"[\s\-]{2,}|\s", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Blanks();
}
