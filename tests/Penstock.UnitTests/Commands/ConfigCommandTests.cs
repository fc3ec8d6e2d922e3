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
        CommandRun run = await CommandRun.OfServer(["run", "--config", FileOf(Good), "--loops", "1"]);

        Assert.Equal("", run.Error);
        Assert.Equal(0, run.Code);
        Assert.Contains("kept in", run.Out);
    }

    private string FileOf(string yaml)
    {
        string path = Path.Combine(_folder.FullName, "penstock.yaml");
        File.WriteAllText(path, yaml);
        return path;
    }
}
