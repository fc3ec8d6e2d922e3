using System.CommandLine;
using Penstock.Commands;
using Penstock.IntegrationTests.Scenarios;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Smoke;

/// <summary>Runs every command once, on both forms of the program. Code that was trimmed at publishing, or that needs
/// reflection, fails here.</summary>
public sealed class CommandSmokeTests : ProgramScenarios
{
    private const string Log = """
        192.0.2.1 - - [21/Nov/2026:04:05:06 +0000] "GET / HTTP/1.1" 200 5
        192.0.2.1 - - [21/Nov/2026:04:05:06 +0000] "GET / HTTP/1.1" 200 5

        """;

    private string _program = "";

    /// <summary>Commands that end by themselves, in this order: the command, its words, what it prints.</summary>
    private (string Command, string[] Words, string Printed)[] Short =>
    [
        ("version", ["version"], "penstock "),
        ("check", ["check", "--config", "penstock.yaml"], "penstock.yaml"),
        ("check", ["check", "--config", "penstock.yaml", "--format", "json"], "\"errors\":0"),
        ("config init", ["config", "init", "-"], "limits:"),
        ("config show", ["config", "show", "penstock.yaml", "--no-defaults"], "sqlite:penstock.db"),
        ("config schema", ["config", "schema"], "\"$schema\""),
        ("config convert", ["config", "convert", "--from", "small-balancer", "theirs.json"], "listen: [0.0.0.0:80]"),
        ("token create", ["token", "create", "--name", "ops", "--role", "admin"], "pst_"),
        ("token create", ["token", "create", "--json"], "\"role\": \"read\""),
        ("simulate", ["simulate", "--log", "access.log", "--capacity", "1", "--rate", "1/s"], "rejects 1"),
        ("simulate", ["simulate", "--log", "access.log", "--capacity", "1", "--rate", "1/s", "--format", "json"],
            "\"rejected\": 1"),
        ("plans set", ["plans", "set", "gold", "--capacity", "9", "--rate", "1/s", .. At], "gold"),
        ("plans get", ["plans", "get", "gold", .. At], "gold"),
        ("plans list", ["plans", "list", .. At], "gold"),
        ("plans delete", ["plans", "delete", "gold", .. At], "gold"),
        ("clients set", ["clients", "set", "a", "--capacity", "9", "--rate", "1/s", .. At], "a "),
        ("clients get", ["clients", "get", "a", "--json", .. At], "\"capacity\": 9"),
        ("clients reset", ["clients", "reset", "a", .. At], "a "),
        ("clients export", ["clients", "export", "c.csv", .. At], ""),
        ("clients export", ["clients", "export", "--format", "jsonl", .. At], "\"client_id\":\"a\""),
        ("clients import", ["clients", "import", "c.csv", .. At], "1"),
        ("clients list", ["clients", "list", .. At], "CAPACITY"),
        ("status", ["status", .. At], "upstream"),
        ("status", ["status", "--json", .. At], "\"uptime_seconds\""),
        ("top", ["top", "--once", "--interval", "1ms", .. At], "ADMITTED/S"),
        ("upstreams", ["upstreams", .. At], "127.0.0.1:1"),
        ("drain", ["drain", "127.0.0.1:1", "--wait", .. At], "drained"),
        ("maintenance", ["maintenance", "127.0.0.1:1", "--json", .. At], "\"state\": \"maintenance\""),
        ("ready", ["ready", "default/127.0.0.1:1", .. At], "ready"),
        ("weight", ["weight", "127.0.0.1:1", "5", .. At], "weight 5"),
        ("rejections", ["rejections", .. At], "RETRY AFTER"),
        ("rejections", ["rejections", "--top", .. At], "REJECTED"),
        ("explain", ["explain", "/", "-H", "X-API-Key: a", .. At], "verdict"),
        ("reload", ["reload", .. At], "reloaded"),
        ("healthcheck", ["healthcheck", "--timeout", "1m", .. At], "ready"),
        ("completion bash", ["completion", "bash"], "complete -o default -F _penstock penstock"),
        ("completion zsh", ["completion", "zsh"], "compdef _penstock penstock"),
        ("completion fish", ["completion", "fish"], "complete -c penstock"),
        ("completion powershell", ["completion", "powershell"], "Register-ArgumentCompleter"),
        ("man", ["man"], ".TH PENSTOCK 1"),
        ("clients delete", ["clients", "delete", "a", "--json", .. At], "\"deleted\": \"a\""),
    ];

    /// <summary>Commands that run until they are stopped.</summary>
    private (string Command, string[] Words)[] Long =>
    [
        ("backends", ["backends", "--count", "1", "--start-port", $"{Port}"]),
        ("demo", ["demo", "--listen", $"127.0.0.1:{Port}", "--admin", $"127.0.0.1:{AdminPort}"]),
        ("proxy", ["proxy", "--to", "http://127.0.0.1:1", "--listen", $"127.0.0.1:{Port}", "--store", "memory",
            "--admin", $"127.0.0.1:{AdminPort}"]),
        ("run", ["run", "--config", "penstock.yaml"]),
    ];

    private string[] At => ["--admin", $"http://127.0.0.1:{AdminPort}"];

    [Fact]
    public void Every_command_is_tried()
    {
        string[] tried = [.. Short.Select(static row => row.Command), .. Long.Select(static row => row.Command)];

        Assert.Equal(CommandsOf(RootCommandLine.Create(Terminal.OfProcess()), "").Order(), tried.Distinct().Order());
    }

    [Theory]
    [MemberData(nameof(Flavour.All), MemberType = typeof(Flavour))]
    public async Task Command_of_any_kind_does_its_work_and_has_help(string flavour)
    {
        _program = Flavour.Program(flavour);
        File.WriteAllText(Path.Combine(Folder, "access.log"), Log);
        File.WriteAllText(Path.Combine(Folder, "theirs.json"), """{ "port": 80, "servers": ["http://127.0.0.1:1"] }""");
        File.WriteAllText(Path.Combine(Folder, "penstock.yaml"), $$"""
            listen: 127.0.0.1:{{Port}}
            admin: { listen: "127.0.0.1:{{AdminPort}}" }
            backends: [http://127.0.0.1:1]
            store: sqlite:penstock.db
            """);
        foreach ((string? command, string[]? words) in Long)
        {
            await using PenstockProcess serving = await PenstockProcess.StartedProgramAsync(_program, Folder, words);
            using HttpResponseMessage answer = await Http.GetAsync(Proxy);
            Assert.True((int)answer.StatusCode is 200 or 502 or 503, $"{command}: {answer.StatusCode}");
            if (command == "run")
            {
                foreach ((string Command, string[] Words, string Printed) row in Short)
                {
                    Assert.Contains(row.Printed, await OutputAsync(0, row.Words));
                }
                await Eventually.TrueAsync(async () => (await OutputAsync(
                    0, "[suggest]", $"penstock drain {string.Join(' ', At)} ")).Contains("default/127.0.0.1:1"),
                    "names are completed");
            }
            serving.Signal("TERM");
            Assert.Equal(0, await serving.ExitCodeAsync());
        }
        File.WriteAllText(Path.Combine(Folder, "wrong.yaml"), "listn: 8080\n");
        Assert.Contains("listn", await OutputAsync(2, "check", "--config", "wrong.yaml"));
        Assert.Contains("\"severity\":\"error\"",
            await OutputAsync(2, "check", "--config", "wrong.yaml", "--format", "json"));
        foreach (string command in CommandsOf(RootCommandLine.Create(Terminal.OfProcess()), "").Prepend(""))
        {
            Assert.Contains("Usage", await OutputAsync(0, [.. Words(command), "--help"]));
        }

        Assert.Contains("See 'penstock proxy --help'.", await OutputAsync(2, "proxy", "--listen", "?"));
    }

    private static string[] Words(string command) => command.Split(' ', StringSplitOptions.RemoveEmptyEntries);

    private static IEnumerable<string> CommandsOf(Command command, string path) => command.Subcommands.Count == 0
        ? [path.Trim()] : command.Subcommands.SelectMany(c => CommandsOf(c, $"{path} {c.Name}"));

    private Task<string> OutputAsync(int code, params string[] words) => OutputAsync(_program, code, words);
}
