using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>An operator works with a running Penstock from the command line.</summary>
public sealed class CommandScenarios : ProgramScenarios
{
    private string[] At => ["--admin", $"http://127.0.0.1:{AdminPort}"];

    [Fact]
    public async Task Operator_drains_a_busy_backend_waits_for_it_and_brings_it_back()
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var busy = ScriptedBackend.OkAfter(release.Task);
        await using var other = ScriptedBackend.Always("ok");
        WriteConfig(busy.Port, other.Port);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run", "penstock.yaml");
        string name = $"default/127.0.0.1:{busy.Port}";
        Assert.Contains("weight 1,", await CommandAsync(0, "weight", name, "1"));
        Task<HttpResponseMessage>[] held = [GetAsync("/"), GetAsync("/")]; // round robin: one for each backend
        await Eventually.TrueAsync(() => busy.Heads.Count == 1, "a request is in flight at the busy backend");

        await using var drain = PenstockProcess.Start(Folder, ["drain", name, "--wait", .. At]);
        await Eventually.TrueAsync(async () => (await CommandAsync(0, "upstreams")).Split('\n')
            .Any(line => line.Contains(name.Split('/')[1]) && line.Contains(" drain ")), "the backend drains");
        await SendAsync(4);
        Assert.False(drain.HasExited);
        Assert.Single(busy.Heads);
        Assert.Contains("state drain", await CommandAsync(0, "explain", "/"));

        release.SetResult();
        Assert.Equal(0, await drain.ExitCodeAsync());
        Assert.Contains(drain.Lines, static line => line.Contains("drain, drained", StringComparison.Ordinal));
        foreach (Task<HttpResponseMessage> one in held)
        {
            Assert.True((await one).IsSuccessStatusCode);
        }

        await CommandAsync(0, "ready", name);
        await UntilAsync(() => busy.Heads.Count > 1, "the backend gets requests again");
        Assert.Contains("2 of 2 backends may get requests", await CommandAsync(0, "status"));
        Assert.Contains(name.Split('/')[1], await CommandAsync(0, "top", "--once", "--interval", "1ms"));
    }

    [Fact]
    public async Task Faulty_file_is_reported_by_line_and_shown_until_a_reload_succeeds()
    {
        await using var backend = ScriptedBackend.Always("ok");
        WriteConfig(backend.Port);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run", "penstock.yaml");
        string file = Path.Combine(Folder, "penstock.yaml");
        string good = await File.ReadAllTextAsync(file);

        await File.WriteAllTextAsync(file, $$"""
            {{good.TrimEnd()}}
            balanc: random
            limits: { default: { capacity: none, rate: 1/s } }

            """);
        string output = await CommandAsync(2, "reload");
        Assert.Contains("penstock.yaml:6:1: error: unknown key 'balanc'", output);
        Assert.Contains("penstock.yaml:7:", output);
        Assert.Contains("the last reload failed: the file has 2 errors", await CommandAsync(0, "status"));

        await File.WriteAllTextAsync(file, good + "loops: 1\nbalance: random\n");
        Assert.Contains("only after a restart: loops", await CommandAsync(0, "reload"));
        Assert.DoesNotContain("failed", await CommandAsync(0, "status"));
        Assert.Contains("by random", await CommandAsync(0, "explain", "/"));
    }

    [Fact]
    public async Task Health_check_of_a_container_fails_while_penstock_stops_but_it_is_alive()
    {
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        await using var backend = ScriptedBackend.OkAfter(release.Task);
        WriteConfig(backend.Port);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run", "penstock.yaml");
        Assert.Equal("ready", await CommandAsync(0, "healthcheck", "--timeout", "1m"));
        Task<HttpResponseMessage> held = GetAsync("/");
        await Eventually.TrueAsync(() => backend.Heads.Count == 1, "a request is in flight");

        penstock.Signal("TERM");
        await Eventually.TrueAsync(async () =>
        {
            using HttpResponseMessage ready = await Http.GetAsync(new Uri(Admin, "readyz"));
            return !ready.IsSuccessStatusCode;
        }, "it stops");

        Assert.Contains("error: stopping", await CommandAsync(1, "healthcheck", "--timeout", "1m"));
        Assert.Equal("alive", await CommandAsync(0, "healthcheck", "--live", "--timeout", "1m"));
        release.SetResult();
        Assert.True((await held).IsSuccessStatusCode);
        Assert.Equal(0, await penstock.ExitCodeAsync());
        Assert.Contains("is Penstock running", await CommandAsync(1, "healthcheck", "--timeout", "1m"));
    }

    [Theory]
    [InlineData("bash", "healthcheck", "PORT")] // bash takes what follows a colon as a word of its own
    [InlineData("zsh", "healthcheck:Exit with 0", "default/127.0.0.1\\:PORT:")]
    [InlineData("fish", "healthcheck\tExit with 0", "default/127.0.0.1:PORT")]
    public async Task Shell_completes_commands_and_names_of_backends(string shell, string command, string backend)
    {
        Assert.SkipUnless(File.Exists($"/usr/bin/{shell}"), $"there is no {shell}");
        await using var server = ScriptedBackend.Always("ok");
        WriteConfig(server.Port);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run", "penstock.yaml");
        string script = Path.Combine(Folder, "script");
        await File.WriteAllTextAsync(script, ShellScripts[shell]
            .Replace("PROGRAM", PenstockProcess.Program, StringComparison.Ordinal));

        // Again if Penstock took longer to answer than a completion waits, which happens on a busy machine.
        await Eventually.TrueAsync(async () =>
        {
            await using var process = PenstockProcess.StartShell(
                $"HOME='{Folder}' PENSTOCK_ADMIN=http://127.0.0.1:{AdminPort} exec {shell} '{script}'");
            await process.ExitCodeAsync();
            string[] lines = [.. process.Lines];
            return lines.Length == 2 && lines[0].StartsWith(command, StringComparison.Ordinal)
                && lines[1].StartsWith(backend.Replace("PORT", $"{server.Port}"), StringComparison.Ordinal);
        }, $"{shell} completes both lines");
    }

    /// <summary>They complete two command lines as the shell does when a person types them, and print the candidates.
    /// </summary>
    private static readonly Dictionary<string, string> ShellScripts = new()
    {
        ["bash"] = """
            penstock() { dotnet 'PROGRAM' "$@"; }
            source <(penstock completion bash)
            for COMP_LINE in 'penstock heal' 'penstock drain default/127.0.0.1:'; do
                COMP_POINT=${#COMP_LINE}
                _penstock penstock
                echo "${COMPREPLY[*]}"
            done
            """,
        ["zsh"] = """
            penstock() { dotnet 'PROGRAM' "$@" }
            compdef() { }
            _describe() { print -rl -- ${(P)2} }
            _files() { }
            source <(penstock completion zsh)
            words=(penstock heal) CURRENT=2 PREFIX=heal
            _penstock
            words=(penstock drain default/127.0.0.1:) CURRENT=3 PREFIX=default/127.0.0.1:
            _penstock
            """,
        ["fish"] = """
            function penstock; dotnet 'PROGRAM' $argv; end
            penstock completion fish | source
            complete -C 'penstock heal'
            complete -C 'penstock drain default/127.0.0.1:'
            """,
    };

    private Task<string> CommandAsync(int code, params string[] words) =>
        OutputAsync(PenstockProcess.Program, code, [.. words, .. At]);

    private void WriteConfig(params int[] backends) => File.WriteAllText(Path.Combine(Folder, "penstock.yaml"), $$"""
        listen: 127.0.0.1:{{Port}}
        admin: { listen: "127.0.0.1:{{AdminPort}}" }
        backends: [{{string.Join(", ", backends.Select(static port => $"http://127.0.0.1:{port}"))}}]
        store: memory
        timeouts: { shutdown: 10m }

        """);
}
