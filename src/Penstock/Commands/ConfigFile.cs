using System.CommandLine;
using Penstock.Control.Config;

namespace Penstock.Commands;

/// <summary>How a command is told its configuration file: <c>run FILE</c>, or <c>run --config FILE</c>.</summary>
internal sealed class ConfigFile
{
    private readonly Argument<string?> _file = new("FILE")
    {
        Description = "The configuration; the same as --config",
        Arity = ArgumentArity.ZeroOrOne,
    };
    private readonly Option<string?> _config = new("--config", "-c")
    {
        HelpName = "FILE",
        Description = "The configuration: a file, or a directory whose files are merged "
            + "[default: $PENSTOCK_CONFIG, $CONFIG_PATH, ./penstock.yaml|yml|json, /etc/penstock/, "
            + "./config/config.yaml, ./configs/config.yaml]",
    };

    public void AddTo(Command command)
    {
        command.Add(_file);
        command.Add(_config);
        command.Validators.Add(result =>
        {
            if (result.GetValue(_file) is not null && result.GetValue(_config) is not null)
            {
                result.AddError("the configuration file is named twice: write it either alone or after --config");
            }
        });
    }

    /// <summary>Finds the file. Null if there is none; then it has printed where it looked.</summary>
    public string? Find(ParseResult parse, Terminal terminal)
    {
        string? path = ConfigLoader.Find(parse.GetValue(_file) ?? parse.GetValue(_config), terminal.Environment,
            out IReadOnlyList<string>? tried);
        if (path is null)
        {
            terminal.Fail($"no configuration file: tried {string.Join(", ", tried)}; "
                + "name one with --config FILE, or run 'penstock proxy --to URL', which needs none");
        }

        return path;
    }
}
