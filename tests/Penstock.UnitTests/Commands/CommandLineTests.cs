using System.CommandLine;
using Penstock.Commands;
using Xunit;

namespace Penstock.UnitTests.Commands;

public sealed class CommandLineTests
{
    [Theory]
    [InlineData("prxy", "proxy")] // a typo is answered with the command that was meant
    [InlineData("proxy", "--to")]
    [InlineData("proxy --to", "--to")]
    [InlineData("proxy --to http://127.0.0.1:1 --rate 10/s", "--capacity 20")]
    [InlineData("proxy --to http://127.0.0.1:1 --capacity 20", "--rate 10/s")]
    [InlineData("proxy --to http://127.0.0.1:1 --capacity 0 --rate 10/s", "'0'")]
    [InlineData("proxy --to http://127.0.0.1:1 --capacity many --rate 10/s", "'many'")]
    [InlineData("proxy --to http://127.0.0.1:1 --capacity 5 --rate fast", "--rate")]
    [InlineData("proxy --to http://127.0.0.1:1 --listen ?", "--listen")]
    [InlineData("proxy --to http://127.0.0.1:1 --balance fastest", "--balance")]
    [InlineData("proxy --to http://127.0.0.1:1 --store disk", "sqlite:PATH")]
    [InlineData("proxy --to http://127.0.0.1:1 --admin 0.0.0.0:9800", "$PENSTOCK_TOKEN")]
    [InlineData("proxy --to http://127.0.0.1:1 --loops 0", "--loops")]
    [InlineData("proxy --to ? --to http://127.0.0.1:1", "--to")]
    [InlineData("demo --backends 0", "1 to 1000")]
    [InlineData("explain / --from nonsense", "--from: 'nonsense' is not an IP address: write IPv4 such as 10.0.0.9, ")]
    [InlineData("explain / --from fe80::1%eth0", "IPv6 without brackets, port and zone such as 2001:db8::9")]
    [InlineData("config convert a --from nonsense", "'nonsense' is not one of nginx, haproxy, small-balancer")]
    [InlineData("backends --count three", "'three'")]
    [InlineData("backends --count 3 --start-port 65534", "65536")]
    [InlineData("backends --servers=3 --start_port=65534", "65536")]
    [InlineData("run --path=none.yaml", "none.yaml")]
    [InlineData("backends --listen-address here", "'here'")]
    [InlineData("check --format yaml", "text, json")]
    [InlineData("check a.yaml --config b.yaml", "twice")]
    [InlineData("run a.yaml b.yaml", "error: unexpected argument 'b.yaml'\nSee 'penstock run --help'.\n")]
    [InlineData("run a.yaml b.yaml --loops x", "error: unexpected argument 'b.yaml'\n--loops: ")]
    [InlineData("clients set user1 5 10/s", "error: unexpected argument '5'\nSee 'penstock clients set --help'.\n")]
    [InlineData("clints list", "error: unknown command 'clints': did you mean 'penstock clients'?\n")]
    [InlineData("clients lst", "error: unknown command 'lst': did you mean 'penstock clients list'?\n")]
    [InlineData("plans user1", "error: unknown command 'user1': 'penstock plans' has list, get, set, delete\n")]
    [InlineData("status -z", "error: unknown option '-z'\n")]
    [InlineData("clients list --amdin", "unknown option '--amdin': did you mean --admin?")]
    [InlineData("rejections --limit abc", "--limit: 'abc' is not a whole number: write one from 1 to")]
    [InlineData("rejections --limit 1.5", "--limit: '1.5' is not a whole number: write one from 1 to")]
    [InlineData("rejections --limit 0", "--limit: '0' is out of range: write a number from 1 to")]
    [InlineData("clients set a --tokens 1e3", "--tokens: '1e3' is not a number: write one from 0 to")]
    [InlineData("run --loops x", "'x'")]
    [InlineData("run --conf x", "unknown option '--conf': did you mean --config?")]
    [InlineData("demo --lisen 1", "unknown option '--lisen': did you mean --listen?")]
    [InlineData("status --colour=no", "unknown option '--colour'\nSee 'penstock status --help'.")]
    [InlineData("clients get", "ID")]
    [InlineData("clients list --admin 127.0.0.1", "http://host:port")]
    public async Task Command_line_with_a_mistake_exits_2_and_names_it(string line, string named)
    {
        CommandRun run = await CommandRun.Of(line.Split(' '));

        Assert.Equal(2, run.Code);
        Assert.Contains(named, run.Error);
        Assert.Equal("", run.Out);
        Assert.DoesNotContain("   at ", run.Error);
        Assert.DoesNotContain("was not matched", run.Error);
    }

    [Fact]
    public async Task Command_line_with_several_mistakes_reports_them_together()
    {
        CommandRun run = await CommandRun.Of("proxy", "--listen", "?", "--rate", "fast", "--loops", "x");

        Assert.Equal(2, run.Code);
        Assert.All(["--listen", "--rate", "--loops", "--to"], option => Assert.Contains(option, run.Error));
        Assert.Contains("See 'penstock proxy --help'.", run.Error);
    }

    [Fact]
    public async Task Command_line_without_a_command_shows_the_commands_and_exits_2()
    {
        CommandRun run = await CommandRun.Of();

        Assert.Equal(2, run.Code);
        Assert.Contains("demo", run.Out);
    }

    [Fact]
    public async Task Help_of_proxy_names_every_algorithm()
    {
        CommandRun run = await CommandRun.Of("proxy", "--help");

        string help = string.Join(' ', run.Out.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains("round_robin, least_connections, random, power_of_two, least_time, hash, least_conn or p2c "
            + "[default: round_robin]", help);
    }

    [Theory]
    [InlineData("clients", "export")]
    [InlineData("config", "convert")]
    [InlineData("plans", "delete")]
    [InlineData("token", "create")]
    public async Task Command_that_only_holds_others_shows_them_and_exits_2(string group, string named)
    {
        CommandRun run = await CommandRun.Of(group);

        Assert.Equal((2, ""), (run.Code, run.Error));
        Assert.Contains($"  {named}", run.Out);
    }

    [Fact]
    public async Task Help_of_every_command_ends_in_examples_that_begin_with_it()
    {
        var none = new Terminal(TextWriter.Null, TextWriter.Null);
        foreach (Command command in WithSubcommands(RootCommandLine.Create(none)))
        {
            string path = CommandText.PathOf(command);
            CommandRun help = await CommandRun.Of([.. path.Split(' ').Skip(1), "--help"]);

            Assert.Equal(0, help.Code);
            Assert.Contains(path, help.Out[help.Out.IndexOf("Example", StringComparison.Ordinal)..]);
        }
    }

    [Fact]
    public async Task Version_prints_the_version_the_build_the_runtime_and_the_system()
    {
        CommandRun run = await CommandRun.Of("version");

        Assert.Equal(0, run.Code);
        Assert.Matches(@"^penstock \d+\.\d+\.\d+(\+[0-9a-f]{40})? \(jit, \.NET 10\..*\)\s*$", run.Out);
    }

    private static IEnumerable<Command> WithSubcommands(Command command) =>
        command.Subcommands.SelectMany(sub => WithSubcommands(sub).Prepend(sub));
}
