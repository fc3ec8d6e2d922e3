using System.Reflection;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Penstock.Control.Config;
using Penstock.TestKit;
using Penstock.UnitTests.Docs;
using Xunit;

namespace Penstock.UnitTests.Config;

/// <summary>The schema for editors and the reference for people say what the binder does.</summary>
public sealed partial class ConfigSchemaTests
{
    private static readonly JsonNode Schema = JsonNode.Parse(File.ReadAllText(Docs("penstock.schema.json")))!;
    private static readonly string Reference = File.ReadAllText(Docs("configuration.md"));

    /// <summary>Properties that no key fills, each with what does.</summary>
    private static readonly string[] NotOfKeys =
    [
        "PenstockConfig.Proxy", // most keys at the top are its
        "PenstockConfig.File", "PenstockConfig.Files", // what was loaded
        "PenstockConfig.Settings", // all of it
        "UpstreamConfig.Name", // the name of the entry
        "BackendConfig.Stored", // of the API, see UpstreamKeys.AddedBackend
        "AnswerConfig.FirstStatus", "AnswerConfig.LastStatus", // the name of the entry
        "CheckField.Name", "CheckField.Value", "RouteCondition.Name", "RouteCondition.Value", "HeaderField.Name",
        "HeaderField.Value", "PassedPart.Field", "PassedPart.Part", "StatusRange.From",
        "StatusRange.To", // one value makes all of it
        "IdentitySource.Kind", "IdentitySource.Name", "SampleConfig.Statuses", "SampleConfig.OneOf",
        "AccessLogTarget.Kind", "AccessLogTarget.Text", "AccessLogTarget.Address", "AccessLogTarget.Port",
        "AccessLogConfig.Terminal", // the program sets it
    ];

    [Fact]
    public void Schema_is_that_of_the_keys() =>
        GeneratedText.Check("docs/penstock.schema.json", ConfigSchema.Make());

    [Fact]
    public void Tables_of_the_reference_are_those_of_the_keys()
    {
        GeneratedText.CheckParts("docs/configuration.md", KeyTables.All.Select(static table =>
            ($"keys of {(table.Name.Length == 0 ? "the file" : table.Name)}", KeyTables.Reference(table))));
        Assert.Equal(KeyTables.All.Count, Reference.Split("<!-- generated: keys of ").Length - 1);
    }

    [Fact]
    public void Every_key_says_what_it_does_and_fills_a_property_that_exists()
    {
        foreach (KeyTable table in KeyTables.All)
        {
            Assert.All(table.Rows, row => Assert.True(row.Description is [.., '.'] && row.Shape.Text.Length > 0,
                $"'{row.Name}' of '{table.Name}' has no sentence that says what it does"));
            Assert.All(table.Rows.SelectMany(static row => row.Properties), path =>
                Assert.True(Find(table.Record, path) is not null, $"{table.Record.Name} has no {path}"));
        }
    }

    [Fact]
    public void Every_property_of_a_record_has_a_key()
    {
        HashSet<string> filled = [.. KeyTables.All.SelectMany(static table => table.Rows
            .SelectMany(static row => row.Properties)
            .Select(path => Find(table.Record, path)!))
            .Select(static p => $"{p.DeclaringType!.Name}.{p.Name}")];
        IEnumerable<string> all = Records().SelectMany(static record => record.GetProperties()
            .Where(static p => p.SetMethod is not null).Select(p => $"{record.Name}.{p.Name}"));

        Assert.Equal([], all.Except(filled).Except(NotOfKeys));
    }

    [Fact]
    public void Schema_accepts_what_the_binder_accepts()
    {
        var schema = new JsonSchema(Schema);
        string[] files = [.. Directory.GetFiles(Path.Combine(Repository.Root, "examples"), "*.yaml")
            .Select(File.ReadAllText), EveryKey.Full, EveryKey.Flat, ConfigText.Example];

        Assert.All(files, text => Assert.True(schema.Accepts(ConfigText.ToJson(text)), text));
        Assert.True(schema.Accepts(ConfigText.ToJson("upstreams: { web: [a:1, { url: b:1, weight: 2 }] }")));
        Assert.False(schema.Accepts(ConfigText.ToJson("upstreams: { web: a:1 }")));
        Assert.False(schema.Accepts(ConfigText.ToJson("upstreams: { web: { url: a:1 } }")));
        Assert.False(schema.Accepts(ConfigText.ToJson("backends: a:1\nloops: 1025")));
        Assert.False(schema.Accepts(ConfigText.ToJson("backends: a:1\nlooops: 1")));
        Assert.False(schema.Accepts(ConfigText.ToJson("backends: a:1\nretries: { attempts: 11 }")));
    }

    private static PropertyInfo? Find(Type record, string path)
    {
        PropertyInfo? property = null;
        foreach (string name in path.Split('.'))
        {
            property = (property?.PropertyType ?? record).GetProperty(name);
        }
        return property;
    }

    /// <summary>The configuration and every record that it holds.</summary>
    private static List<Type> Records()
    {
        List<Type> all = [typeof(PenstockConfig)];
        for (int i = 0; i < all.Count; i++)
        {
            all.AddRange(all[i].GetProperties().Where(static p => !NotOfKeys.Contains($"PenstockConfig.{p.Name}")
                || p.Name == nameof(PenstockConfig.Proxy)).SelectMany(static p => p.PropertyType.GetGenericArguments()
                    .Append(p.PropertyType))
                .Where(t => t.Namespace is "Penstock.Proxy.Configuration" or "Penstock.Control.Config"
                    && t is { IsEnum: false, IsGenericType: false } && !all.Contains(t)).Distinct());
        }
        return all;
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
        foreach ((string? key, JsonNode? value) in Defaults(""))
        {
            withDefaults[key] = value?.DeepClone();
        }

        Assert.Equal("2s", withDefaults["timeouts"]!["connect"]!.GetValue<string>());
        Assert.Equal(
            ConfigText.Describe(ConfigText.Load("upstreams: { web: { backends: a:1, health_check: { path: / } } }")),
            ConfigText.Describe(ConfigText.Load(withDefaults.ToJsonString(), "penstock.json")));
    }

    [Fact]
    public void Examples_of_the_reference_load()
    {
        MatchCollection examples = Example().Matches(Reference + File.ReadAllText(Docs("routing.md")));

        Assert.True(examples.Count >= 5);
        foreach (Match example in examples)
        {
            string file = example.Groups["language"].Value == "yaml" ? "penstock.yaml" : "penstock.json";
            Assert.Empty(ConfigText.Faults(example.Groups["text"].Value, file, new() { ["PENSTOCK_TOKEN"] = "x" }));
        }
    }

    [Fact]
    public void Diagnostics_in_the_reference_are_what_check_prints()
    {
        string[] sections = Reference.Split("## Diagnostics")[1].Split("```");
        (string text, string expected) = (sections[1]["yml\n".Length..], sections[3]["text\n".Length..]);
        var output = new StringWriter { NewLine = "\n" };
        DiagnosticWriter.WriteText(output, "penstock.yaml", ConfigText.Parse(text).Diagnostics, color: false);

        Assert.Equal(expected, output.ToString());
    }

    /// <summary>A mapping with every default the schema states, and some more.</summary>
    private static JsonObject Defaults(string mapping, params (string Key, JsonNode Value)[] more)
    {
        var result = new JsonObject();
        JsonNode definition = mapping.Length == 0 ? Schema : Schema["definitions"]![mapping]!;
        foreach ((string key, JsonNode? property) in definition["properties"]!.AsObject())
        {
            // The keys of the short form cannot be used with 'upstreams'.
            if (property!["default"] is { } value
                && (mapping.Length > 0 || UpstreamKeys.Flat.Rows.All(row => row.Name != key)))
            {
                result[key] = value.DeepClone();
            }
        }
        foreach ((string key, JsonNode value) in more)
        {
            result[key] = value;
        }
        return result;
    }

    private static string Docs(string file) => Path.Combine(Repository.Root, "docs", file);

    [GeneratedRegex("```(?<language>yaml|jsonc)\n(?<text>.*?)```",
        RegexOptions.Singleline | RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Example();
}
