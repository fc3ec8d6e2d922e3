using System.Text.RegularExpressions;
using Penstock.Control.Config;
using Penstock.TestKit;
using Penstock.UnitTests.Docs;
using Xunit;

namespace Penstock.UnitTests.Config;

/// <summary>Mistakes that people make, each with the exact report. <c>mistakes.txt</c> has the files and the reports;
/// with PENSTOCK_ACCEPT=1 the reports are written again.</summary>
public sealed partial class MistakeTests
{
    private const string Golden = "tests/Penstock.UnitTests/Config/mistakes.txt";

    [Fact]
    public void Every_report_names_the_place_and_the_remedy()
    {
        string text = File.ReadAllText(Path.Combine(Repository.Root, Golden));
        MatchCollection mistakes = Mistake().Matches(text);
        Assert.True(mistakes.Count >= 60, $"only {mistakes.Count} mistakes");

        var faults = new List<string>();
        string again = Mistake().Replace(text, mistake =>
        {
            string file = mistake.Groups["file"].Value;
            bool isJson = file.StartsWith('{');
            IReadOnlyList<Diagnostic> found = ConfigLoader.Parse(
                isJson ? "penstock.json" : "penstock.yaml", file, static _ => null).Diagnostics;
            faults.AddRange(found
                .Where(static d => d.Hint is null && !SaysWhatIsAllowed().IsMatch(d.Message))
                .Select(d => $"{mistake.Groups["title"]}: no remedy in '{d.Message}'"));
            if (found.Count == 0)
            {
                faults.Add($"{mistake.Groups["title"]}: no report");
            }
            using var report = new StringWriter { NewLine = "\n" };
            DiagnosticWriter.WriteText(report, isJson ? "penstock.json" : "penstock.yaml", found, color: false);
            return $"## {mistake.Groups["title"]}\n{file}---\n{report}\n";
        });

        GeneratedText.Check(Golden, again);
        Assert.Empty(faults);
    }

    [GeneratedRegex(@"^## (?<title>.*)\n(?<file>(.*\n)*?)---\n(?<report>((?!## ).*\n)*)",
        RegexOptions.ExplicitCapture | RegexOptions.Multiline, matchTimeoutMilliseconds: 10_000)]
    private static partial Regex Mistake();

    /// <summary>A message that names the allowed range is its own remedy.</summary>
    [GeneratedRegex("not a whole number from|must be from|is not between|not from .* to|is not true or false"
        + "|Expected either",
        RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex SaysWhatIsAllowed();
}
