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
        string[] files = [.. Texts()];
        Assert.Empty(Glossary.Words.Where(static term => term.Not is not null).SelectMany(term =>
            Matches(files, term.Not!, term.But).Select(found => $"the word is '{term.Word}': {found}")));
    }

    [Fact]
    public void Sentences_for_readers_are_no_riddles() => Assert.Empty(Matches(
        Texts().Where(static file => !file.Contains("/tests/", StringComparison.Ordinal)), Glossary.Riddles, null));

    private static IEnumerable<string> Matches(IEnumerable<string> files, string[] patterns, string[]? but)
    {
        Regex found = Pattern(patterns);
        Regex? allowed = but is null ? null : Pattern(but);
        return files.SelectMany(file => File.ReadLines(file).Index()
            .Where(line => found.IsMatch(allowed is null ? line.Item : allowed.Replace(line.Item, "")))
            .Select(line => $"{Path.GetRelativePath(Repository.Root, file)}:{line.Index + 1}: {line.Item.Trim()}"));
    }

    [Fact]
    public void No_two_types_have_one_name()
    {
        IEnumerable<string> faults = Repository.Sources("src")
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
        string[] ends = [".cs", ".md", ".js", ".css", ".html", ".yaml", ".yml", ".json", ".sh", ".service", ".props"];
        IEnumerable<string> folders = new[] { "src", "tests", "bench", "docs", "examples", "deploy", "load" }
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
