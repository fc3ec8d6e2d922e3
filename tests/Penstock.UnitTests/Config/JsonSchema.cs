using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;

namespace Penstock.UnitTests.Config;

/// <summary>As much of JSON Schema, draft 7, as the schema of the configuration uses.</summary>
internal sealed class JsonSchema(JsonNode schema)
{
    public bool Accepts(JsonNode? value) => Accepts(schema, value);

    private bool Accepts(JsonNode? rule, JsonNode? value)
    {
        if (rule is JsonValue allowed)
        {
            return allowed.GetValue<bool>();
        }
        foreach ((string word, JsonNode? wanted) in rule!.AsObject())
        {
            if (!Holds(rule.AsObject(), word, wanted!, value))
            {
                return false;
            }
        }
        return true;
    }

    private bool Holds(JsonObject rule, string word, JsonNode wanted, JsonNode? value) => word switch
    {
        "$ref" => Accepts(schema["definitions"]![wanted.GetValue<string>()["#/definitions/".Length..]], value),
        "anyOf" => wanted.AsArray().Any(one => Accepts(one, value)),
        "allOf" => wanted.AsArray().All(one => Accepts(one, value)),
        "not" => !Accepts(wanted, value),
        "enum" => wanted.AsArray().Any(one => JsonNode.DeepEquals(one, value)),
        "type" => wanted is JsonArray types ? types.Any(type => Is(type!.GetValue<string>(), value))
            : Is(wanted.GetValue<string>(), value),
        "properties" => value is not JsonObject o || o.All(p => wanted[p.Key] is not { } rules
            || Accepts(rules, p.Value)),
        "additionalProperties" => value is not JsonObject o || o.All(p => IsNamed(rule, p.Key)
            || Accepts(wanted, p.Value)),
        "propertyNames" => value is not JsonObject o || o.All(p => Accepts(wanted, JsonValue.Create(p.Key))),
        "required" => value is not JsonObject o || wanted.AsArray().All(key => o.ContainsKey(key!.GetValue<string>())),
        "minProperties" => value is not JsonObject o || o.Count >= wanted.GetValue<int>(),
        "items" => value is not JsonArray a || a.All(item => Accepts(wanted, item)),
        "minItems" => value is not JsonArray a || a.Count >= wanted.GetValue<int>(),
        "minLength" => !Is("string", value) || value!.GetValue<string>().Length >= wanted.GetValue<int>(),
        "pattern" => !Is("string", value) || Regex.IsMatch(value!.GetValue<string>(), wanted.GetValue<string>(),
            RegexOptions.None, TimeSpan.FromSeconds(1)),
        "minimum" => !Is("number", value) || Number(value) >= Number(wanted),
        "maximum" => !Is("number", value) || Number(value) <= Number(wanted),
        "description" or "default" or "title" or "$schema" or "definitions" or "patternProperties" => true,
        _ => throw new NotSupportedException(word),
    };

    private static bool IsNamed(JsonObject rule, string key) => rule["properties"]?[key] is not null
        || rule["patternProperties"]?.AsObject().Any(p => Regex.IsMatch(key, p.Key, RegexOptions.None,
            TimeSpan.FromSeconds(1))) == true;

    private static double Number(JsonNode? value) => value!.Deserialize<double>();

    private static bool Is(string type, JsonNode? value) => (type, value?.GetValueKind() ?? JsonValueKind.Null) switch
    {
        ("object", JsonValueKind.Object) or ("array", JsonValueKind.Array) or ("string", JsonValueKind.String)
            or ("number", JsonValueKind.Number) or ("null", JsonValueKind.Null)
            or ("boolean", JsonValueKind.True or JsonValueKind.False) => true,
        ("integer", JsonValueKind.Number) => double.IsInteger(Number(value)),
        _ => false,
    };
}
