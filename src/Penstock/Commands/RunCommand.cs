using System.CommandLine;
using Penstock.Control.Config;
using Penstock.Control.Takeover;

namespace Penstock.Commands;

/// <summary><c>penstock run</c>: runs the balancer with a configuration file.</summary>
internal static class RunCommand
{
    public static Command Create(Terminal terminal)
    {
        var file = new ConfigFile();
        Option<int> loops = ServerOptions.LoopsOption();
        var takeover = new Option<bool>(SuccessorProcess.Option)
        {
            Description = "Take over from the Penstock that runs with this configuration file, without a lost "
                + "connection; start normally if none runs",
        };
        var command = new PenstockCommand("run", "Run the balancer from a configuration file (YAML or JSON).",
            "penstock run /etc/penstock/penstock.yaml")
        { loops, takeover };
        file.AddTo(command);
        command.SetAction(async (parse, stop) =>
        {
            if (file.Find(parse, terminal) is not { } path)
            {
                return ExitCode.Usage;
            }

            (PenstockConfig? loaded, IReadOnlyList<Diagnostic>? diagnostics) = Read();
            if (loaded is null)
            {
                DiagnosticWriter.WriteText(terminal.Error, path, diagnostics, terminal.Color);
                return ExitCode.Usage;
            }
            return await Serving.RunAsync(loaded, diagnostics, terminal, stop, Read,
                new TakeoverPlan(TakeoverText.AddressOf(path), parse.GetValue(takeover)));

            ConfigResult Read() => parse.GetValue(loops) is > 0 and int number
                ? ConfigLoader.Load(path, terminal.Environment, ("loops", $"{number}", "--loops"))
                : ConfigLoader.Load(path, terminal.Environment);
        });
        return command;
    }
}
