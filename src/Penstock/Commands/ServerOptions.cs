using System.CommandLine;
using System.Net;
using Penstock.Control.Config;
using Penstock.Proxy.Configuration;

namespace Penstock.Commands;

/// <summary>The options that <c>demo</c> and <c>proxy</c> share; they make a configuration without a file.</summary>
internal sealed class ServerOptions
{
    private const int MaxLoops = 1024;

    private readonly Terminal _terminal;
    private readonly string _defaultListen;
    private readonly Option<EndPoint> _listen;
    private readonly Option<string> _admin;
    private readonly Option<string> _store;
    private readonly Option<AccessLogTarget> _accessLog;
    private readonly Option<int> _loops;

    public ServerOptions(Terminal terminal, string defaultListen, string defaultStore)
    {
        (_terminal, _defaultListen) = (terminal, defaultListen);
        _listen = OptionSyntax.Read<EndPoint>("--listen", "ADDRESS",
            $"The address to listen on, such as :8080 or unix:/path [default: {defaultListen}]",
            ConfigValue.TryListen);
        _admin = OptionSyntax.Read<string>("--admin", "ADDRESS|off",
            "The address of the admin API; its token is $PENSTOCK_TOKEN [default: 127.0.0.1:9800]", TryAdmin);
        _store = OptionSyntax.Read<string>("--store", "STORE",
            $"Where clients are kept: sqlite:FILE, postgres://… or memory [default: {defaultStore}]",
            ConfigValue.TryStore);
        _accessLog = OptionSyntax.Read<AccessLogTarget>("--access-log", "TARGET",
            "Where to log requests: stdout, off, a path such as ./access.log, syslog:unix:/dev/log or "
                + "syslog:udp://host [default: off on a terminal, otherwise stdout]", ConfigValue.TryAccessLog);
        _loops = LoopsOption();
    }

    public static Option<int> LoopsOption() => OptionSyntax.Number("--loops", "N",
        "The number of event loops, each with one thread [default: one per processor]", 1, MaxLoops);

    public void AddTo(Command command)
    {
        foreach (Option option in (Option[])[_listen, _admin, _store, _accessLog, _loops])
        {
            command.Add(option);
        }
    }

    /// <summary>The configuration of the options and of the command's own.</summary>
    public ConfigResult Build(ParseResult parse, string upstream, ConfigNode upstreamKeys, ConfigNode? limit,
        string defaultStore) => ConfigLoader.Of(OptionTree.Map(
            ("listen", Text(parse, _listen) ?? OptionTree.Value(_defaultListen)),
            ("limits", limit is null ? null : OptionTree.Map(("default", limit))),
            ("upstreams", OptionTree.Map((upstream, upstreamKeys))),
            ("loops", Text(parse, _loops)),
            ("access_log", Text(parse, _accessLog) ?? OptionTree.Value(_terminal.Interactive ? "off" : "stdout")),
            ("admin", Text(parse, _admin) is ScalarNode { Text: "off" } off ? off : OptionTree.Map(
                ("listen", Text(parse, _admin)),
                ("token", Token.Length == 0 ? null : OptionTree.Value(Token, "$PENSTOCK_TOKEN")))),
            ("store", Text(parse, _store) ?? OptionTree.Value(defaultStore))));

    /// <summary>Runs until a signal; an error of the configuration is printed.</summary>
    public Task<int> RunAsync(ConfigResult result, CancellationToken stop)
    {
        if (result.Config is { } config)
        {
            return Serving.RunAsync(config, result.Diagnostics, _terminal, stop);
        }
        DiagnosticWriter.WriteText(_terminal.Error, "the command line", result.Diagnostics, _terminal.Color);
        return Task.FromResult(ExitCode.Usage);
    }

    /// <summary>The text of an option as it was given; null if it was not.</summary>
    public static ConfigNode? Text(ParseResult parse, Option option) =>
        parse.GetResult(option) is { Implicit: false, Tokens: [.., { } token] }
            ? OptionTree.Value(token.Value, option.Name) : null;

    private string Token => _terminal.Environment("PENSTOCK_TOKEN")?.Trim() ?? "";

    private bool TryAdmin(string text, out string admin, out string error)
    {
        (admin, error) = (text, "");
        if (text == "off")
        {
            return true;
        }

        if (!ConfigValue.TryListen(text, out EndPoint? address, out error))
        {
            return false;
        }

        if (Token.Length == 0 && new AdminConfig { Listen = address }.IsOpen)
        {
            error = $"other machines can reach {text}: set $PENSTOCK_TOKEN first, or use 127.0.0.1";
        }

        return error.Length == 0;
    }
}
