using System.CommandLine;
using Penstock.Control.Config;

namespace Penstock.Commands;

/// <summary><c>penstock run</c>: runs the balancer with a configuration file.</summary>
internal static class RunCommand
{
    public static Command Create(Terminal terminal)
    {
        var file = new ConfigFile();
        Option<int> loops = ServerOptions.LoopsOption();
        var command = new PenstockCommand("run", "Run the balancer from a configuration file (YAML or JSON).",
            "penstock run /etc/penstock/penstock.yaml")
        { loops };
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
            return await Serving.RunAsync(loaded, diagnostics, terminal, stop, Read);

            ConfigResult Read() => parse.GetValue(loops) is > 0 and int number
                ? ConfigLoader.Load(path, terminal.Environment, ("loops", $"{number}", "--loops"))
                : ConfigLoader.Load(path, terminal.Environment);
        });
        return command;
    }
}
