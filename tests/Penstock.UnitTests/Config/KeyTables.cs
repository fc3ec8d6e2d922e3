using Penstock.Control.Config;

namespace Penstock.UnitTests.Config;

/// <summary>Makes the reference of the keys from the tables with which the binder reads the file.</summary>
internal static class KeyTables
{
    /// <summary>All tables, each name once, the one of the file first.</summary>
    public static IReadOnlyList<KeyTable> All { get; } =
        [.. FileKeys.Table.Reachable().DistinctBy(static table => table.Name)];

    /// <summary>A table of docs/configuration.md.</summary>
    public static string Reference(KeyTable table)
    {
        bool origins = table.Rows.Any(static row => row.Origin is not null);
        var text = new List<string>
        {
            "| key | value | meaning | default |" + (origins ? " where the default is from |" : ""),
            "|---|---|---|---|" + (origins ? "---|" : ""),
        };
        foreach (Key row in table.Rows)
        {
            string meaning = row.Description + (row.AtStart ? " Read at start only." : "");
            string standard = row.DefaultText ?? (row.Default is { } json ? $"`{Unquoted(json)}`" : "");
            text.Add($"| `{row.Name}` | {row.Shape.Text} | {meaning.TrimEnd('.')} | {standard} |"
                + (origins ? $" {row.Origin} |" : ""));
        }
        return "\n" + string.Concat(text.Select(static line =>
            line.Replace("|  |", "| |", StringComparison.Ordinal) + "\n")) + "\n";
    }

    private static string Unquoted(string json) => json is ['"', _, .., '"'] ? json[1..^1] : json;
}
