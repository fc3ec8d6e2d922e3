namespace Penstock.Control.Config;

/// <summary>A value of the configuration in force, with its place: a text, a list or a mapping.</summary>
internal sealed record Setting
{
    /// <summary>The key; empty for an item of a list.</summary>
    public required string Name { get; init; }

    /// <summary>The value for people, secrets hidden; null: a list or a mapping.</summary>
    public string? Text { get; init; }

    /// <summary>Equal for two spellings of the same value, such as <c>1s</c> and <c>1000ms</c>. It may be a secret.
    /// </summary>
    public string Compared { get; init; } = "";

    public bool IsSecret { get; init; }

    /// <summary>Where the value is written; null: it is a default.</summary>
    public Location? At { get; init; }

    /// <summary>See <see cref="ScalarNode.MadeOf"/>.</summary>
    public string? MadeOf { get; init; }

    public bool IsList { get; init; }

    /// <summary>Items of the list, or entries of the mapping in the order of their table.</summary>
    public IReadOnlyList<Setting> Parts { get; init; } = [];

    /// <summary>The value of the first part means the whole mapping, if the others have their defaults.</summary>
    public bool HasShortForm { get; init; }

    public bool IsDefault => Text is null ? Parts.All(static part => part.IsDefault) : At is null;

    /// <summary><c>penstock.yaml:3</c>, <c>penstock.yaml:3 ($PORT)</c>, <c>--loops</c> or <c>default</c>.</summary>
    public string Origin => At is not { } place ? "default" : MadeOf is null ? $"{place}" : $"{place} ({MadeOf})";

    /// <summary>What distinguishes this item from the others of its list.</summary>
    public string Identity => Text is not null ? Compared
        : HasShortForm ? Parts[0].Compared : string.Join('\n', Leaves("").Select(static leaf => leaf.Setting.Compared));

    /// <summary>One line: <c>100</c>, <c>[a, b]</c>, <c>{ url: a, weight: 2 }</c>, without defaults.</summary>
    public string Compact()
    {
        if (Text is not null)
        {
            return Text;
        }
        if (IsList)
        {
            return $"[{string.Join(", ", Parts.Select(static part => part.Compact()))}]";
        }
        List<Setting> written = [.. Parts.Where(static part => !part.IsDefault)];
        return HasShortForm && written.TrueForAll(part => part == Parts[0]) ? Parts[0].Compact()
            : $"{{ {string.Join(", ", written.Select(static part => $"{part.Name}: {part.Compact()}"))} }}";
    }

    /// <summary>The texts below this setting, each with its path: <c>backends[0].weight</c>.</summary>
    public IEnumerable<(string Path, Setting Setting)> Leaves(string path) => Text is not null ? [(path, this)]
        : Parts.SelectMany((part, i) => part.Leaves(
            IsList ? $"{path}[{i}]" : path.Length == 0 ? part.Name : $"{path}.{part.Name}"));
}
