using System.CommandLine;
using System.Text.Json.Nodes;
using Penstock.Commands;
using Penstock.Control.Config;
using Penstock.TestKit;
using Xunit;
using YamlDotNet.Core;
using YamlDotNet.Serialization;
using Parser = YamlDotNet.Core.Parser;

namespace Penstock.IntegrationTests.Deploy;

/// <summary>Reads the files in <c>deploy</c>, and what the program says to the configurations and command lines in
/// them.</summary>
internal static class DeployFiles
{
    public static string PathOf(string file) => Path.GetFullPath(Path.Combine(Repository.Root, "deploy", file));

    public static string[] Lines(string file) => File.ReadAllLines(PathOf(file));

    /// <summary>The documents of a YAML file, with anchors and merges resolved. All scalars are texts.</summary>
    public static JsonNode[] Yaml(string file)
    {
        var parser = new MergingParser(new Parser(new StringReader(File.ReadAllText(PathOf(file)))));
        IDeserializer deserializer = new DeserializerBuilder().Build();
        var documents = new List<JsonNode>();
        parser.Consume<YamlDotNet.Core.Events.StreamStart>();
        while (parser.Accept<YamlDotNet.Core.Events.DocumentStart>(out _))
        {
            documents.Add(Node(deserializer.Deserialize<object>(parser)));
        }
        return [.. documents];
    }

    public static string[] Texts(JsonNode? list) => [.. (list?.AsArray() ?? []).Select(static item => (string)item!)];

    /// <summary>The configuration, which must be valid and without a warning.</summary>
    public static PenstockConfig Config(string file)
    {
        string folder = Directory.CreateTempSubdirectory("penstock-test-").FullName;
        try
        {
            string copy = Path.Combine(folder, "penstock.yaml");
            File.WriteAllText(copy, File.ReadAllText(PathOf(file)).Replace("/run/secrets/", folder + "/"));
            File.WriteAllText(Path.Combine(folder, "token"), "secret\n");
            File.WriteAllText(Path.Combine(folder, "password"), "secret\n");
            ConfigResult result = ConfigLoader.Load(copy, static name => name switch
            {
                "PENSTOCK_TOKEN" => "secret",
                "PENSTOCK_STORE" => "postgres://penstock:secret@postgres:5432/penstock",
                _ => null,
            });
            Assert.Empty(result.Diagnostics);
            return result.Config!;
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <summary>Fails unless the program has this command with these options.</summary>
    public static ParseResult Parse(IEnumerable<string> words)
    {
        ParseResult parse = RootCommandLine.Create(new Terminal(TextWriter.Null, TextWriter.Null)).Parse([.. words]);
        Assert.Empty(parse.Errors.Select(static error => error.Message));
        Assert.IsType<PenstockCommand>(parse.CommandResult.Command);
        return parse;
    }

    /// <summary>How long whoever stops Penstock must wait: until the drain has ended, and for what is saved and sent
    /// afterwards.</summary>
    public static TimeSpan StopTime(PenstockConfig config) =>
        config.Proxy.Timeouts.DrainDelay + config.Proxy.Timeouts.Shutdown + TimeSpan.FromSeconds(5);

    /// <summary>Such as <c>40s</c> or <c>40</c>.</summary>
    public static TimeSpan Seconds(string text) => TimeSpan.FromSeconds(int.Parse(text.TrimEnd('s'), null));

    private static JsonNode Node(object? value) => value switch
    {
        IDictionary<object, object> map => new JsonObject(map.Select(static pair =>
            KeyValuePair.Create((string)pair.Key, (JsonNode?)Node(pair.Value)))),
        IList<object> list => new JsonArray([.. list.Select(static item => (JsonNode?)Node(item))]),
        _ => JsonValue.Create((string?)value ?? ""),
    };
}
