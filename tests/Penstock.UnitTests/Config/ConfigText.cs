using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Penstock.Control.Config;
using Xunit;

namespace Penstock.UnitTests.Config;

/// <summary>Loads configuration texts for tests, and formats the results.</summary>
internal static class ConfigText
{
    private static readonly JsonSerializerOptions Readable = new()
    {
        WriteIndented = true,
        Converters = { new AsText<EndPoint>(), new AsText<IPNetwork>(), new JsonStringEnumConverter() },
    };

    /// <summary>The design's example, without what is for later versions.</summary>
    public const string Example = """
        listen: 0.0.0.0:8080
        admin: { listen: 127.0.0.1:9800, token: "${PENSTOCK_TOKEN:-}" }
        clients:
          identify: [header:X-API-Key, header:X-Client-ID, query:client_id, address]
          unknown: address
          trusted_proxies: [10.0.0.0/8]
          ipv6_prefix: 64
        limits:
          default: { capacity: 100, rate: 10/s }
        store: sqlite:penstock.db
        upstreams:
          web:
            balance: round_robin
            backends:
              - http://127.0.0.1:9001
              - { url: http://127.0.0.1:9002, weight: 2, max_connections: 100, backup: false }
            health_check: { path: /health, interval: 2s, timeout: 1s, rise: 2, fall: 3 }
        routes:
          - { host: api.example.com, path: /v1/*, upstream: web, limit: default }
          - { upstream: web }
        timeouts: { connect: 2s, head: 10s, response: 60s, idle: 90s, shutdown: 30s }
        loops: auto
        access_log: stdout
        """;

    public static ConfigResult Parse(string text, string file = "penstock.yaml",
        Dictionary<string, string>? environment = null) =>
        ConfigLoader.Parse(file, text.ReplaceLineEndings("\n"), name => environment?.GetValueOrDefault(name));

    /// <summary>The configuration of a text that must have no errors; warnings are allowed.</summary>
    public static PenstockConfig Load(string text, string file = "penstock.yaml",
        Dictionary<string, string>? environment = null)
    {
        ConfigResult result = Parse(text, file, environment);
        Assert.DoesNotContain(Lines(result), line => line.StartsWith("error", StringComparison.Ordinal));
        return Assert.IsType<PenstockConfig>(result.Config);
    }

    /// <summary><c>error 14:9+6 unknown key 'weigth' | did you mean 'weight'? | upstreams.web.backends[1]</c></summary>
    public static string[] Faults(string text, string file = "penstock.yaml",
        Dictionary<string, string>? environment = null) => Lines(Parse(text, file, environment));

    /// <summary>Everything in a configuration, for comparing two of them.</summary>
    public static string Describe(PenstockConfig config) =>
        JsonSerializer.Serialize(config with { File = null, Settings = [], Files = [] }, Readable);

    /// <summary>YAML as editors read it: scalars that look like numbers or booleans have that type.</summary>
    public static JsonNode? ToJson(string yaml)
    {
        var report = new Report();
        return Json(YamlTree.Read(new("a.yaml", yaml), report, new Variables(static _ => "", report))!);

        static JsonNode? Json(ConfigNode node) => node switch
        {
            MappingNode mapping => new JsonObject(mapping.Entries.Select(
                static e => KeyValuePair.Create(e.Key, Json(e.Value)))),
            SequenceNode list => new JsonArray([.. list.Items.Select(Json)]),
            ScalarNode { Text: "true" or "false" } scalar => JsonValue.Create(scalar.Text == "true"),
            ScalarNode scalar when double.TryParse(scalar.Text, CultureInfo.InvariantCulture, out double number) =>
                JsonValue.Create(number),
            ScalarNode scalar => JsonValue.Create(scalar.Text),
            _ => null,
        };
    }

    private static string[] Lines(ConfigResult result) =>
    [
        .. result.Diagnostics.Select(d => $"{(d.Severity == Severity.Error ? "error" : "warning")} "
            + $"{d.Line}:{d.Column}+{d.Length} {d.Message} | {d.Hint} | {d.Path}"),
    ];

    private sealed class AsText<T> : JsonConverter<T>
    {
        public override bool CanConvert(Type typeToConvert) => typeof(T).IsAssignableFrom(typeToConvert);

        public override T Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options) =>
            throw new NotSupportedException();

        public override void Write(Utf8JsonWriter writer, T value, JsonSerializerOptions options) =>
            writer.WriteStringValue(value!.ToString());
    }
}
