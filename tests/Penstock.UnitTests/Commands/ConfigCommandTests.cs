using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Commands;

public sealed class ConfigCommandTests : IDisposable
{
    private const string Good = """
        listen: 127.0.0.1:0
        admin: { listen: 127.0.0.1:0 }
        store: memory
        backends: [http://127.0.0.1:9001]
        """;

    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("penstock-tests-");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public async Task Check_of_a_good_file_exits_0_and_counts_what_it_holds()
    {
        CommandRun run = await CommandRun.Of("check", "--config", FileOf(Good));

        Assert.Equal(0, run.Code);
        Assert.Contains("is valid: 1 listener, 1 upstream, 1 backend, 1 route", run.Out);
    }

    [Fact]
    public async Task Check_takes_the_file_as_its_argument()
    {
        string path = FileOf(Good);

        CommandRun run = await CommandRun.Of("check", path);

        Assert.Equal(0, run.Code);
        Assert.StartsWith(path + " is valid", run.Out);
    }

    [Theory]
    [InlineData("text")]
    [InlineData("json")]
    public async Task Check_of_a_faulty_file_exits_2_and_reports_on_standard_output(string format)
    {
        CommandRun run = await CommandRun.Of("check", "--format", format, "--config", FileOf(Good + "\nweigth: 3"));

        Assert.Equal(2, run.Code);
        Assert.Contains("weigth", run.Out);
        Assert.Equal("", run.Error);
    }

    [Fact]
    public async Task Check_finds_the_file_that_the_environment_names()
    {
        string path = FileOf(Good);

        CommandRun run = await CommandRun.Of(name => name == "PENSTOCK_CONFIG" ? path : null, "check");

        Assert.Equal(0, run.Code);
        Assert.Contains(path, run.Out);
    }

    [Theory]
    [InlineData("run")]
    [InlineData("check")]
    public async Task Command_for_a_missing_file_exits_2_and_names_it(string command)
    {
        CommandRun run = await CommandRun.Of(command, "--config", Path.Combine(_folder.FullName, "absent.yaml"));

        Assert.Equal(2, run.Code);
        Assert.Contains("absent.yaml", run.Error + run.Out);
        Assert.DoesNotContain("   at ", run.Error);
    }

    [Fact]
    public async Task Run_of_a_faulty_file_exits_2_and_reports_on_standard_error()
    {
        CommandRun run = await CommandRun.Of("run", "--config", FileOf(Good + "\nweigth: 3"));

        Assert.Equal(2, run.Code);
        Assert.Contains("weigth", run.Error);
        Assert.Equal("", run.Out);
    }

    [Fact]
    public async Task Run_of_a_good_file_serves_until_it_is_stopped_and_exits_0()
    {
        CommandRun run = await CommandRun.OfServer(["run", FileOf(Good), "--loops", "1"]);

        Assert.Equal("", run.Error);
        Assert.Equal(0, run.Code);
        Assert.Contains("kept in", run.Out);
    }

    [Fact]
    public async Task Init_writes_a_file_that_is_valid_and_never_replaces_one_unasked()
    {
        string path = Path.Combine(_folder.FullName, "penstock.yaml");

        Assert.Equal(0, (await CommandRun.Of("config", "init", path)).Code);
        Assert.Contains("is valid", (await CommandRun.Of("check", "--config", path)).Out);

        File.WriteAllText(path, Good);
        CommandRun again = await CommandRun.Of("config", "init", path);
        Assert.Equal((2, $"error: {path} exists; --force replaces it\n"), (again.Code, again.Error));
        Assert.Equal(Good, File.ReadAllText(path));
        Assert.Equal(0, (await CommandRun.Of("config", "init", path, "--force")).Code);
        Assert.NotEqual(Good, File.ReadAllText(path));
    }

    /// <summary>Each commented line that is no sentence can be switched on by removing its '#'.</summary>
    [Fact]
    public async Task Every_commented_line_of_the_first_file_is_valid()
    {
        string[] lines = (await CommandRun.Of("config", "init", "-")).Out.Split('\n');
        string all = string.Join('\n', lines.Where(static line => !line.StartsWith("store: ", StringComparison.Ordinal))
            .Select(static line => line is ['#', not ' ', ..] or ['#', ' ', ' ', ..] ? line[1..] : line));
        Assert.Contains("\nroutes:\n- { path: /login", all, StringComparison.Ordinal);

        CommandRun run = await CommandRun.Of(static name => name switch
        {
            "STICKY_SECRET" => "0123456789abcdef",
            "PENSTOCK_TOKEN" or "PGPASSWORD" => "x",
            _ => null,
        }, "check", "--config", FileOf(all));

        Assert.Equal("", run.Error);
        Assert.Contains("is valid: 1 listener, 1 upstream, 3 backends, 2 routes, 2 limits", run.Out);
    }

    [Fact]
    public async Task Show_prints_each_value_with_its_origin()
    {
        string path = FileOf(Good);

        CommandRun all = await CommandRun.Of("config", "show", "--config", path);
        Assert.Contains($"store: memory # {path}:3\n", all.Out);
        Assert.Contains("  connect: 2s # default\n", all.Out);

        CommandRun set = await CommandRun.Of("config", "show", "--no-defaults", "--config", path);
        Assert.DoesNotContain("default", set.Out);
        Assert.Equal(0, set.Code);

        CommandRun faulty = await CommandRun.Of("config", "show", "--config", FileOf(Good + "\nweigth: 3"));
        Assert.Equal((2, ""), (faulty.Code, faulty.Out));
        Assert.Contains("unknown key 'weigth'", faulty.Error);
    }

    [Fact]
    public async Task Convert_prints_a_configuration_and_lists_the_rest_with_file_and_line()
    {
        string path = FileOf("upstream web { server 127.0.0.1:1; sticky; }");

        CommandRun run = await CommandRun.Of("config", "convert", "--from", "nginx", path);
        Assert.Equal((0, $"{path}:1: sticky: see 'sticky' of the upstream\n"), (run.Code, run.Error));
        Assert.Contains("backends: [http://127.0.0.1:1]", run.Out);
        Assert.Contains("is valid", (await CommandRun.Of("check", FileOf(run.Out))).Out);

        CommandRun faulty = await CommandRun.Of("config", "convert", "--from", "nginx", FileOf("upstream web {"));
        Assert.Equal($"error: {path}:1: '}}' is missing at the end\n", faulty.Error);
        Assert.Equal((2, ""), (faulty.Code, faulty.Out));
        Assert.Equal(2, (await CommandRun.Of("config", "convert", path)).Code);
        CommandRun missing = await CommandRun.Of("config", "convert", "--from", "nginx", path + "x");
        Assert.Equal((1, $"error: cannot read {path}x: there is no such file\n"), (missing.Code, missing.Error));

        CommandRun secure = await CommandRun.Of("config", "convert", "--from", "nginx", FileOf(
            "server { listen 443 ssl; ssl_certificate a.crt; ssl_certificate_key a.key; "
                + "location / { proxy_pass http://127.0.0.1:1; } }"));
        Assert.Contains("{ address: 0.0.0.0:443, tls: { certificates: [{ cert: a.crt, key: a.key }] } }", secure.Out);
        Assert.Equal(1, secure.Code); // there are no such files here
        Assert.Contains("a.crt", secure.Error);
    }

    [Fact]
    public async Task Schema_is_the_one_of_the_documents() => Assert.Equal(
        await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs", "penstock.schema.json")),
        (await CommandRun.Of("config", "schema")).Out);

    private string FileOf(string yaml)
    {
        string path = Path.Combine(_folder.FullName, "penstock.yaml");
        File.WriteAllText(path, yaml);
        return path;
    }
}
