using System.Net;
using System.Text.Json.Nodes;
using Penstock.Control.Config;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Deploy;

/// <summary>The Kubernetes manifests agree with the program, the image and each other.</summary>
public sealed class KubernetesTests
{
    private static readonly JsonNode Kustomization = DeployFiles.Yaml("kubernetes/kustomization.yaml").Single();
    private static readonly JsonNode[] Resources = [.. DeployFiles.Texts(Kustomization["resources"])
        .SelectMany(static file => DeployFiles.Yaml("kubernetes/" + file))];
    private static readonly JsonNode Pod =
        Resources.Single(static resource => (string)resource["kind"]! == "Deployment")["spec"]!["template"]!["spec"]!;
    private static readonly JsonNode Container = Pod["containers"]!.AsArray().Single()!;
    private static readonly PenstockConfig Config = DeployFiles.Config("kubernetes/penstock.yaml");

    [Fact]
    public void Every_file_of_the_folder_is_used()
    {
        IEnumerable<string> generated =
            Kustomization["configMapGenerator"]!.AsArray().SelectMany(static map => DeployFiles.Texts(map!["files"]));

        Assert.Equal(Directory.GetFiles(DeployFiles.PathOf("kubernetes")).Select(static file => Path.GetFileName(file))
            .Order(StringComparer.Ordinal), DeployFiles.Texts(Kustomization["resources"]).Concat(generated)
            .Append("kustomization.yaml").Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Container_runs_a_command_that_exists_with_the_mounted_configuration()
    {
        string[] arguments = DeployFiles.Texts(Container["args"]);
        JsonNode mount = Container["volumeMounts"]!.AsArray().Single(static m => (string)m!["name"]! == "config")!;
        JsonNode volume = Pod["volumes"]!.AsArray().Single(static v => (string)v!["name"]! == "config")!;

        DeployFiles.Parse(arguments);
        Assert.Equal((string)mount["mountPath"]!, arguments[^1]);
        Assert.Equal((string)Kustomization["configMapGenerator"]![0]!["name"]!, (string)volume["configMap"]!["name"]!);
    }

    [Fact]
    public void Ports_are_those_of_the_configuration()
    {
        Dictionary<string, int> ports = Container["ports"]!.AsArray().ToDictionary(
            static port => (string)port!["name"]!, static port => int.Parse((string)port!["containerPort"]!, null));
        IEnumerable<string> targets = Resources.Where(static resource => (string)resource["kind"]! == "Service")
            .SelectMany(static service => service["spec"]!["ports"]!.AsArray())
            .Select(static port => (string)port!["targetPort"]!);

        Assert.Equal(((IPEndPoint)Config.Proxy.Listeners.Single().Address).Port, ports["http"]);
        Assert.Equal(((IPEndPoint)Config.Admin.Listen!).Port, ports["admin"]);
        Assert.Equal(["http", "admin"], targets);
    }

    [Theory]
    [InlineData("startupProbe", "/livez")]
    [InlineData("livenessProbe", "/livez")]
    [InlineData("readinessProbe", "/readyz")]
    public async Task Probe_asks_an_endpoint_that_exists_and_needs_no_token(string probe, string path)
    {
        JsonNode request = Container[probe]!["httpGet"]!;
        JsonNode api = JsonNode.Parse(await File.ReadAllTextAsync(
            Path.Combine(Repository.Root, "docs", "openapi.json"), TestContext.Current.CancellationToken))!;

        Assert.Equal((path, "admin"), ((string)request["path"]!, (string)request["port"]!));
        Assert.NotNull(api["paths"]![path]?["get"]);
    }

    [Fact]
    public void Pod_has_time_to_drain()
    {
        TimeSpan before = DeployFiles.Seconds((string)Container["lifecycle"]!["preStop"]!["sleep"]!["seconds"]!);
        TimeSpan all = DeployFiles.Seconds((string)Pod["terminationGracePeriodSeconds"]!);

        Assert.True(all >= before + DeployFiles.StopTime(Config), $"{all} are too short");
    }

    [Fact]
    public void Variables_of_the_configuration_come_from_the_secret()
    {
        string text = File.ReadAllText(DeployFiles.PathOf("kubernetes/penstock.yaml"));
        JsonNode[] variables = [.. Container["env"]!.AsArray().Select(static variable => variable!)];

        Assert.Equal(2, variables.Length);
        Assert.All(variables, variable =>
        {
            Assert.Contains($"${{{(string)variable["name"]!}}}", text, StringComparison.Ordinal);
            Assert.Equal("penstock", (string)variable["valueFrom"]!["secretKeyRef"]!["name"]!);
        });
        Assert.StartsWith("postgres://", Config.Store, StringComparison.Ordinal);
    }

    [Fact]
    public void Container_has_the_user_and_the_rights_of_the_image()
    {
        string user = DeployFiles.Lines("Dockerfile").Single(static line =>
            line.StartsWith("USER ", StringComparison.Ordinal));
        JsonNode rights = Container["securityContext"]!;

        Assert.Equal(user, $"USER {(string)Pod["securityContext"]!["runAsUser"]!}:"
            + $"{(string)Pod["securityContext"]!["runAsGroup"]!}");
        Assert.Equal("true", (string)rights["readOnlyRootFilesystem"]!);
        Assert.Equal("false", (string)rights["allowPrivilegeEscalation"]!);
        Assert.Equal(["ALL"], DeployFiles.Texts(rights["capabilities"]!["drop"]));
    }
}
