using System.CommandLine;
using System.Net;
using Penstock.Control.Config;
using Penstock.Proxy;

namespace Penstock.Commands;

/// <summary><c>penstock demo</c>: balancer, store and backends in one process.</summary>
internal static class DemoCommand
{
    public static Command Create(Terminal terminal)
    {
        Option<int> count = OptionSyntax.Number("--backends", "N", "Echo servers to start on free ports",
            1, BackendsCommand.MaxServers).OrElse(3);
        var noLimits = new Option<bool>("--no-limits")
        {
            Description = "Set no limit, for load tests [default: 100 requests at once, then 10/s, per client]",
        };
        var server = new ServerOptions(terminal, "127.0.0.1:8080", "a file that is deleted when the demo ends");
        var command = new PenstockCommand("demo",
            "Try everything in one process: a balancer, its client store and some echo servers.",
            "penstock demo",
            "penstock demo --listen :8080 --backends 5 --store sqlite:demo.db",
            "penstock demo --no-limits    # then, elsewhere: ab -k -c 32 -n 100000 http://127.0.0.1:8080/")
        { count, noLimits };
        server.AddTo(command);
        command.SetAction(async (parse, stop) =>
        {
            Descriptors.Lend(EchoServer.DemoConnections); // both ends of a connection are in this process
            await using var echo = new EchoServer([.. Enumerable.Repeat(new IPEndPoint(IPAddress.Loopback, 0),
                parse.GetValue(count))], EchoServer.DemoConnections);
            if (await echo.StartAsync() is { } fault)
            {
                return terminal.Fail(fault);
            }

            DirectoryInfo scratch = Directory.CreateTempSubdirectory("penstock-demo-");
            try
            {
                ConfigNode upstream = OptionTree.Map(
                    ("backends", OptionTree.List(echo.Ports.Select(
                        static port => OptionTree.Value($"http://127.0.0.1:{port}")))),
                    ("health_check", OptionTree.Map(("path", OptionTree.Value("/health")))));
                ConfigNode? limit = parse.GetValue(noLimits) ? null : OptionTree.Map(
                    ("capacity", OptionTree.Value("100")), ("rate", OptionTree.Value("10/s")));
                string store = "sqlite:" + Path.Combine(scratch.FullName, "penstock.db");
                return await server.RunAsync(server.Build(parse, "demo", upstream, limit, store), stop);
            }
            finally
            {
                scratch.Delete(recursive: true);
            }
        });
        return command;
    }
}
