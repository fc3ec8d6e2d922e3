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
    private readonly Option<ListenerConfig> _listen;
    private readonly Option<AdminConfig> _admin;
    private readonly Option<string> _store;
    private readonly Option<AccessLogTarget> _accessLog;
    private readonly Option<int> _loops;

    public ServerOptions(Terminal terminal, string defaultListen, string defaultStore)
    {
        (_terminal, _defaultListen) = (terminal, defaultListen);
        _listen = OptionSyntax.Read<ListenerConfig>("--listen", "ADDRESS",
            $"The address to listen on, such as :8080 or unix:/path [default: {defaultListen}]", TryListener);
        _admin = OptionSyntax.Read<AdminConfig>("--admin", "ADDRESS|off",
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

    public PenstockConfig Build(ParseResult parse, UpstreamConfig upstream, LimitConfig? limit, string defaultStore)
    {
        if (parse.GetValue(_listen) is not { } listener)
        {
            TryListener(_defaultListen, out listener, out _);
        }

        return new()
        {
            Admin = parse.GetValue(_admin) ?? new AdminConfig { Token = Token },
            Store = parse.GetValue(_store) ?? defaultStore,
            Proxy = new()
            {
                Listeners = [listener],
                Upstreams = [upstream],
                Routes = [new() { Upstream = upstream.Name }],
                Limits = limit is null ? [] : new Dictionary<string, LimitConfig> { ["default"] = limit },
                AccessLog = new()
                {
                    To = parse.GetValue(_accessLog)
                        ?? (_terminal.Interactive ? AccessLogTarget.Off : AccessLogTarget.Stdout),
                },
                Loops = parse.GetValue(_loops),
            },
        };
    }

    private string Token => _terminal.Environment("PENSTOCK_TOKEN")?.Trim() ?? "";

    private static bool TryListener(string text, out ListenerConfig listener, out string error)
    {
        bool good = ConfigValue.TryListen(text, out EndPoint? address, out error);
        listener = new(address, text);
        return good;
    }

    private bool TryAdmin(string text, out AdminConfig admin, out string error)
    {
        admin = new() { Listen = null, Token = Token };
        error = "";
        if (text == "off")
        {
            return true;
        }

        if (!ConfigValue.TryListen(text, out EndPoint? address, out error))
        {
            return false;
        }

        admin = admin with { Listen = address };
        if (Token.Length == 0 && address is IPEndPoint ip && !IPAddress.IsLoopback(ip.Address))
        {
            error = $"other machines can reach {text}: set $PENSTOCK_TOKEN first, or use 127.0.0.1";
        }

        return error.Length == 0;
    }
}
