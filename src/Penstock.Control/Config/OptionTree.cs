namespace Penstock.Control.Config;

/// <summary>Makes a configuration of options of the command line. It is read like a file, so that options and files
/// cannot differ in what they mean; the origin of a value is its option.</summary>
internal static class OptionTree
{
    private static readonly Location Default = new SourceFile("default", null).Start;

    /// <param name="option">Its name; null: the value is a default of the command.</param>
    public static ConfigNode Value(string text, string? option = null) =>
        new ScalarNode(option is null ? Default : new SourceFile(option, null).Start, text);

    public static ConfigNode List(IEnumerable<ConfigNode> items) => new SequenceNode(Default, [.. items]);

    /// <summary>A mapping. Its place is that of its first value.</summary>
    /// <param name="entries">Those without a value are left out.</param>
    public static ConfigNode Map(params IEnumerable<(string Key, ConfigNode? Value)> entries)
    {
        List<ConfigEntry> given = [.. entries.Where(static entry => entry.Value is not null)
            .Select(static entry => new ConfigEntry(entry.Key, entry.Value!.Location, entry.Value!))];
        return new MappingNode(given.Count == 0 ? Default : given[0].Location, given);
    }
}
