using System.CommandLine;
using System.Net;
using Microsoft.Extensions.Logging;
using Penstock.Proxy;

namespace Penstock.Commands;

/// <summary><c>penstock backends</c>: runs echo servers for trying out a balancer.</summary>
internal static class BackendsCommand
{
    public const int MaxServers = 1000;

    public static Command Create(Terminal terminal)
    {
        Option<int> count = OptionSyntax.Number("--count", "N", "The number of servers", 1, MaxServers).OrElse(3);
        Option<int> startPort = OptionSyntax.Number("--start-port", "PORT",
            "The port of the first server, the others follow; 0: free ports", 0, IPEndPoint.MaxPort).OrElse(9001);
        Option<IPAddress> address = OptionSyntax.Read<IPAddress>("--listen-address", "IP",
            "The address to listen on; 0.0.0.0: all addresses", TryAddress).OrElse(IPAddress.Loopback);
        var command = new PenstockCommand("backends", "Run echo servers for trying out a balancer.",
            "penstock backends --count 3 --start-port 9001",
            """curl http://127.0.0.1:9001/echo -d '{"message":"hello"}'""",
            "# also: / /health /ping /sleep?delay=500ms /status/503 /bytes/1000000 /upload /headers",
            "curl -X POST http://127.0.0.1:9001/stop    # stops this one server",
            "curl -X POST http://127.0.0.1:9002/start/9001")
        { count, startPort, address };
        command.SetAction(async (parse, stop) =>
        {
            (int first, int servers) = (parse.GetValue(startPort), parse.GetValue(count));
            if (first + servers - 1 > IPEndPoint.MaxPort)
            {
                return terminal.Fail($"the last port would be {first + servers - 1}, above 65535", ExitCode.Usage);
            }

            IPAddress listen = parse.GetRequiredValue(address);
            return await RunAsync([.. Enumerable.Range(0, servers)
                .Select(i => new IPEndPoint(listen, first == 0 ? 0 : first + i))], terminal, stop);
        });
        return command;
    }

    public static bool TryAddress(string text, out IPAddress address, out string error)
    {
        error = $"'{text}' is not an IP address: write 127.0.0.1, 0.0.0.0 or ::1";
        return AddressText.TryParseScoped(text, out address!);
    }

    private static async Task<int> RunAsync(IPEndPoint[] addresses, Terminal terminal, CancellationToken stop)
    {
        using ILoggerFactory loggers = Logs.Create(terminal, Logs.Threshold(terminal));
        ILogger log = loggers.CreateLogger("Penstock.Backends");
        using var signals = new StopSignals(log, stop);
        await using var echo = new EchoServer(addresses, Math.Max(16, Descriptors.Limit - Descriptors.Minimum));
        if (await echo.StartAsync() is { } fault)
        {
            return terminal.Fail(fault);
        }

        IPAddress host = addresses[0].Address;
        string names = string.Join(", ", echo.Ports.Select(port => $"http://{new IPEndPoint(host, port)}"));
        if (terminal.Interactive)
        {
            terminal.Out.WriteLine($"{terminal.Strong(Counted.Of(echo.Ports.Count, "echo server"))} on {names}");
            terminal.Out.WriteLine("Ctrl+C to stop");
            terminal.Out.Flush();
        }
        log.LogInformation(Events.Started, "echo servers: {Count}, on {Addresses}", echo.Ports.Count, names);
        await signals.Asked;
        return ExitCode.Ok;
    }
}
