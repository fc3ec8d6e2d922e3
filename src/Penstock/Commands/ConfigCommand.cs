using System.CommandLine;
using Penstock.Control.Config;
using Penstock.Control.Conversions;

namespace Penstock.Commands;

/// <summary><c>penstock config</c>: writes a first file, shows what a file means, prints the schema.</summary>
internal static class ConfigCommand
{
    private const string Starter = "Penstock.starter.yaml";

    public static Command Create(Terminal terminal) => new PenstockCommand("config",
        "Write, show and describe configurations.",
        "penstock config init",
        "penstock config show --no-defaults",
        "penstock config schema > penstock.schema.json",
        "penstock config convert --from nginx nginx.conf")
    {
        Init(terminal), Show(terminal), Schema(terminal), Convert(terminal),
    };

    private static PenstockCommand Init(Terminal terminal)
    {
        var file = new Argument<string>("FILE")
        {
            Description = "The file to write, or - for stdout", DefaultValueFactory = static _ => "penstock.yaml",
        };
        var force = new Option<bool>("--force") { Description = "Replace a file that exists" };
        var command = new PenstockCommand("init", "Write a commented configuration to start from.",
            "penstock config init && penstock run",
            "penstock config init /etc/penstock/penstock.yaml") { file, force };
        command.SetAction(parse =>
        {
            string path = parse.GetRequiredValue(file);
            using Stream starter = typeof(ConfigCommand).Assembly.GetManifestResourceStream(Starter)!;
            if (path == "-")
            {
                using var reader = new StreamReader(starter);
                terminal.Out.Write(reader.ReadToEnd());
                return ExitCode.Ok;
            }
            if (CommandFile.TakenFault(path, parse.GetValue(force)) is { } taken)
            {
                return terminal.Fail(taken, ExitCode.Usage);
            }
            try
            {
                using FileStream written = File.Create(path);
                starter.CopyTo(written);
            }
            catch (Exception failure) when (CommandFile.IsExpected(failure))
            {
                return terminal.Fail(CommandFile.CannotWrite(path, failure));
            }
            terminal.Out.WriteLine($"{path} written; 'penstock run {path}' runs with it");
            return ExitCode.Ok;
        });
        return command;
    }

    private static PenstockCommand Show(Terminal terminal)
    {
        var file = new ConfigFile();
        var set = new Option<bool>("--no-defaults") { Description = "Leave out the values that are not in the file" };
        var command = new PenstockCommand("show",
            "Show every value of a configuration, with its origin: file and line, variable, or default. "
                + "GET /config of the admin API shows the same of a running Penstock.",
            "penstock config show penstock.yaml",
            "penstock config show --no-defaults") { set };
        file.AddTo(command);
        command.SetAction(parse =>
        {
            if (file.Find(parse, terminal) is not { } path)
            {
                return ExitCode.Usage;
            }
            (PenstockConfig? loaded, IReadOnlyList<Diagnostic>? diagnostics) =
                ConfigLoader.Load(path, terminal.Environment);
            if (diagnostics.Count > 0)
            {
                DiagnosticWriter.WriteText(terminal.Error, path, diagnostics, terminal.Color);
            }
            if (loaded is null)
            {
                return ExitCode.Usage;
            }
            terminal.Out.Write(SettingsText.Write(loaded.Settings, withDefaults: !parse.GetValue(set)));
            return ExitCode.Ok;
        });
        return command;
    }

    private static PenstockCommand Convert(Terminal terminal)
    {
        var file = new Argument<string>("FILE") { Description = "The other program's file" };
        Option<string> from = OptionSyntax.OneOf("--from", "The format of the file; small-balancer: JSON or YAML with "
            + "a port, servers, an algorithm, a health check and a limit, under any usual names",
            Converters.Nginx, Converters.Haproxy, Converters.Small);
        from.DefaultValueFactory = null;
        from.Required = true;
        var command = new PenstockCommand("convert",
            "Print a configuration that is made from another program's file. What cannot be converted is listed on "
                + "stderr, with file and line.",
            "penstock config convert --from nginx /etc/nginx/nginx.conf > penstock.yaml && penstock check",
            "penstock config convert --from small-balancer configs/config.yaml") { file, from };
        command.SetAction(parse =>
        {
            string path = parse.GetRequiredValue(file);
            if (FileReader.Read(path, new Report(), out string unreadable) is not { } bytes)
            {
                return terminal.Fail($"cannot read {path}: {unreadable}");
            }
            using var text = new StreamReader(new MemoryStream(bytes));
            Converted made = Converters.Convert(parse.GetRequiredValue(from), path, text.ReadToEnd());
            foreach (string left in made.Left)
            {
                terminal.Error.WriteLine(Terminal.Plain(left));
            }
            if (made.Yaml is null)
            {
                return terminal.Fail(made.Fault!, ExitCode.Usage);
            }
            terminal.Out.Write(made.Yaml);
            // Variables need not be set where a file is converted. Secrets have at least 16 characters.
            IReadOnlyList<Diagnostic> faults = [.. ConfigLoader.Parse("the result", made.Yaml,
                name => terminal.Environment(name) ?? "xxxxxxxxxxxxxxxx").Diagnostics
                    .Where(d => d.Severity == Severity.Error)];
            DiagnosticWriter.WriteText(terminal.Error, "the result", faults, terminal.Color);
            return faults.Count > 0 ? ExitCode.Failure : ExitCode.Ok;
        });
        return command;
    }

    private static PenstockCommand Schema(Terminal terminal)
    {
        var command = new PenstockCommand("schema", "Print the JSON schema of the configuration, for editors.",
            "penstock config schema > penstock.schema.json");
        command.SetAction(_ => terminal.Out.Write(ConfigSchema.Make()));
        return command;
    }
}
