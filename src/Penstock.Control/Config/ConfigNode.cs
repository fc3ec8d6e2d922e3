namespace Penstock.Control.Config;

/// <summary>Where something stands in the file: line and column from 1, length in characters.</summary>
internal readonly record struct Location(int Line, int Column, int Length)
{
    public static readonly Location Start = new(1, 1, 1);
}

/// <summary>The file as a tree, the same for YAML and JSON, every node with its place.</summary>
internal abstract record ConfigNode(Location Location, string Kind);

/// <summary>Text, with its variables filled in. Numbers and booleans are text too: what a value means is known to
/// the one who reads it, so <c>"8080"</c> from a variable is as good as <c>8080</c>.</summary>
internal sealed record ScalarNode(Location Location, string Text) : ConfigNode(Location, "a value");

internal sealed record SequenceNode(Location Location, IReadOnlyList<ConfigNode> Items)
    : ConfigNode(Location, "a list");

internal sealed record MappingNode(Location Location, IReadOnlyList<ConfigEntry> Entries)
    : ConfigNode(Location, "a mapping");

/// <summary>Nothing was written, or <c>null</c>.</summary>
internal sealed record EmptyNode(Location Location) : ConfigNode(Location, "nothing");

/// <summary>A fault in it has been reported already; whoever reads it stays silent.</summary>
internal sealed record FaultyNode(Location Location) : ConfigNode(Location, "a fault");

/// <param name="Merged">It came from another mapping by a merge key, and gives way to what was written here.</param>
internal sealed record ConfigEntry(string Key, Location Location, ConfigNode Value, bool Merged = false);
