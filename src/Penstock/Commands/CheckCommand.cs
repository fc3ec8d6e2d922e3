using Penstock.Proxy;
using System.CommandLine;
using Penstock.Control.Config;

namespace Penstock.Commands;

/// <summary><c>penstock check</c>: reports all faults of a configuration file at once, without running it.</summary>
internal static class CheckCommand
{
    public static Command Create(Terminal terminal)
    {
        var file = new ConfigFile();
        var json = new JsonOption();
        var command = new PenstockCommand("check", "Check a configuration file and report all its faults.",
            "penstock check penstock.yaml",
            "penstock check --json | jq .")
        { json, json.Format };
        file.AddTo(command);
        command.SetAction(parse =>
        {
            if (file.Find(parse, terminal) is not { } path)
            {
                return ExitCode.Usage;
            }

            (PenstockConfig? loaded, IReadOnlyList<Diagnostic>? diagnostics) =
                ConfigLoader.Load(path, terminal.Environment);
            if (json.IsIn(parse))
            {
                DiagnosticWriter.WriteJson(terminal.Out, path, diagnostics);
            }
            else
            {
                WriteText(terminal, path, loaded, diagnostics);
            }

            return loaded is null ? ExitCode.Usage : ExitCode.Ok;
        });
        return command;
    }

    private static void WriteText(
        Terminal terminal, string path, PenstockConfig? loaded, IReadOnlyList<Diagnostic> diagnostics)
    {
        if (diagnostics.Count > 0)
        {
            DiagnosticWriter.WriteText(terminal.Out, path, diagnostics, terminal.Color);
        }

        if (loaded?.Proxy is not { } proxy)
        {
            return;
        }

        terminal.Out.WriteLine($"{path} is valid: {Counted.Of(proxy.Listeners.Count, "listener")}, "
            + $"{Counted.Of(proxy.Upstreams.Count, "upstream")}, "
            + $"{Counted.Of(proxy.Upstreams.Sum(upstream => upstream.Backends.Count), "backend")}, "
            + $"{Counted.Of(proxy.Routes.Count, "route")}, {Counted.Of(proxy.Limits.Count, "limit")}");
    }
}
