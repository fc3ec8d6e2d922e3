namespace Penstock.Control.Config;

/// <summary>The file as a tree, the same for YAML and JSON, every node with its place.</summary>
internal abstract record ConfigNode(Location Location, string Kind);

/// <summary>A text in which variables are already replaced. Numbers and booleans are texts too: the reader of the
/// value decides its type, so <c>"8080"</c> from a variable equals <c>8080</c>.</summary>
internal sealed record ScalarNode(Location Location, string Text) : ConfigNode(Location, "a value")
{
    /// <summary>The variables and files that the text is made of, such as <c>$PORT</c>; null: none.</summary>
    public string? MadeOf { get; init; }

    /// <summary>A part of the text is from a file, which usually holds a secret.</summary>
    public bool IsSecret { get; init; }
}

internal sealed record SequenceNode(Location Location, IReadOnlyList<ConfigNode> Items)
    : ConfigNode(Location, "a list");

internal sealed record MappingNode(Location Location, IReadOnlyList<ConfigEntry> Entries)
    : ConfigNode(Location, "a mapping")
{
    /// <summary>The first entry with this key, in any spelling; null: there is none.</summary>
    public ConfigEntry? Find(string key) =>
        Entries.FirstOrDefault(entry => Suggestion.Fold(entry.Key) == Suggestion.Fold(key));
}

/// <summary>Nothing was written, or <c>null</c>.</summary>
internal sealed record EmptyNode(Location Location) : ConfigNode(Location, "nothing");

/// <summary>A value with a fault that is already reported; reading it reports nothing more.</summary>
internal sealed record FaultyNode(Location Location) : ConfigNode(Location, "a fault");

/// <param name="Merged">A merge key added it from another mapping; an entry of this mapping replaces it.</param>
internal sealed record ConfigEntry(string Key, Location Location, ConfigNode Value, bool Merged = false);
