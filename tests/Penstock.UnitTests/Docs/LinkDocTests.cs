using System.Text.RegularExpressions;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Docs;

/// <summary>Every link of every document leads somewhere: to a file, and to a heading in it. Links to other sites are
/// checked for their form only, because tests use no internet.</summary>
public sealed partial class LinkDocTests
{
    private const int MatchTimeoutMs = 5000;

    private static readonly Lazy<string[]> Documents = new(static () =>
    [
        .. Directory.GetFiles(Repository.Root, "*.md"),
        .. new[] { "docs", "deploy", "tests", "src", "load" }.Select(static name => Path.Combine(Repository.Root, name))
            .Where(Directory.Exists)
            .SelectMany(static folder => Directory.GetFiles(folder, "*.md", SearchOption.AllDirectories))
            .Where(static file => !file.Contains("/obj/", StringComparison.Ordinal)),
    ]);

    [Fact]
    public void Every_link_leads_to_a_file_and_a_heading()
    {
        Assert.True(Documents.Value.Length > 20);
        Assert.Empty(Documents.Value.SelectMany(static document => Targets(document)
            .Where(target => Fault(document, target) is not null)
            .Select(target => $"{Path.GetRelativePath(Repository.Root, document)}: {target}: "
                + Fault(document, target))));
    }

    /// <summary>Nobody finds a page to which no page leads.</summary>
    [Fact]
    public void Every_page_of_docs_is_in_their_index()
    {
        string folder = Path.Combine(Repository.Root, "docs");
        string index = Path.Combine(folder, "README.md");
        string[] listed = [.. Targets(index).Select(target => Path.GetFullPath(Path.Combine(folder,
            target.Split('#')[0])))];
        Assert.All(Directory.GetFiles(folder, "*.md", SearchOption.AllDirectories).Where(page => page != index),
            page => Assert.Contains(page, listed));
    }

    /// <summary>Comments and messages name documents by their path.</summary>
    [Fact]
    public void Every_document_that_a_text_names_exists()
    {
        string[] ends = [".cs", ".yaml", ".yml", ".json", ".sh", ".md", "Dockerfile", ".js", "Makefile"];
        IEnumerable<string> texts = new[] { "src", "tests", "bench", "deploy", "examples", "load" }
            .Select(static name => Path.Combine(Repository.Root, name)).Where(Directory.Exists)
            .SelectMany(static folder => Directory.GetFiles(folder, "*", SearchOption.AllDirectories))
            .Concat(Directory.GetFiles(Repository.Root))
            .Where(file => ends.Any(end => file.EndsWith(end, StringComparison.Ordinal))
                && !file.Contains("/obj/", StringComparison.Ordinal));
        Assert.Empty(texts.SelectMany(static text => NamedPage().Matches(File.ReadAllText(text))
            .Select(static match => match.Groups["page"].Value)
            .Where(static page => !File.Exists(Path.Combine(Repository.Root, page)))
            .Select(page => $"{Path.GetRelativePath(Repository.Root, text)}: {page}")));
    }

    private static IEnumerable<string> Targets(string document)
    {
        string text = Code().Replace(File.ReadAllText(document), "");
        return Link().Matches(text).Select(static match => match.Groups["target"].Value);
    }

    private static string? Fault(string document, string target)
    {
        if (target.Contains("://", StringComparison.Ordinal))
        {
            return Uri.TryCreate(target, UriKind.Absolute, out Uri? uri)
                && uri.Host.Contains('.', StringComparison.Ordinal) ? null : "is not an address";
        }
        string[] parts = target.Split('#', 2);
        string file = parts[0].Length == 0 ? document
            : Path.GetFullPath(Path.Combine(Path.GetDirectoryName(document)!, parts[0]));
        return !File.Exists(file) && !Directory.Exists(file) ? "there is no such file"
            : parts.Length == 1 || Anchors(file).Contains(parts[1]) ? null : "there is no such heading";
    }

    /// <summary>The anchors that GitHub gives to headings: small letters, a hyphen for each space, no punctuation; a
    /// number for the second of two equal ones.</summary>
    private static HashSet<string> Anchors(string file)
    {
        var anchors = new HashSet<string>(StringComparer.Ordinal);
        foreach (Match heading in Heading().Matches(FencedBlock().Replace(File.ReadAllText(file), "")))
        {
            string text = LinkText().Replace(heading.Groups["text"].Value, "${text}").ToLowerInvariant();
            string anchor = Punctuation().Replace(text, "").Replace(' ', '-');
            string unique = anchor;
            for (int i = 1; !anchors.Add(unique); i++)
            {
                unique = $"{anchor}-{i}";
            }
        }
        return anchors;
    }

    [GeneratedRegex("""\]\((?<target>[^)\s]+)\)|(src|srcset|href)="(?<target>[^"]+)"|<(?<target>https?://[^>]+)>""",
        RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Link();

    [GeneratedRegex(@"^ *```.*?^ *```$|`[^`\n]*`", RegexOptions.ExplicitCapture | RegexOptions.Multiline
        | RegexOptions.Singleline, MatchTimeoutMs)]
    private static partial Regex Code();

    [GeneratedRegex("^ *```.*?^ *```$", RegexOptions.ExplicitCapture | RegexOptions.Multiline
        | RegexOptions.Singleline, MatchTimeoutMs)]
    private static partial Regex FencedBlock();

    [GeneratedRegex("^#+ (?<text>.+)$", RegexOptions.ExplicitCapture | RegexOptions.Multiline, MatchTimeoutMs)]
    private static partial Regex Heading();

    [GeneratedRegex(@"\[(?<text>[^\]]*)\]\([^)]*\)", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex LinkText();

    [GeneratedRegex(@"[^\p{L}\p{N}\s_-]", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Punctuation();

    [GeneratedRegex(@"\b(?<page>(docs|deploy|examples)/[\w./-]+\.(md|yaml|json|svg|png))\b",
        RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex NamedPage();
}
