using System.Text;
using System.Text.RegularExpressions;
using Penstock.TestKit;
using Penstock.UnitTests.Docs;
using Xunit;

namespace Penstock.UnitTests.Tidy;

/// <summary>One word, one meaning: in names, comments, messages, documents and examples.</summary>
public sealed partial class GlossaryTests
{
    private const int MatchTimeoutMs = 5000;

    /// <summary>Each assembly has its list of events, which nobody sees beside another's.</summary>
    private static readonly string[] NamesOfSeveralTypes = ["Events"];

    [Fact]
    public void Table_of_words_is_that_of_the_tests()
    {
        var table = new StringBuilder("\n| word | meaning |\n|---|---|\n");
        foreach (Term term in Glossary.Words)
        {
            table.Append($"| {term.Word} | {term.Meaning} |\n");
        }
        GeneratedText.CheckParts("ARCHITECTURE.md", [("words", table.Append('\n').ToString())]);
    }

    [Fact]
    public void No_second_word_for_a_word_is_used()
    {
        var faults = new List<string>();
        foreach (Term term in Glossary.Words.Where(static t => t.Not is not null))
        {
            Regex second = Pattern(term.Not!);
            Regex? but = term.But is null ? null : Pattern(term.But);
            foreach (string file in Texts())
            {
                foreach ((int number, string line) in File.ReadLines(file).Index())
                {
                    if (second.IsMatch(but is null ? line : but.Replace(line, "")))
                    {
                        faults.Add($"{Path.GetRelativePath(Repository.Root, file)}:{number + 1}: the word is "
                            + $"'{term.Word}': {line.Trim()}");
                    }
                }
            }
        }
        Assert.Empty(faults);
    }

    [Fact]
    public void No_two_types_have_one_name()
    {
        IEnumerable<string> faults = Directory
            .GetFiles(Path.Combine(Repository.Root, "src"), "*.cs", SearchOption.AllDirectories)
            .Where(static file => !file.Contains("/obj/", StringComparison.Ordinal))
            .SelectMany(static file => TopLevelType().Matches(File.ReadAllText(file))
                .Where(static type => !type.Value.Contains("partial ", StringComparison.Ordinal)
                    && type.Groups["arguments"].Length == 0)
                .Select(static type => type.Groups["name"].Value))
            .GroupBy(static name => name, StringComparer.Ordinal)
            .Where(static group => group.Count() > 1 && !NamesOfSeveralTypes.Contains(group.Key))
            .Select(static group => group.Key);
        Assert.Empty(faults);
    }

    private static Regex Pattern(string[] patterns) =>
        new(string.Join('|', patterns), RegexOptions.ExplicitCapture, TimeSpan.FromMilliseconds(MatchTimeoutMs));

    private static IEnumerable<string> Texts()
    {
        string[] ends = [".cs", ".md", ".yaml", ".yml", ".json", ".sh", ".service", ".props"];
        IEnumerable<string> folders = new[] { "src", "tests", "bench", "docs", "examples", "deploy" }
            .SelectMany(static folder => Directory.EnumerateFiles(Path.Combine(Repository.Root, folder), "*",
                SearchOption.AllDirectories));
        return folders.Concat(Directory.EnumerateFiles(Repository.Root, "*.md"))
            .Where(file => ends.Contains(Path.GetExtension(file))
                && !file.Contains("/obj/", StringComparison.Ordinal)
                && Path.GetFileName(file) != "Glossary.cs");
    }

    [GeneratedRegex(@"^(public |internal |file |sealed |static |abstract |readonly |partial |unsafe |ref )*"
        + @"(class|struct|record struct|record|enum|interface) (?<name>\w+)(?<arguments><\w+>)?",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex TopLevelType();
}
