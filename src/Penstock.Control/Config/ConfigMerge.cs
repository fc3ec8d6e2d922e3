namespace Penstock.Control.Config;

/// <summary>Makes one configuration of several files and of options of the command line.</summary>
internal static class ConfigMerge
{
    /// <summary>Mappings are merged, and lists are joined in the order of the files. Any other key that both files have
    /// stays twice in the result, so that the reader reports it with both places.</summary>
    public static ConfigNode Join(ConfigNode one, ConfigNode other)
    {
        switch (one, other)
        {
            case (MappingNode first, MappingNode second):
                List<ConfigEntry> entries = [.. first.Entries];
                foreach (ConfigEntry added in second.Entries)
                {
                    int at = entries.FindIndex(entry => Suggestion.Fold(entry.Key) == Suggestion.Fold(added.Key));
                    if (at >= 0 && (entries[at].Value, added.Value) is (MappingNode, MappingNode)
                        or (SequenceNode, SequenceNode) or (EmptyNode, _) or (_, EmptyNode))
                    {
                        entries[at] = entries[at] with { Value = Join(entries[at].Value, added.Value) };
                    }
                    else
                    {
                        entries.Add(added);
                    }
                }
                return first with { Entries = entries };
            case (SequenceNode first, SequenceNode second):
                return first with { Items = [.. first.Items, .. second.Items] };
            default:
                return other is EmptyNode || one is not (EmptyNode or MappingNode) ? one : other; // a fault stays
        }
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
