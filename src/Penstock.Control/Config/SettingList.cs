using System.Text.Json.Nodes;

namespace Penstock.Control.Config;

/// <summary>Lists the values in force: those that are written, and the defaults of the other keys.</summary>
internal static class SettingList
{
    private const string Hidden = "***";

    /// <param name="root">A configuration without errors.</param>
    public static IReadOnlyList<Setting> Of(ConfigNode root)
    {
        var file = root as MappingNode;
        bool isFlat = file is null || file.Find("backends") is not null;
        IEnumerable<Key> keys = FileKeys.Table.Rows;
        if (!isFlat)
        {
            keys = keys.ExceptBy(UpstreamKeys.Flat.Rows.Select(static row => row.Name), static key => key.Name);
        }
        return OfKeys(keys, file);
    }

    private static List<Setting> OfKeys(IEnumerable<Key> keys, MappingNode? mapping)
    {
        List<Setting> all = [];
        foreach (Key key in keys)
        {
            ConfigEntry? entry = mapping?.Find(key.Name);
            if (entry is null && key.OnlyWith is var (other, value) && all.Find(s => s.Name == other)?.Text != value)
            {
                continue;
            }
            if ((entry is null ? DefaultOf(key) : OfNode(key.Name, key.Shape, entry.Value, key.Secret)) is { } setting)
            {
                all.Add(setting);
            }
        }
        return all;
    }

    /// <summary>Null: the default cannot be written.</summary>
    private static Setting? DefaultOf(Key key)
    {
        if (key.Default is { } json)
        {
            JsonNode? value = JsonNode.Parse(json);
            return OfJson(key.Name, key.Shape.Item is null || value is JsonArray ? value : new JsonArray(value));
        }
        return key.HasParts && OfKeys(key.Shape.Tables[0].Rows, null) is { Count: > 0 } parts
            ? new() { Name = key.Name, Parts = parts } : null;
    }

    private static Setting OfJson(string name, JsonNode? json) => json is JsonArray list
        ? new() { Name = name, IsList = true, Parts = [.. list.Select(static item => OfJson("", item))] }
        : new() { Name = name, Text = json?.ToString() ?? "", Compared = json?.ToString() ?? "" };

    private static Setting? OfNode(string name, Shape? shape, ConfigNode node, bool isSecret)
    {
        isSecret |= shape is null && Secrets.IsSecretName(name); // a header field, for instance
        switch (node)
        {
            case ScalarNode scalar when shape?.Item is { } item && !scalar.Text.Equals("off", StringComparison.Ordinal):
                return new() { Name = name, IsList = true, Parts = [OfNode("", item, node, isSecret)!] };
            case ScalarNode scalar when shape is { HasShortForm: true }:
                var alone = new ConfigEntry(shape.Tables[0].Rows[0].Name, scalar.Location, scalar);
                return OfMapping(name, shape, new(scalar.Location, [alone]), isSecret);
            case ScalarNode scalar:
                return OfScalar(name, shape, scalar, isSecret);
            case SequenceNode list:
                return new()
                {
                    Name = name, IsList = true,
                    Parts = [.. list.Items.Select(item => OfNode("", shape?.Item, item, isSecret)).OfType<Setting>()],
                };
            case MappingNode mapping:
                return OfMapping(name, shape, mapping, isSecret);
            default:
                return shape is { Tables.Count: 1, IsNamed: false }
                    ? OfMapping(name, shape, new(node.Location, []), isSecret) : null;
        }
    }

    private static Setting OfScalar(string name, Shape? shape, ScalarNode scalar, bool isSecret)
    {
        bool isHidden = isSecret || scalar.IsSecret || (shape is null && scalar.MadeOf is not null);
        return new()
        {
            Name = name, At = scalar.Location, MadeOf = scalar.MadeOf, IsSecret = isHidden,
            Text = isHidden && scalar.Text.Length > 0 ? Hidden : Secrets.Hide(scalar.Text.Trim()),
            Compared = shape?.Canonical(scalar.Text.Trim()) ?? scalar.Text,
        };
    }

    private static Setting OfMapping(string name, Shape? shape, MappingNode mapping, bool isSecret)
    {
        KeyTable? table = shape?.Tables.SingleOrDefault();
        return new()
        {
            Name = name,
            HasShortForm = shape is { HasShortForm: true },
            Parts = table is not null && shape is { IsNamed: false } ? OfKeys(table.Rows, mapping)
                : [.. mapping.Entries.Select(entry => table is not null && entry.Value is MappingNode inner
                    ? new Setting { Name = entry.Key, Parts = OfKeys(table.Rows, inner) }
                    : OfNode(entry.Key, null, entry.Value, isSecret)).OfType<Setting>()],
        };
    }
}
