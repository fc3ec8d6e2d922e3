using System.Text.Json.Nodes;

namespace Penstock.IntegrationTests.Admin;

/// <summary>An operation of the OpenAPI document.</summary>
/// <param name="Id">Its operation id.</param>
/// <param name="Method">In upper case.</param>
/// <param name="Path">With parameters such as <c>{name}</c>.</param>
/// <param name="Node">What the document says about it.</param>
internal sealed record ApiOperation(string Id, string Method, string Path, JsonObject Node)
{
    /// <summary>Everybody may call it, without a token.</summary>
    public bool IsPublic => Node["security"] is JsonArray { Count: 0 };

    public bool NeedsAdmin => ((string)Node["description"]!).EndsWith("Role: `admin`.", StringComparison.Ordinal);

    /// <summary>The names of its parameters, with where they stand and their example.</summary>
    public IEnumerable<(string Name, bool InPath, string? Example)> Parameters =>
        (Node["parameters"]?.AsArray() ?? []).Where(static parameter => (string?)parameter!["in"] != "header")
            .Select(static parameter => ((string)parameter!["name"]!, (string?)parameter["in"] == "path",
                (string?)parameter["example"]));

    /// <summary>The bodies of its examples, by content type; one without a type if it has no body.</summary>
    public IEnumerable<(string? Body, string Type)> Bodies => Node["requestBody"]?["content"] is not JsonObject content
        ? [(null, "")]
        : content.Select(static type => (Text(type.Value!["example"]), type.Key));

    /// <summary>All operations of a running Penstock, those that create something first and those that delete last.
    /// </summary>
    public static async Task<IReadOnlyList<ApiOperation>> ReadAllAsync(AdminFixture admin)
    {
        JsonNode api = JsonNode.Parse((await admin.SendAsync("GET", "/openapi/v1.json")).Body)!;
        string[] order = ["post", "put", "get", "patch", "delete"];
        return [.. api["paths"]!.AsObject().SelectMany(static path => path.Value!.AsObject().Select(method =>
                (method.Key, new ApiOperation((string)method.Value!["operationId"]!, method.Key.ToUpperInvariant(),
                    path.Key, method.Value!.AsObject()))))
            .OrderBy(operation => Array.IndexOf(order, operation.Key)).Select(static operation => operation.Item2)];
    }

    /// <summary>The path and query with values for the parameters.</summary>
    /// <param name="values">Escaped; null: the parameter is left out, or empty in a path.</param>
    public string Target(Func<(string Name, bool InPath, string? Example), string?> values)
    {
        string path = Path;
        var query = new List<string>();
        foreach ((string Name, bool InPath, string? Example) parameter in Parameters)
        {
            string? value = values(parameter);
            if (parameter.InPath)
            {
                path = path.Replace($"{{{parameter.Name}}}", value, StringComparison.Ordinal);
            }
            else if (value is not null)
            {
                query.Add($"{parameter.Name}={value}");
            }
        }
        return query.Count == 0 ? path : $"{path}?{string.Join('&', query)}";
    }

    /// <summary>The path and query of the example.</summary>
    public string ExampleTarget() =>
        Target(static parameter => parameter.Example is { } example ? Uri.EscapeDataString(example) : null);

    /// <summary>An example that is a text stands for itself; others are JSON.</summary>
    public static string? Text(JsonNode? example) => example is JsonValue value && value.TryGetValue(out string? text)
        ? text : example?.ToJsonString();
}
