using System.Text.RegularExpressions;
using Penstock.Control.Config;
using Penstock.TestKit;
using Penstock.UnitTests.Config;
using Xunit;

namespace Penstock.UnitTests.Docs;

/// <summary>Every member of the configuration's records says what it does, and its key, range and default, which are
/// put there from the table of keys (PENSTOCK_ACCEPT=1), so that nobody has to keep two copies alike.</summary>
public sealed partial class ConfigDocTests
{
    private const int MaxColumns = 120;

    [Fact]
    public void Every_public_member_of_the_records_says_what_it_does()
    {
        var faults = new List<string>();
        foreach (string file in Files())
        {
            string[] lines = File.ReadAllLines(file);
            for (int i = 1; i < lines.Length; i++)
            {
                if (Member().IsMatch(lines[i]) && !lines[i].Contains("override", StringComparison.Ordinal)
                    && !lines[i - 1].TrimStart().StartsWith("///", StringComparison.Ordinal)
                    && !lines[i - 1].TrimStart().StartsWith('['))
                {
                    faults.Add($"{Path.GetFileName(file)}:{i + 1}: {lines[i].Trim()}");
                }
            }
        }
        Assert.Equal([], faults.Where(static f => !f.StartsWith("ValueList", StringComparison.Ordinal)));
    }

    [Fact]
    public void Properties_of_the_records_name_their_key_range_and_default()
    {
        foreach (string file in Files())
        {
            GeneratedText.Check(Path.GetRelativePath(Repository.Root, file), WithValues(File.ReadAllText(file)));
        }
    }

    private static string WithValues(string text)
    {
        var lines = new List<string>(text.Split('\n'));
        string record = "";
        for (int i = 0; i < lines.Count; i++)
        {
            record = Record().Match(lines[i]) is { Success: true } type ? type.Groups["name"].Value : record;
            if (Property().Match(lines[i]) is not { Success: true } property)
            {
                continue;
            }
            int comment = i;
            while (lines[comment - 1].TrimStart().StartsWith("///", StringComparison.Ordinal))
            {
                comment--;
            }
            List<string> own = [.. lines[comment..i]];
            int value = own.FindIndex(static line => line.Contains("<value>", StringComparison.Ordinal));
            if (value >= 0)
            {
                own.RemoveRange(value, own.Count - value);
            }
            if (Sentence(record, property.Groups["name"].Value) is { } sentence)
            {
                own.AddRange(Wrapped($"<value>{sentence}</value>"));
            }
            lines.RemoveRange(comment, i - comment);
            lines.InsertRange(comment, own);
            i = comment + own.Count;
        }
        return string.Join('\n', lines);
    }

    /// <summary>Null where no key fills the property.</summary>
    private static string? Sentence(string record, string property)
    {
        foreach (KeyTable table in KeyTables.All)
        {
            foreach (Key row in table.Rows)
            {
                if (row.Properties.Any(path => Owner(table.Record, path) == record && path.Split('.')[^1] == property))
                {
                    string name = table.Name.Length == 0 ? row.Name : $"{table.Name}.{row.Name}";
                    string standard = row.DefaultText ?? row.Default?.Trim('"') ?? "";
                    return Plain($"Key `{name}`: {row.Shape.Text}"
                        + (standard.Length == 0 ? "." : standard.StartsWith("required", StringComparison.Ordinal)
                            ? $"; {standard}." : $"; default: {standard}."));
                }
            }
        }
        return null;
    }

    private static string Owner(Type record, string path)
    {
        Type owner = record;
        foreach (string name in path.Split('.')[..^1])
        {
            owner = owner.GetProperty(name)!.PropertyType;
        }
        return owner.Name;
    }

    /// <summary>Markdown as it may stand in a comment.</summary>
    private static string Plain(string text) => Code().Replace(Link().Replace(
        text.Replace("&", "&amp;", StringComparison.Ordinal).Replace("<", "&lt;", StringComparison.Ordinal),
        "${text}"), "<c>${text}</c>");

    private static IEnumerable<string> Wrapped(string text)
    {
        string line = "    ///";
        foreach (string word in text.Split(' '))
        {
            if (line.Length + 1 + word.Length > MaxColumns)
            {
                yield return line;
                line = "    ///";
            }
            line += " " + word;
        }
        yield return line;
    }

    private static string[] Files() =>
        Directory.GetFiles(Path.Combine(Repository.Root, "src", "Penstock.Proxy", "Configuration"), "*.cs");

    [GeneratedRegex(@"^public .*\b(record|enum) (struct )?(?<name>\w+)", RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex Record();

    [GeneratedRegex(@"^    public (required )?[\w<>?]+ (?<name>\w+)( \{ get; init; \}|$)", RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex Property();

    [GeneratedRegex(@"^( {4})?public |^    [A-Z]\w*,$", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Member();

    [GeneratedRegex(@"\[(?<text>[^\]]*)\]\([^)]*\)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Link();

    [GeneratedRegex("`(?<text>[^`]*)`", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Code();
}
