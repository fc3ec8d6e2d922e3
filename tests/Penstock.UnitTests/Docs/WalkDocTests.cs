using System.Reflection;
using System.Text.RegularExpressions;
using Penstock.Proxy.Exchanges;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Docs;

/// <summary>ARCHITECTURE.md and the data plane's README.md lead through files and steps that exist.</summary>
public sealed partial class WalkDocTests
{
    private const int MaxWalkedFiles = 10;
    private const int MaxConnectionFields = 16;

    private static readonly string Proxy = Path.Combine(Repository.Root, "src", "Penstock.Proxy");

    [Theory]
    [InlineData("ARCHITECTURE.md")]
    [InlineData("src/Penstock.Proxy/README.md")]
    public void Every_file_that_is_named_exists(string page)
    {
        string[] sources = [.. Repository.Sources("src")];
        string[] named = [.. FileName().Matches(Read(page)).Select(static m => m.Groups["name"].Value)];
        Assert.True(named.Length >= MaxWalkedFiles);
        Assert.All(named, name => Assert.Contains(sources, s =>
            s.EndsWith("/" + name, StringComparison.Ordinal)
            || MatchesStar(Path.GetFileName(s), name)));
    }

    [Fact]
    public void Every_folder_of_tests_has_its_place_in_their_readme()
    {
        string page = Read("tests/README.md");
        string tests = Path.Combine(Repository.Root, "tests", "Penstock.IntegrationTests");
        string[] folders = [.. Directory.GetDirectories(tests)
            .Select(static folder => Path.GetFileName(folder)).Where(static name => name is not ("bin" or "obj"))];
        Assert.True(folders.Length > 5);
        Assert.All(folders, name => Assert.Matches($"[`/]{name}`", page));
    }

    [Fact]
    public void Walk_of_one_request_is_ten_files_at_most()
    {
        string walk = Read("ARCHITECTURE.md");
        walk = walk[walk.IndexOf("## The way of one request", StringComparison.Ordinal)..];
        walk = walk[..walk.IndexOf("\n## ", StringComparison.Ordinal)];
        string[] steps = [.. NumberedFile().Matches(walk).Select(static m => m.Groups["name"].Value)];
        Assert.InRange(steps.Length, 1, MaxWalkedFiles);
        Assert.Distinct(steps);
        Assert.All(steps, static s => Assert.True(File.Exists(Path.Combine(Proxy, s)), s));
    }

    [Fact]
    public void Every_step_stands_in_the_chart_once_and_leads_to_steps()
    {
        string page = Read("src/Penstock.Proxy/README.md");
        Match[] rows = ChartRow().Matches(page).ToArray();
        Assert.Equal(Enum.GetNames<Step>(), rows.Select(static r => r.Groups["step"].Value));
        string[] classes = [.. Directory.GetFiles(Path.Combine(Proxy, "Exchanges"))
            .Select(static f => Path.GetFileNameWithoutExtension(f))];
        Assert.All(rows, row =>
        {
            Assert.Contains(row.Groups["by"].Value, classes);
            Assert.All(Quoted().Matches(row.Groups["then"].Value).Select(static m => m.Groups["word"].Value),
                static word => Assert.Contains(word, Enum.GetNames<Step>()));
        });
    }

    [Fact]
    public void Connection_has_few_fields_and_one_file_writes_them()
    {
        FieldInfo[] fields = typeof(ClientConnection).GetFields(
            BindingFlags.Instance | BindingFlags.NonPublic | BindingFlags.Public | BindingFlags.DeclaredOnly);
        Assert.InRange(fields.Length, 1, MaxConnectionFields);
        Assert.All(fields, static f => Assert.True(f.IsPrivate, f.Name));
        Assert.All(typeof(ClientConnection).GetProperties(),
            static p => Assert.True(p.SetMethod?.IsPublic != true, p.Name));
        Assert.Single(Directory.GetFiles(Path.Combine(Proxy, "Exchanges"), "ClientConnection*.cs"));
    }

    private static bool MatchesStar(string file, string pattern) => pattern.StartsWith('*')
        && file.EndsWith(pattern[1..], StringComparison.Ordinal);

    private static string Read(string page) => File.ReadAllText(Path.Combine(Repository.Root, page));

    [GeneratedRegex(@"(?<name>[\w*][\w./*]*\.cs)\b", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 5000)]
    private static partial Regex FileName();

    [GeneratedRegex(@"^\d+\. `(?<name>[\w./]+\.cs)`", RegexOptions.Multiline | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 5000)]
    private static partial Regex NumberedFile();

    [GeneratedRegex(@"^\| `(?<step>\w+)` \| `(?<by>\w+)` \| (?<then>[^|]*) \|$",
        RegexOptions.Multiline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 5000)]
    private static partial Regex ChartRow();

    [GeneratedRegex("`(?<word>\\w+)`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 5000)]
    private static partial Regex Quoted();
}
