using System.CommandLine;
using Penstock.Control.Config;

namespace Penstock.Commands;

/// <summary><c>penstock run</c>: runs the balancer with a configuration file.</summary>
internal static class RunCommand
{
    public static Command Create(Terminal terminal)
    {
        Option<string> config = ConfigOption();
        Option<int> loops = ServerOptions.LoopsOption();
        var command = new PenstockCommand("run", "Run the balancer from a configuration file (YAML or JSON).",
            "penstock run --config /etc/penstock/penstock.yaml")
        { config, loops };
        command.SetAction(async (parse, stop) =>
        {
            if (Find(parse.GetValue(config), terminal) is not { } path)
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

    public static Option<string> ConfigOption() => new("--config", "-c")
    {
        HelpName = "FILE",
        Description = "The configuration: a file, or a directory whose files are merged "
            + "[default: $PENSTOCK_CONFIG, $CONFIG_PATH, ./penstock.yaml|yml|json, "
            + "/etc/penstock/]",
    };

    /// <summary>Finds the configuration file. Null if there is none; then it has printed where it looked.</summary>
    public static string? Find(string? explicitPath, Terminal terminal)
    {
        string? path = ConfigLoader.Find(explicitPath, terminal.Environment, out IReadOnlyList<string>? tried);
        if (path is null)
        {
            terminal.Fail($"no configuration file: tried {string.Join(", ", tried)}; "
                + "name one with --config FILE, or run 'penstock proxy --to URL', which needs none");
        }
        return path;
    }
}
