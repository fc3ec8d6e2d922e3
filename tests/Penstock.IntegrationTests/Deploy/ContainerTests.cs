using System.Net;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Penstock.Control.Config;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Deploy;

/// <summary>Dockerfile and compose.yaml agree with the program, with each other and with the files that they name. No
/// container engine takes part.</summary>
public sealed partial class ContainerTests
{
    private const int MatchTimeoutMs = 1000;
    private const string Echo = "echo";

    private static readonly JsonNode Compose = DeployFiles.Yaml("compose.yaml").Single();

    private static IEnumerable<(string Name, JsonNode Service)> Services =>
        Compose["services"]!.AsObject().Select(static pair => (pair.Key, pair.Value!));

    private static IEnumerable<(string Name, JsonNode Service)> OwnServices =>
        Services.Where(static service => (string)service.Service["image"]! == "penstock");

    public static TheoryData<string> Balancers =>
        [.. OwnServices.Where(static service => !IsEcho(service.Name)).Select(static service => service.Name)];

    [Fact]
    public void Image_starts_commands_that_exist()
    {
        string[] entry = Words("ENTRYPOINT"), command = Words("CMD");
        string health = Instruction("HEALTHCHECK").Single();

        Assert.Equal(["/usr/bin/penstock"], entry);
        DeployFiles.Parse(command);
        DeployFiles.Parse(WordsOf(health[health.IndexOf('[')..])[1..]);
    }

    [Fact]
    public void Image_is_built_from_files_that_exist()
    {
        string[] sources = [.. Instruction("COPY")
            .Where(static line => !line.StartsWith("--", StringComparison.Ordinal))
            .SelectMany(static line => line.Split(' ')[..^1])];

        Assert.Contains("src", sources);
        Assert.All(sources, static source => Assert.True(
            Path.Exists(Path.Combine(Repository.Root, source)), $"there is no {source}"));
    }

    [Fact]
    public void Image_copies_every_project_before_it_restores()
    {
        string[] projects = [.. Directory.GetFiles(Path.Combine(Repository.Root, "src"), "*.csproj",
            SearchOption.AllDirectories).Select(static file => Path.GetRelativePath(Repository.Root, file))];

        Assert.Equal(projects.Order(StringComparer.Ordinal), Instruction("COPY").Select(static line =>
            line.Split(' ')[0]).Where(static source => source.EndsWith(".csproj", StringComparison.Ordinal))
            .Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_service_runs_a_command_that_exists()
    {
        Assert.Equal(6, OwnServices.Count());
        Assert.All(OwnServices, static service => DeployFiles.Parse(service.Service["command"] is { } command
            ? DeployFiles.Texts(command) : Words("CMD")));
    }

    [Theory]
    [MemberData(nameof(Balancers))]
    public void Balancer_has_a_valid_configuration_whose_ports_are_published(string name)
    {
        JsonNode service = Compose["services"]![name]!;
        PenstockConfig config = ConfigOf(service);
        int[] ports = [.. config.Proxy.Listeners.Select(static listener => ((IPEndPoint)listener.Address).Port),
            ((IPEndPoint)config.Admin.Listen!).Port];

        Assert.Equal(ports, DeployFiles.Texts(service["ports"])
            .Select(static port => int.Parse(port.Split(':')[^1], null)));
        Assert.Equal(ports, Instruction("EXPOSE").Single().Split(' ').Select(static port => int.Parse(port, null)));
        Assert.True(config.Admin.HasToken);
        Assert.True(DeployFiles.Seconds((string)service["stop_grace_period"]!) >= DeployFiles.StopTime(config));
    }

    [Theory]
    [MemberData(nameof(Balancers))]
    public void Backends_are_services_that_listen_there(string name)
    {
        foreach (BackendConfig backend in ConfigOf(Compose["services"]![name]!).Proxy.Upstreams
            .SelectMany(static upstream => upstream.Backends))
        {
            string[] command = DeployFiles.Texts(Compose["services"]![backend.Host]?["command"]);
            Assert.Equal(["backends", "--count", "1", "--start-port", $"{backend.Port}", "--listen-address", "0.0.0.0"],
                command);
        }
    }

    [Fact]
    public void Data_is_in_the_volume_and_the_database_at_its_service()
    {
        Assert.Equal("/data", Instruction("VOLUME").Single());
        Assert.Equal("sqlite:/data/penstock.db", ConfigOf(Compose["services"]!["penstock"]!).Store);
        Assert.Contains("data:/data", DeployFiles.Texts(Compose["services"]!["penstock"]!["volumes"]));

        JsonNode environment = Compose["services"]!["postgres"]!["environment"]!;
        Assert.Equal("/run/secrets/password", (string)environment["POSTGRES_PASSWORD_FILE"]!);
        Assert.Equal("postgres://penstock:secret@postgres:5432/penstock",
            ConfigOf(Compose["services"]!["node1"]!).Store);
        Assert.Equal("penstock", (string)environment["POSTGRES_USER"]!); // and so the name of its database
    }

    [Fact]
    public void Whatever_is_mounted_exists()
    {
        string[] mounted = [.. Services.SelectMany(static service => DeployFiles.Texts(service.Service["volumes"]))];
        string[] files =
        [
            .. mounted.Where(static volume => volume[0] == '.').Select(static volume => volume.Split(':')[0]),
            .. Compose["secrets"]!.AsObject().Select(static secret => (string)secret.Value!["file"]!),
        ];

        Assert.All(files, static file => Assert.True(Path.Exists(DeployFiles.PathOf(file)), $"there is no {file}"));
        Assert.Equal(Compose["volumes"]!.AsObject().Select(static volume => volume.Key).Order(StringComparer.Ordinal),
            mounted.Where(static volume => volume[0] != '.').Select(static volume => volume.Split(':')[0])
                .Order(StringComparer.Ordinal));
        Assert.All(Services, static service => Assert.All(DeployFiles.Texts(service.Service["secrets"]),
            static secret => Assert.NotNull(Compose["secrets"]![secret])));
    }

    [Fact]
    public void Balancers_cannot_write_to_their_image() => Assert.All(OwnServices, static service =>
    {
        Assert.Equal("true", (string)service.Service["read_only"]!);
        Assert.Equal(["ALL"], DeployFiles.Texts(service.Service["cap_drop"]));
    });

    [Fact]
    public void Prometheus_asks_the_admin_API_of_every_balancer()
    {
        JsonNode job = DeployFiles.Yaml("compose/prometheus.yml").Single()["scrape_configs"]![0]!;
        JsonNode names = job["dns_sd_configs"]![0]!;

        Assert.Equal(Balancers.Select(static row => row.Data), DeployFiles.Texts(names["names"]));
        Assert.Equal("9800", (string)names["port"]!);
        Assert.Equal("penstock", (string)job["job_name"]!); // the rules of alerts.yml say job="penstock"
        Assert.Equal("/run/secrets/token", (string)job["authorization"]!["credentials_file"]!);
    }

    [Fact]
    public void Grafana_finds_the_dashboard_and_its_data()
    {
        JsonNode options = DeployFiles.Yaml("compose/grafana/dashboards/penstock.yaml").Single()["providers"]![0]!
            ["options"]!;
        JsonNode source = DeployFiles.Yaml("compose/grafana/datasources/prometheus.yaml").Single()["datasources"]![0]!;
        string[] volumes = DeployFiles.Texts(Compose["services"]!["grafana"]!["volumes"]);

        Assert.Contains(volumes, volume => volume.Contains($":{(string)options["path"]!}/", StringComparison.Ordinal));
        Assert.Equal("http://prometheus:9090", (string)source["url"]!);
        Assert.Contains("prometheus", Services.Select(static service => service.Name));
    }

    private static bool IsEcho(string name) => name.StartsWith(Echo, StringComparison.Ordinal);

    /// <summary>The configuration that the service mounts at the place where its command looks.</summary>
    private static PenstockConfig ConfigOf(JsonNode service)
    {
        string place = Words("CMD")[^1];
        string folder = DeployFiles.Texts(service["volumes"])
            .Single(volume => volume.Contains($":{place}:", StringComparison.Ordinal)).Split(':')[0];
        return DeployFiles.Config(Path.Combine(folder, "penstock.yaml"));
    }

    /// <summary>The rest of each line of the Dockerfile that begins so.</summary>
    private static IEnumerable<string> Instruction(string name) => DeployFiles.Lines("Dockerfile")
        .Where(line => line.StartsWith(name + " ", StringComparison.Ordinal)).Select(line => line[(name.Length + 1)..]);

    private static string[] Words(string instruction) => WordsOf(Instruction(instruction).Single());

    private static string[] WordsOf(string list) =>
        [.. Quoted().Matches(list).Select(static m => m.Groups["word"].Value)];

    [GeneratedRegex("\"(?<word>[^\"]*)\"", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Quoted();
}
