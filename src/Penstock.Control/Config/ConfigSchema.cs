using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Penstock.Control.Config;

/// <summary>The JSON schema of the configuration, draft 7, for editors: made from the tables of keys.</summary>
internal static partial class ConfigSchema
{
    private static readonly JsonSerializerOptions Readable = new()
    {
        WriteIndented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    public static string Make()
    {
        var schema = new JsonObject
        {
            ["$schema"] = "http://json-schema.org/draft-07/schema#",
            ["title"] = "Penstock configuration",
        };
        foreach ((string name, JsonNode? value) in Definition(FileKeys.Table))
        {
            schema[name] = value?.DeepClone();
        }
        var definitions = new JsonObject();
        foreach (SchemaPart part in SchemaPart.All)
        {
            definitions[part.Name] = JsonNode.Parse(part.Schema);
        }
        foreach (KeyTable table in FileKeys.Table.Reachable().DistinctBy(static table => table.Name).Skip(1))
        {
            definitions[table.Name] = Definition(table);
        }
        schema["definitions"] = definitions;
        return schema.ToJsonString(Readable) + "\n";
    }

    private static JsonObject Definition(KeyTable table)
    {
        var properties = new JsonObject();
        foreach (Key row in table.Rows)
        {
            JsonObject shape = JsonNode.Parse(row.Shape.Schema)!.AsObject();
            JsonObject property = new() { ["description"] = Plain(row) };
            if (shape.ContainsKey("$ref")) // what stands beside it would not count
            {
                property["allOf"] = new JsonArray(shape);
            }
            else
            {
                foreach ((string name, JsonNode? value) in shape)
                {
                    property[name] = value?.DeepClone();
                }
            }
            if (row.Default is { } standard)
            {
                property["default"] = JsonNode.Parse(standard);
            }
            properties[row.Name] = property;
        }
        string[] required = [.. table.Rows.Where(static r => r.Required && r.DefaultText == "required")
            .Select(static r => r.Name)];
        var definition = new JsonObject
        {
            ["type"] = required.Length > 0 || table.Name.Length == 0 ? "object" : new JsonArray("object", "null"),
            ["additionalProperties"] = false,
            ["properties"] = properties,
        };
        if (required.Length > 0)
        {
            definition["required"] = new JsonArray([.. required.Select(static name => JsonValue.Create(name))]);
        }
        if (table.Schema is { } more)
        {
            foreach ((string name, JsonNode? value) in JsonNode.Parse(more)!.AsObject())
            {
                definition[name] = value?.DeepClone();
            }
        }
        return definition;
    }

    /// <summary>The description for editors, which do not show Markdown.</summary>
    private static string Plain(Key row) => Link().Replace(row.Description, "${text}")
        .Replace('`', '\'').Replace("\\*", "*", StringComparison.Ordinal) + (row.AtStart ? " Read at start only." : "");

    [GeneratedRegex(@"\[(?<text>[^\]]*)\]\([^)]*\)", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Link();
}
