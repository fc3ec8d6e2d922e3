using System.CommandLine;
using Penstock.Control.Config;

namespace Penstock.Commands;

/// <summary><c>penstock run</c>: the balancer as its configuration file says.</summary>
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

            ConfigResult Read()
            {
                ConfigResult result = ConfigLoader.Load(path, terminal.Environment);
                return parse.GetValue(loops) is > 0 and var pinned && result.Config is { } config
                    ? result with { Config = config with { Proxy = config.Proxy with { Loops = pinned } } } : result;
            }
        });
        return command;
    }

    public static Option<string> ConfigOption() => new("--config", "-c")
    {
        HelpName = "FILE",
        Description = "The file [default: $PENSTOCK_CONFIG, $CONFIG_PATH, ./penstock.yaml|yml|json, /etc/penstock/]",
    };

    /// <summary>Null after telling the operator where it looked.</summary>
    public static string? Find(string? explicitPath, Terminal terminal)
    {
        string? path = ConfigLoader.Find(explicitPath, terminal.Environment, out IReadOnlyList<string>? tried);
        if (path is null)
        {
            terminal.Fail($"no configuration file: tried {string.Join(", ", tried)}; "
                + "name one with --config FILE, or do without by 'penstock proxy --to URL'");
        }
        return path;
    }
}
