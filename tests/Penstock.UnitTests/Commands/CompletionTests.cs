using System.Diagnostics;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Commands;

/// <summary>What may follow on a command line, and the script that asks in bash.</summary>
public sealed class CompletionTests
{
    [Theory]
    [InlineData("penstock cl", "clients")]
    [InlineData("/usr/bin/penstock clients ex", "export")]
    [InlineData("penstock clients get user1 --j", "--json")]
    [InlineData("penstock simulate --log-format c", "combined common")]
    [InlineData("penstock proxy --balance le", "least_conn least_connections least_time")]
    [InlineData("penstock completion ", "bash fish powershell zsh")]
    [InlineData("penstock run ", "")] // a file, which the shell completes
    [InlineData("penstock simulate --log a --form", "")] // the older spelling is not offered
    public async Task Line_is_completed_with_what_may_follow(string line, string words)
    {
        Assert.Equal(words, string.Join(' ', Candidates(await CommandRun.Of("[suggest]", line)).Order()));
    }

    [Fact]
    public async Task Completion_says_what_a_word_means()
    {
        CommandRun run = await CommandRun.Of("[suggest]", "penstock clients res");

        Assert.Equal(new CommandRun(0, "reset\tFill a client's bucket.\n", ""), run);
    }

    [Theory]
    [InlineData("penstock drain ", "web/10.0.0.1:80")]
    [InlineData("penstock clients get us", "user1")]
    [InlineData("penstock plans delete ", "gold")]
    [InlineData("penstock clients set user1 --plan g", "gold")]
    public async Task Names_come_from_the_api(string line, string name)
    {
        await using FakeAdminApi api = (await FakeAdminApi.StartAsync())
            .Shows(FakeAdminApi.Upstream("web", FakeAdminApi.Backend("10.0.0.1:80")))
            .Answers("GET /clients", """{"items":[{"client_id":"user1"},7],"next_cursor":null}""")
            .Answers("GET /plans", """{"items":[{"name":"gold"}]}""");

        // Again if the answer took longer than a completion waits, which happens on a busy machine.
        await Eventually.TrueAsync(async () => Candidates(await api.RunAsync("[suggest]", line)) is [{ } only]
            && only == name, $"{name} is the only candidate");
    }

    [Fact]
    public async Task Names_are_left_out_when_the_api_does_not_answer()
    {
        CommandRun run = await CommandRun.Of("[suggest]", "penstock drain --admin http://127.0.0.1:1 ");

        Assert.Equal(new CommandRun(0, "", ""), run);
    }

    [Theory]
    [InlineData("--help")]
    [InlineData("drain", "--help")]
    [InlineData("clients", "set", "--help")]
    public async Task Help_asks_no_api(params string[] words)
    {
        await using FakeAdminApi api = await FakeAdminApi.StartAsync();

        Assert.Equal(0, (await api.RunAsync(words)).Code);
        Assert.Empty(api.Requests);
    }

    [Theory]
    [InlineData("penstock cl", "clients", "clients")]
    [InlineData("penstock drain web/10.0.0.3:", "web/10.0.0.3:80|web/10.0.0.3:81", "80|81")]
    [InlineData("penstock drain --admin=http://h", "http://h:9800", "http://h:9800")]
    [InlineData("penstock clients get ", "a b|c", "a b|c")]
    [InlineData("penstock run x", "", "")]
    public async Task Bash_gets_the_candidates_as_it_breaks_words(string line, string printed, string replies)
    {
        Assert.SkipUnless(File.Exists("/bin/bash"), "there is no bash");
        string script = (await CommandRun.Of("completion", "bash")).Out;
        string words = $$"""
            penstock() { [[ $1 == '[suggest]' && $2 == "$COMP_LINE" ]] || return; printf '%s' "$PRINTED"; }
            COMP_POINT=${#COMP_LINE}
            _penstock penstock
            IFS='|'; printf '%s' "${COMPREPLY[*]}"
            """;
        string text = string.Concat(printed.Split('|', StringSplitOptions.RemoveEmptyEntries)
            .Select(static word => $"{word}\tmeaning\n"));

        Assert.Equal(replies, await BashAsync(script + words, ("COMP_LINE", line), ("PRINTED", text)));
    }

    private static string[] Candidates(CommandRun run)
    {
        Assert.Equal(("", 0), (run.Error, run.Code));
        return [.. run.Out.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(static line => line.Split('\t')[0])];
    }

    private static async Task<string> BashAsync(string script, params (string Name, string Value)[] variables)
    {
        var start = new ProcessStartInfo("/bin/bash", ["--norc", "-c", script])
        {
            UseShellExecute = false,
            RedirectStandardOutput = true,
        };
        foreach ((string name, string value) in variables)
        {
            start.Environment[name] = value;
        }
        using Process bash = Process.Start(start)!;
        string output = await bash.StandardOutput.ReadToEndAsync();
        await bash.WaitForExitAsync();
        Assert.Equal(0, bash.ExitCode);
        return output;
    }
}
