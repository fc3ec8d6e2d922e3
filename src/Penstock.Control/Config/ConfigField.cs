using System.Diagnostics.CodeAnalysis;

namespace Penstock.Control.Config;

/// <summary>One value of the file, with its name, place and path, and the methods to read it. A fault is added to the
/// report and the default is used, so that one run finds all faults.</summary>
internal sealed record ConfigField(string Name, ConfigNode Node, Location Location, string Path, Report Report)
{
    /// <summary>The whole file.</summary>
    public static ConfigField Root(ConfigNode root, Report report) =>
        new("", root, root.Location.File.Start, "", report);

    public void Error(string message, string? hint = null) => Report.Error(Location, Path, message, hint);

    public void Warning(string message, string? hint = null) => Report.Warning(Location, Path, message, hint);

    /// <summary>An error in the form "what is wrong; what to write instead".</summary>
    public void Reject(string fault)
    {
        int split = fault.LastIndexOf("; ", StringComparison.Ordinal);
        if (split < 0)
        {
            Error(fault);
        }
        else
        {
            Error(fault[..split], fault[(split + 2)..]);
        }
    }

    /// <summary>True if the value is one of these words.</summary>
    public bool Is(params ReadOnlySpan<string> words) =>
        Node is ScalarNode scalar && words.Contains(scalar.Text.Trim(), StringComparer.OrdinalIgnoreCase);

    /// <summary>Reads a single value.</summary>
    [return: NotNullIfNotNull(nameof(otherwise))]
    public T? Parse<T>(Parser<T> parser, T? otherwise = default)
    {
        if (Node is not ScalarNode scalar)
        {
            Expected("a value", $"write one value behind '{Name}:'");
        }
        else if (parser(scalar.Text.Trim(), out T? value, out string? fault))
        {
            return value;
        }
        else
        {
            Reject($"{Name}: {(scalar.IsSecret || HoldsSecret ? WithoutValue(fault, scalar.Text.Trim()) : fault)}");
        }

        return otherwise;
    }

    /// <summary>Reads a mapping of known keys; keys that <paramref name="read"/> does not ask for are reported.
    /// </summary>
    [return: NotNullIfNotNull(nameof(otherwise))]
    public T? Section<T>(
        Func<Section, T> read, T? otherwise = default, string expected = "a mapping", string? hint = null)
    {
        if (Node is not (MappingNode or EmptyNode))
        {
            Expected(expected, hint);
            return otherwise;
        }
        var section = new Section(this, Node is MappingNode mapping ? mapping.Entries : []);
        T result = read(section);
        section.ReportFaultyKeys();
        return result;
    }

    /// <summary>The items of a list; a single value counts as a list of one.</summary>
    /// <param name="insteadOfMapping">The hint for a mapping; null: that a list is meant.</param>
    public IReadOnlyList<ConfigField> Items(string? insteadOfMapping = null)
    {
        switch (Node)
        {
            case SequenceNode list:
                return [.. list.Items.Select((item, i) => this with
                {
                    Node = item, Location = item.Location, Path = $"{Path}[{i}]",
                })];
            case ScalarNode scalar when IsGluedList(scalar.Text):
                Error($"{Name}: one text, not a list", "write a space behind each dash");
                return [];
            case ScalarNode:
                return [this];
            case MappingNode:
                Expected("a list", insteadOfMapping ?? "write [one, other], or one item in each line, after '- '");
                return [];
            default:
                return [];
        }
    }

    /// <summary>The values of a mapping whose keys are names that the operator chooses.</summary>
    public IReadOnlyList<ConfigField> Named() => Named(ConfigValue.TryName);

    /// <summary>The values of a mapping whose keys <paramref name="name"/> checks.</summary>
    public IReadOnlyList<ConfigField> Named(Parser<string> name)
    {
        if (Node is not MappingNode mapping)
        {
            if (Node is not EmptyNode)
            {
                Expected("a mapping of names", $"write {Name}: {{ NAME: … }}");
            }

            return [];
        }
        var fields = new Dictionary<string, ConfigField>();
        foreach (ConfigEntry entry in mapping.Entries)
        {
            ConfigField field = Child(entry, entry.Key);
            if (!name(entry.Key, out _, out string? fault))
            {
                (field with { Location = entry.Location, Path = Path }).Reject(fault);
            }

            if (!fields.TryAdd(entry.Key, field) && !entry.Merged)
            {
                ReportRepeated(entry, fields[entry.Key]);
            }
        }
        return [.. fields.Values];
    }

    /// <summary>A field below this one. A fault of a value is shown at the value, that of a group at its key.</summary>
    public ConfigField Child(ConfigEntry entry, string name) => new(name, entry.Value,
        entry.Value is ScalarNode ? entry.Value.Location : entry.Location, Path.Length == 0 ? name : $"{Path}.{name}",
        Report);

    /// <summary>The field below this one that these keys lead to; the nearest one if it is not there.</summary>
    public ConfigField Below(params ReadOnlySpan<string> keys)
    {
        ConfigField at = this;
        foreach (string key in keys)
        {
            at = (at.Node as MappingNode)?.Find(key) is { } entry ? at.Child(entry, key) : at;
        }
        return at;
    }

    public void ReportRepeated(ConfigEntry entry, ConfigField first) => Report.Error(entry.Location, Path,
        $"duplicate key {ConfigValue.Quote(entry.Key)}", $"the first is {first.Location.SeenFrom(entry.Location)}");

    /// <summary>Messages do not quote the value.</summary>
    public bool HoldsSecret { get; init; }

    /// <summary><c>-a</c> and <c>-b</c> on two lines, which YAML reads as the text <c>-a -b</c>.</summary>
    private static bool IsGluedList(string text) =>
        text.StartsWith('-') && text.Contains(" -", StringComparison.Ordinal);

    private static string WithoutValue(string fault, string value) => value.Length == 0 ? fault
        : fault.Replace(ConfigValue.Quote(value), "'***'", StringComparison.Ordinal)
            .Replace(value, "***", StringComparison.Ordinal);

    private void Expected(string what, string? hint)
    {
        if (Node is EmptyNode)
        {
            Error($"'{Name}' has no value", "write one, or remove the key");
        }
        else if (Node is not FaultyNode)
        {
            Error($"{(Name.Length == 0 ? "the file" : Name)}: expected {what}, found {Node.Kind}", hint);
        }
    }
}
