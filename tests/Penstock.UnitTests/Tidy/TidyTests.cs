using System.Reflection;
using System.Text.RegularExpressions;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Tidy;

/// <summary>The rules of style that a program can check: which folder may use which, lengths of files, functions and
/// lines, and names without meaning. (The idea is from TigerBeetle's tidy.zig.)</summary>
public sealed partial class TidyTests
{
    private const RegexOptions Options =
        RegexOptions.Multiline | RegexOptions.ExplicitCapture;

    private const int MatchTimeoutMs = 5000;
    private const int MaxFileLines = 600;
    private const int MaxFunctionLines = 70;
    private const int MaxLineColumns = 120;

    /// <summary>Files with more than 400 lines, each with the reason why it is not split. Add no entry.</summary>
    private static readonly string[] LongFiles = [];

    /// <summary>Inside the data plane: which folder may use which. Http1 sees nothing, nothing sees Exchanges but the
    /// root.</summary>
    private static readonly Dictionary<string, string[]> MayUse = new(StringComparer.Ordinal)
    {
        ["Configuration"] = [],
        ["Http1"] = [],
        ["EventLoop"] = [],
        ["Tls"] = ["Configuration"],
        ["Connections"] = ["EventLoop", "Tls"],
        ["RateLimiting"] = ["Configuration"],
        ["Clients"] = ["Configuration", "Http1", "RateLimiting", "Tls"],
        ["Upstreams"] = ["Configuration", "EventLoop", "Connections", "Balancing", "Observability", "Tls"],
        ["Balancing"] = ["Configuration", "Upstreams"],
        ["Health"] = ["Configuration", "Http1", "Observability", "Tls", "Upstreams"],
        ["Routing"] = ["Configuration", "Http1", "RateLimiting", "Upstreams"],
        ["Observability"] = ["Configuration", "Http1"],
        ["Exchanges"] = ["Balancing", "Clients", "Configuration", "Connections", "EventLoop", "Http1", "Observability",
            "RateLimiting", "Routing", "Tls", "Upstreams"],
    };

    [Fact]
    public void Assemblies_refer_one_way()
    {
        Assert.DoesNotContain(References("Penstock.Proxy"), static n => n is "Penstock.Control" or "penstock");
        Assert.DoesNotContain(References("Penstock.Control"), static n => n is "penstock");
        Assert.DoesNotContain(References("Penstock.Proxy"), static n =>
            n.StartsWith("Microsoft.AspNetCore", StringComparison.Ordinal)
            || n.Contains("Sqlite", StringComparison.Ordinal) || n.StartsWith("YamlDotNet", StringComparison.Ordinal));
    }

    [Fact]
    public void Data_plane_folders_use_only_what_they_may()
    {
        string proxy = Path.Combine(Repository.Root, "src", "Penstock.Proxy");
        var faults = new List<string>();
        foreach (string folder in Directory.GetDirectories(proxy).Select(static d => Path.GetFileName(d)!))
        {
            if (!MayUse.TryGetValue(folder, out string[]? allowed))
            {
                Assert.True(folder is "bin" or "obj", $"folder {folder} is not in the table");
                continue;
            }
            foreach (string file in Repository.Sources(Path.Combine(proxy, folder)))
            {
                faults.AddRange(UsingProxy().Matches(File.ReadAllText(file))
                    .Select(static m => m.Groups["used"].Value)
                    .Where(used => used != folder && !allowed.Contains(used))
                    .Select(used => $"{Path.GetRelativePath(Repository.Root, file)} uses {used}"));
            }
        }
        Assert.Empty(faults);
    }

    [Fact]
    public void Files_functions_and_lines_are_short()
    {
        var faults = new List<string>();
        IEnumerable<string> pages = Directory.EnumerateFiles(Path.Combine(Repository.Root, "src"), "*.js",
            SearchOption.AllDirectories);
        foreach (string file in AllSources().Concat(pages))
        {
            string name = Path.GetRelativePath(Repository.Root, file);
            string[] lines = File.ReadAllLines(file);
            if (lines.Length > MaxFileLines || (lines.Length > 400 && !LongFiles.Contains(name)))
            {
                faults.Add($"{name}: {lines.Length} lines");
            }
            faults.AddRange(lines.Select((l, i) => (l, i)).Where(static p => p.l.Length > MaxLineColumns)
                .Select(p => $"{name}:{p.i + 1}: {p.l.Length} columns"));
            faults.AddRange(LongFunctions(lines).Select(f => $"{name}:{f}"));
        }
        Assert.Empty(faults);
    }

    /// <summary>Tables and addresses cannot be broken; blocks and generated parts have rules of their own.</summary>
    [Fact]
    public void Lines_of_documents_are_short()
    {
        var faults = new List<string>();
        IEnumerable<string> documents = Directory.GetFiles(Repository.Root, "*.md").Concat(
            new[] { "docs", "deploy" }.SelectMany(static folder => Directory.GetFiles(
                Path.Combine(Repository.Root, folder), "*.md", SearchOption.AllDirectories)));
        foreach (string document in documents)
        {
            string text = NoProse().Replace(File.ReadAllText(document), static part =>
                new string('\n', part.Value.Count(static c => c == '\n')));
            faults.AddRange(text.Split('\n').Index()
                .Where(static line => line.Item.Length > MaxLineColumns && !line.Item.StartsWith('|')
                    && !line.Item.Contains("](http", StringComparison.Ordinal))
                .Select(line => $"{Path.GetRelativePath(Repository.Root, document)}:{line.Index + 1}"));
        }
        Assert.Empty(faults);
    }

    [Fact]
    public void Types_have_names_that_say_something()
    {
        IEnumerable<string> faults = AllSources().SelectMany(static file => TypeName().Matches(File.ReadAllText(file))
            .Select(m => m.Groups["name"].Value)
            .Where(static n => EmptyName().IsMatch(n))
            .Select(n => $"{Path.GetFileName(file)}: {n}"));
        Assert.Empty(faults);
    }

    [Fact]
    public void Product_code_has_no_unfinished_marks()
    {
        IEnumerable<string> faults = AllSources().Where(static f => !f.Contains("Tidy", StringComparison.Ordinal))
            .Where(static f => Unfinished().IsMatch(File.ReadAllText(f)));
        Assert.Empty(faults);
    }

    /// <summary>A function starts at a line with four or eight spaces that opens a brace next, and ends at the brace
    /// in the same column.</summary>
    private static IEnumerable<string> LongFunctions(string[] lines)
    {
        for (int i = 1; i < lines.Length; i++)
        {
            Match open = OpenBrace().Match(lines[i]);
            if (!open.Success || !SignatureEnd().IsMatch(lines[i - 1]))
            {
                continue;
            }
            string close = open.Groups["indent"].Value + "}";
            int end = Array.FindIndex(lines, i, l => l.StartsWith(close, StringComparison.Ordinal));
            if (end - i - 1 > MaxFunctionLines)
            {
                yield return $"{i}: {end - i - 1} lines in a function";
            }
        }
    }

    private static IEnumerable<string> References(string assembly) =>
        Assembly.Load(assembly).GetReferencedAssemblies().Select(static a => a.Name!);

    private static IEnumerable<string> AllSources() => new[] { "src", "tests", "bench" }
        .SelectMany(Repository.Sources);

    [GeneratedRegex("^ *```.*?^ *```$|<!-- generated.*?<!-- end of generated -->", Options | RegexOptions.Singleline,
        MatchTimeoutMs)]
    private static partial Regex NoProse();

    [GeneratedRegex(@"^using Penstock\.Proxy\.(?<used>\w+)", Options, MatchTimeoutMs)]
    private static partial Regex UsingProxy();

    [GeneratedRegex(@"\b(class|struct|record|interface|enum) (?<name>\w+)", Options, MatchTimeoutMs)]
    private static partial Regex TypeName();

    [GeneratedRegex("(Manager|Helper|Helpers|Utils|Util|Service|Common|Base)$", Options, MatchTimeoutMs)]
    private static partial Regex EmptyName();

    [GeneratedRegex(@"\b(TODO|FIXME|HACK|NotImplementedException)\b", Options, MatchTimeoutMs)]
    private static partial Regex Unfinished();

    [GeneratedRegex(@"^(?<indent>(    ){1,2})\{$", Options, MatchTimeoutMs)]
    private static partial Regex OpenBrace();

    [GeneratedRegex(@"\)$", Options, MatchTimeoutMs)]
    private static partial Regex SignatureEnd();
}
