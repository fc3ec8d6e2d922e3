using System.CommandLine;
using System.Text.Json;
using Penstock.Control.Admin;
using Penstock.Control.Config;
using Penstock.Control.Simulation;
using Penstock.Proxy;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Commands;

/// <summary><c>penstock simulate</c>: shows which requests of an access log a limit would have rejected.</summary>
internal static class SimulateCommand
{
    public static Command Create(Terminal terminal)
    {
        var log = new Option<string>("--log")
        {
            HelpName = "FILE",
            Description = "The access log, in Penstock's, the common or the combined format",
            Required = true,
        };
        Option<long> capacity = OptionSyntax.Number<long>(
            "--capacity", "N", "Tokens in a full bucket", 1, ClientsCommand.MaxCapacity);
        capacity.Required = true;
        Option<double> rate = OptionSyntax.Read<double>("--rate", "RATE",
            "How fast the bucket refills, such as 10/s or 0.5/s", ConfigValue.TryRate);
        rate.Required = true;
        Option<string> key = new Option<string>("--key")
        {
            HelpName = "NAME",
            Description = "The member of a line that names the client, such as client, client_address, host or route; "
                + $"in other formats {string.Join(", ", LogLineParser.CombinedKeys)}",
        }.OrElse(SimulationSettings.DefaultKey);
        Option<string> logFormat = OptionSyntax.OneOf("--log-format", "The format of the log",
            SimulationSettings.Formats[0], SimulationSettings.Formats[1..]);
        Option<double> target = OptionSyntax.Read<double>("--target", "SHARE",
            "Also find the smallest capacity that rejects at most this share, such as 1%", SimulationSettings.TryShare);
        Option<int> top =
            OptionSyntax.Number("--top", "N", "How many clients to list, those with the most rejections first", 1,
                1_000_000).OrElse(SimulationSettings.DefaultTop);
        var json = new JsonOption();
        var command = new PenstockCommand("simulate", "Replay an access log against a limit: shows which clients it "
            + "would have rejected, how often, and when.",
            "penstock simulate --log access.log --capacity 100 --rate 10/s",
            "penstock simulate --log nginx.log --capacity 20 --rate 60/m --target 1%",
            "penstock simulate --log access.log --capacity 50 --rate 5/s --key client_address --json | jq .")
        { log, capacity, rate, key, logFormat, target, top, json, json.Format };
        command.SetAction(async parse =>
        {
            LogFormat format = SimulationSettings.FormatOf(parse.GetRequiredValue(logFormat));
            string keyName = parse.GetRequiredValue(key);
            if (SimulationSettings.KeyFault(format, keyName) is { } keyFault)
            {
                return terminal.Fail($"--key: {keyFault}", ExitCode.Usage);
            }

            (long n, double perSecond) = (parse.GetValue(capacity), parse.GetValue(rate));
            if (Limiter.Fault(n, perSecond) is { } fault)
            {
                return terminal.Fail(fault.ToString(), ExitCode.Usage);
            }

            double? share = parse.GetResult(target) is null ? null : parse.GetValue(target);
            var settings = new SimulationSettings(new(n, perSecond), keyName, format, share, parse.GetValue(top));
            return await RunAsync(terminal, settings, parse.GetRequiredValue(log), json.IsIn(parse));
        });
        return command;
    }

    private static async Task<int> RunAsync(Terminal terminal, SimulationSettings settings, string path, bool json)
    {
        var simulation = new LimitSimulation(settings.Limit, settings.Parser);
        Stream Open() => CommandFile.Read(path);
        using (Stream log = Open())
        {
            if (settings.Target is not null && !log.CanSeek)
            {
                return terminal.Fail("--target reads the log several times: give a regular file", ExitCode.Usage);
            }

            await ProgressBar.ShowAsync(terminal, $"replaying {path}", ProgressBar.LengthOf(log), done =>
            {
                simulation.Run(new ReportingStream(log, done));
                return Task.FromResult(true);
            });
        }
        if (!IsUsable(terminal, simulation, path, out int code))
        {
            return code;
        }

        long? smallest = settings.Target is not { } share ? null : await ProgressBar.ShowAsync(terminal,
            "searching for the smallest capacity", null, done => Task.FromResult(
                simulation.SmallestCapacity(share, () => new ReportingStream(Open(), done))));
        SimulationReport report = SimulationReport.Of(simulation, settings, smallest) with { Log = path };
        if (json)
        {
            terminal.Out.WriteLine(JsonOption.Text(
                JsonSerializer.SerializeToNode(report, AdminJson.Types.SimulationReport)));
        }
        else
        {
            SimulationText.Write(terminal, report, simulation.Clients.Count(static client => client.Rejected > 0));
        }

        return ExitCode.Ok;
    }

    /// <summary>Tells the faults of the log.</summary>
    private static bool IsUsable(Terminal terminal, LimitSimulation simulation, string path, out int code)
    {
        foreach ((long line, string? fault) in simulation.Faults)
        {
            terminal.Error.WriteLine(Terminal.Plain($"warning: {path}:{line} {fault}"));
        }

        code = ExitCode.Ok;
        if (simulation.Requests == 0)
        {
            code = simulation.KeyFault is { } key ? terminal.Fail($"--key: {Terminal.Plain(key)}", ExitCode.Usage)
                : terminal.Fail($"{path} contains no request that a limit applies to" + (simulation.Events == 0 ? ""
                    : $"; {Counted.Are(simulation.Events, "line")} events of Penstock"));
        }
        else if (simulation.BadLines > 0)
        {
            terminal.Error.WriteLine($"warning: {Counted.Of(simulation.BadLines, "line")} could not be read and "
                + $"{(simulation.BadLines == 1 ? "is" : "are")} not counted");
        }

        return code == ExitCode.Ok;
    }
}
