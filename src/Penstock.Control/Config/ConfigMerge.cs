namespace Penstock.Control.Config;

/// <summary>Makes one configuration of several files and of options of the command line.</summary>
internal static class ConfigMerge
{
    /// <summary>Mappings are merged, and lists are joined in the order of the files. Any other key that both files have
    /// stays twice in the result, so that the reader reports it with both places.</summary>
    public static ConfigNode Join(ConfigNode one, ConfigNode other) => Join(one, other, FileKeys.Table, isNamed: false);

    /// <param name="table">The keys of the mapping, or of its entries if these have names; null: they are texts.
    /// </param>
    /// <param name="isNamed">The keys are names that the operator chooses, which are compared exactly.</param>
    private static ConfigNode Join(ConfigNode one, ConfigNode other, KeyTable? table, bool isNamed)
    {
        switch (one, other)
        {
            case (MappingNode first, MappingNode second):
                return first with { Entries = Join(first.Entries, second.Entries, table, isNamed) };
            case (SequenceNode first, SequenceNode second):
                return first with { Items = [.. first.Items, .. second.Items] };
            default:
                return other is EmptyNode || one is not (EmptyNode or MappingNode) ? one : other; // a fault stays
        }
    }

    private static List<ConfigEntry> Join(
        IReadOnlyList<ConfigEntry> first, IReadOnlyList<ConfigEntry> second, KeyTable? table, bool isNamed)
    {
        List<ConfigEntry> entries = [.. first];
        var joined = new HashSet<int>(); // a key that one file has twice is a fault
        foreach (ConfigEntry added in second)
        {
            int at = entries.FindIndex(0, first.Count, entry => isNamed ? entry.Key == added.Key
                : Suggestion.Fold(entry.Key) == Suggestion.Fold(added.Key));
            if (at < 0 || !joined.Add(at) || !CanJoin(entries[at].Value, added.Value))
            {
                if (at < 0 || table != FileKeys.Table || !IsIgnored(added.Key))
                {
                    entries.Add(added);
                }
                continue;
            }
            (KeyTable? inner, bool hasNames) = isNamed ? (table, false) : Below(table, added.Key);
            entries[at] = entries[at] with { Value = Join(entries[at].Value, added.Value, inner, hasNames) };
        }
        return entries;
    }

    private static bool CanJoin(ConfigNode one, ConfigNode other) => (one, other) is (MappingNode, MappingNode)
        or (SequenceNode, SequenceNode) or (EmptyNode, _) or (_, EmptyNode);

    /// <summary>A key that Penstock does not read may be in every file.</summary>
    private static bool IsIgnored(string key) => key == "$schema" || Section.IsForAnchors(key);

    private static (KeyTable? Table, bool IsNamed) Below(KeyTable? table, string key)
    {
        Shape? shape = table?.Rows.FirstOrDefault(row => Suggestion.Fold(row.Name) == Suggestion.Fold(key))?.Shape;
        return (shape?.Tables.SingleOrDefault(), shape?.IsNamed ?? true);
    }

    /// <summary>Replaces keys at the top by the values of options.</summary>
    public static ConfigNode Override(
        ConfigNode root, ReadOnlySpan<(string Key, string Value, string Option)> options)
    {
        foreach ((string key, string value, string option) in options)
        {
            if (root is MappingNode mapping)
            {
                Location place = new SourceFile(option, null).Start;
                root = mapping with
                {
                    Entries = [.. mapping.Entries.Where(entry => Suggestion.Fold(entry.Key) != Suggestion.Fold(key)),
                        new ConfigEntry(key, place, new ScalarNode(place, value))],
                };
            }
        }
        return root;
    }
}
