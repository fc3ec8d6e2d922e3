using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Penstock.Control.Config;
using Xunit;

namespace Penstock.UnitTests.Config;

/// <summary>The schema for editors and the reference for people say what the binder does.</summary>
public sealed partial class ConfigSchemaTests
{
    private const string KnownKeys = "known keys: ";

    private static readonly JsonNode Schema = JsonNode.Parse(File.ReadAllText(Docs("penstock.schema.json")))!;
    private static readonly string Reference = File.ReadAllText(Docs("configuration.md"));

    // A wrong key in every mapping there is makes the binder list the right ones.
    private const string EveryMapping = """
        zzzzzzzz: 1
        listen: [{ zzzzzzzz: 1 }]
        admin: { zzzzzzzz: 1 }
        clients: { zzzzzzzz: 1 }
        limits: { x: { zzzzzzzz: 1 } }
        plans: { x: { zzzzzzzz: 1 } }
        upstreams:
          x:
            zzzzzzzz: 1
            backends: [{ zzzzzzzz: 1 }]
            health_check: { zzzzzzzz: 1, expect: { zzzzzzzz: 1 } }
            passive_health: { zzzzzzzz: 1 }
            hash: { zzzzzzzz: 1 }
            sticky: { zzzzzzzz: 1 }
            retries: { zzzzzzzz: 1 }
            queue: { zzzzzzzz: 1 }
            hedge: { zzzzzzzz: 1 }
        routes:
          - zzzzzzzz: 1
            timeouts: { zzzzzzzz: 1 }
            rewrite: { zzzzzzzz: 1 }
            retries: { zzzzzzzz: 1 }
            request_headers: { zzzzzzzz: 1 }
            response_headers: { zzzzzzzz: 1 }
        timeouts: { zzzzzzzz: 1 }
        bounds: { zzzzzzzz: 1 }
        errors: { 429: { zzzzzzzz: 1 } }
        """;

    [Fact]
    public void Schema_has_exactly_the_keys_of_the_binder()
    {
        var ofBinder = ConfigText.Parse(EveryMapping).Diagnostics
            .Where(d => d.Hint?.StartsWith(KnownKeys, StringComparison.Ordinal) == true)
            .Select(d => (Name: Definition(d.Path), Keys: Sorted(d.Hint![KnownKeys.Length..].Split(", "))))
            .Distinct().ToDictionary(d => d.Name, d => d.Keys);
        var ofSchema = Mappings(Schema).ToDictionary(m => m.Name, m => Sorted(m.Properties.Select(p => p.Key)));

        Assert.Equal(ofSchema.OrderBy(m => m.Key, StringComparer.Ordinal),
            ofBinder.OrderBy(m => m.Key, StringComparer.Ordinal));

        static string Sorted(IEnumerable<string> keys) => string.Join(' ', keys.Order(StringComparer.Ordinal));

        static string Definition(string? path) => path switch
        {
            null => "",
            "listen[0]" => "listener",
            "limits.x" => "limit",
            "errors.429" => "error",
            "plans.x" => "plan",
            "upstreams.x" => "upstream",
            "upstreams.x.backends[0]" => "backend",
            "upstreams.x.health_check.expect" => "health_check_expect",
            not null when path.StartsWith("upstreams.x.", StringComparison.Ordinal) => path["upstreams.x.".Length..],
            "routes[0]" => "route",
            "routes[0].timeouts" => "route_timeouts",
            "routes[0].rewrite" => "rewrite",
            "routes[0].retries" => "route_retries",
            "routes[0].request_headers" or "routes[0].response_headers" => "header_edits",
            _ => path,
        };
    }

    [Fact]
    public void Defaults_of_the_schema_are_those_of_the_binder()
    {
        var withDefaults = new JsonObject
        {
            ["upstreams"] = new JsonObject
            {
                ["web"] = Defaults("upstream", ("backends", new JsonArray(Defaults("backend", ("url", "a:1")))),
                    ("health_check", Defaults("health_check", ("path", "/"),
                        ("expect", Defaults("health_check_expect")))),
                    ("passive_health", Defaults("passive_health")),
                    ("retries", Defaults("retries")), ("queue", Defaults("queue"))),
            },
            ["admin"] = Defaults("admin"),
            ["clients"] = Defaults("clients"),
            ["timeouts"] = Defaults("timeouts"),
            ["bounds"] = Defaults("bounds"),
        };
        foreach (var (key, value) in Defaults(""))
            withDefaults[key] = value?.DeepClone();

        Assert.Equal("2s", withDefaults["timeouts"]!["connect"]!.GetValue<string>());
        Assert.Equal(
            ConfigText.Describe(ConfigText.Load("upstreams: { web: { backends: a:1, health_check: { path: / } } }")),
            ConfigText.Describe(ConfigText.Load(withDefaults.ToJsonString(), "penstock.json")));
    }

    [Fact]
    public void Reference_explains_every_key_with_its_default()
    {
        foreach (var (name, properties) in Mappings(Schema))
        {
            foreach (var (key, property) in properties)
            {
                var row = Reference.Split('\n').FirstOrDefault(line =>
                    line.Contains($"`{key}`", StringComparison.Ordinal)
                    && (property!["default"]?.ToJsonString() is not { } value
                        || line.Contains($"`{value}`", StringComparison.Ordinal)
                        || line.Contains($"`{value.Trim('"')}`", StringComparison.Ordinal)));
                Assert.True(row is not null, $"docs/configuration.md does not explain '{key}' of '{name}'");
            }
        }
    }

    [Fact]
    public void Examples_of_the_reference_load()
    {
        var examples = Example().Matches(Reference + File.ReadAllText(Docs("routing.md")));

        Assert.True(examples.Count >= 5);
        foreach (Match example in examples)
        {
            var file = example.Groups["language"].Value == "yaml" ? "penstock.yaml" : "penstock.json";
            Assert.Empty(ConfigText.Faults(example.Groups["text"].Value, file, new() { ["PENSTOCK_TOKEN"] = "x" }));
        }
    }

    [Fact]
    public void Diagnostics_in_the_reference_are_what_check_prints()
    {
        var sections = Reference.Split("## Diagnostics")[1].Split("```");
        var (text, expected) = (sections[1]["yml\n".Length..], sections[3]["text\n".Length..]);
        var output = new StringWriter { NewLine = "\n" };
        DiagnosticWriter.WriteText(output, "penstock.yaml", ConfigText.Parse(text).Diagnostics, color: false);

        Assert.Equal(expected, output.ToString());
    }

    private static IEnumerable<(string Name, JsonObject Properties)> Mappings(JsonNode schema)
    {
        yield return ("", schema["properties"]!.AsObject());
        foreach (var (name, definition) in schema["definitions"]!.AsObject())
        {
            var shapes = definition!["anyOf"]?.AsArray() ?? [];
            foreach (var shape in shapes.Prepend(definition))
                if (shape!["properties"] is JsonObject properties)
                    yield return (name, properties);
        }
    }

    /// <summary>A mapping with every default the schema states, and some more.</summary>
    private static JsonObject Defaults(string mapping, params (string Key, JsonNode Value)[] more)
    {
        var result = new JsonObject();
        foreach (var (key, property) in Mappings(Schema).Single(m => m.Name == mapping).Properties)
        {
            var target = property!["default"] is null && property["$ref"] is { } reference
                ? Schema["definitions"]![reference.GetValue<string>().Split('/')[^1]]!
                : property;
            // The flat form's keys cannot stand beside upstreams.
            if (target["default"] is { } value
                && (mapping.Length > 0 || key is not ("balance" or "send_proxy" or "slow_start")))
                result[key] = value.DeepClone();
        }
        foreach (var (key, value) in more)
            result[key] = value;
        return result;
    }

    private static string Docs(string file)
    {
        var directory = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(directory.FullName, "Penstock.slnx")))
            directory = directory.Parent ?? throw new InvalidOperationException("the tests run outside the repository");
        return Path.Combine(directory.FullName, "docs", file);
    }

    [GeneratedRegex("```(?<language>yaml|jsonc)\n(?<text>.*?)```",
        RegexOptions.Singleline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Example();
}
