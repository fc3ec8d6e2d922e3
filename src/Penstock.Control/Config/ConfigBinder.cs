using System.Net;
using System.Net.Sockets;
using Penstock.Control.Store;
using Penstock.Proxy.Configuration;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <summary>From the tree to the records; it reads like the file. Every key, its syntax and its default is named here
/// or is the default of the record it fills.</summary>
internal static partial class ConfigBinder
{
    private const string DefaultName = "default";
    private const string DefaultListen = "0.0.0.0:8080";
    private const int DefaultPort = 8080;

    private static readonly string[] FlatKeys =
    [
        "backends", "balance", "hash", "sticky", "slow_start", "retries", "queue", "hedge", "health_check",
        "passive_health", "send_proxy",
    ];
    private static readonly string[] FullKeys = ["upstreams", "routes"];

    private static readonly AdminConfig AdminDefault = new();
    private static readonly ClientsConfig ClientsDefault = new();
    private static readonly TimeoutsConfig TimeoutsDefault = new();
    private static readonly BoundsConfig BoundsDefault = new();
    private static readonly RouteTimeoutsConfig NoRouteTimeouts = new();
    private static readonly HealthCheckConfig HealthCheckDefault = new();
    private static readonly PassiveHealthConfig PassiveHealthDefault = new();
    private static readonly StickyConfig StickyDefault = new() { Secret = "" };
    private static readonly RetryConfig RetriesDefault = new();
    private static readonly QueueConfig QueueDefault = new();

    /// <summary>Null only when something was reported that left nothing to read.</summary>
    public static PenstockConfig? Bind(ConfigNode root, Report report) =>
        Field.Root(root, report).Section(WholeFile, expected: "keys such as 'listen' and 'backends'");

    private static PenstockConfig WholeFile(Section file)
    {
        var listeners = Listeners(file);
        var limits = file.Named("limits").ToDictionary(field => field.Name, Limit);
        var everyLimit = LimitNames(file, limits) ?? [];
        var (upstreams, routes) = Topology(file, limits, everyLimit);
        var clients = file.Group("clients", Clients, ClientsDefault);
        if (clients.TrustedProxies.Count == 0
            && listeners.Any(static l => l is { ProxyProtocol: true, Address: not UnixDomainSocketEndPoint }))
            file["listen"]!.Error(
                "proxy_protocol without clients.trusted_proxies: whoever connects could say it is anybody",
                "list the addresses of the proxies in front in clients.trusted_proxies");
        if (limits.Count > 0 && !clients.TrustUnixSockets
            && listeners.Any(static l => l is { ProxyProtocol: false, Address: UnixDomainSocketEndPoint }))
            file["listen"]!.Warning("whoever comes over a Unix socket has the same address, 'unix', and one bucket",
                "if a proxy is in front, write clients.trusted_proxies: [unix], so that its X-Forwarded-For counts");
        var config = new PenstockConfig
        {
            Proxy = new()
            {
                Listeners = listeners,
                Upstreams = upstreams,
                Routes = routes,
                Clients = clients,
                Limits = limits,
                EveryLimit = everyLimit,
                LimitFields = file.Value("limit_fields", OneOf(("standard", LimitFields.Standard),
                    ("legacy", LimitFields.Legacy), ("both", LimitFields.Both), ("off", LimitFields.Off)),
                    LimitFields.Standard),
                Answers = Answers(file["errors"]),
                Timeouts = file.Group("timeouts", Timeouts, TimeoutsDefault),
                Bounds = file.Group("bounds", Bounds, BoundsDefault),
                Loops = file.Value("loops", TryLoops, 0),
                AccessLog = file.Value("access_log", TryAccessLog, "stdout"),
            },
            Admin = Admin(file["admin"], listeners),
            Store = file.Value("store", TryStore, "sqlite:penstock.db"),
            Plans = file.Named("plans").ToDictionary(field => field.Name, Plan),
        };
        if (clients.SaveUnregistered && !ClientStores.KeepsBuckets(config.Store))
            file["store"]!.Error("clients.save_unregistered needs a file of this node's own",
                "write store: sqlite:PATH, or leave save_unregistered out");
        _ = file["$schema"]; // for editors, which complete and check by it
        return config;
    }

    private static List<ListenerConfig> Listeners(Section file)
    {
        var listeners = file.Items("listen").Select(item => (At: item, Value: Listener(item)!))
            .Where(l => l.Value is not null).ToList();
        // Any number of listeners may ask for a free port.
        ReportRepeated("listener", listeners.Where(l => l.Value.Address is not IPEndPoint { Port: 0 }),
            listener => listener.Address.ToString()!);
        if (file["listen"] is not { } listen)
            return [new(new IPEndPoint(IPAddress.Any, DefaultPort), DefaultListen)];
        if (listen.Node is EmptyNode or SequenceNode { Items.Count: 0 })
            listen.Error("'listen' has no address", "write 0.0.0.0:8080, or leave it out");
        return [.. listeners.Select(l => l.Value)];
    }

    private static ListenerConfig? Listener(Field item) => item.Node is not MappingNode
        ? item.Parse<ListenerConfig>(TryListener)
        : (item with { Name = "listen" }).Section(listener =>
        {
            var address = listener.Required<ListenerConfig>("address", TryListener);
            var proxyProtocol = listener.Value("proxy_protocol", TrySwitch, false);
            UnixFileMode? mode = listener["mode"]?.Parse<UnixFileMode>(TryFileMode);
            if (mode is not null && address is { Address: not UnixDomainSocketEndPoint })
                listener["mode"]!.Error("'mode' is for Unix sockets: this address has no file", "remove it");
            return address is null ? null : address with { ProxyProtocol = proxyProtocol, Mode = mode };
        });

    private static bool TryListener(string text, out ListenerConfig listener, out string error)
    {
        var valid = TryListen(text, out var address, out error);
        listener = new(address, text);
        return valid;
    }

    private static AdminConfig Admin(Field? field, IEnumerable<ListenerConfig> listeners) => field switch
    {
        null => AdminDefault,
        _ when field.Is("off", "false") => AdminDefault with { Listen = null },
        _ => field.Section(admin => Admin(admin, listeners), AdminDefault, "a mapping or 'off'"),
    };

    private static AdminConfig Admin(Section admin, IEnumerable<ListenerConfig> listeners)
    {
        var listen = admin.Value("listen", TryListen, AdminDefault.Listen)!;
        var token = admin.Secret("token", TryToken, "");
        var at = admin["listen"] ?? admin.At;
        if (listen is IPEndPoint ip && !IPAddress.IsLoopback(ip.Address) && admin["token"]?.Node is not FaultyNode
            && token.Length == 0)
            at.Error($"admin on {listen} needs a token: whoever reaches it can change every limit",
                "set admin.token, or listen on 127.0.0.1");
        if (listeners.Any(l => l.Address.Equals(listen) && listen is not IPEndPoint { Port: 0 }))
            at.Error($"admin and a listener cannot share {listen}", "give one of them another port");
        return new() { Listen = listen, Token = token };
    }

    private static TimeoutsConfig Timeouts(Section timeouts) => new()
    {
        Connect = timeouts.Value("connect", TryDuration, TimeoutsDefault.Connect),
        Head = timeouts.Value("head", TryDuration, TimeoutsDefault.Head),
        Response = timeouts.Value("response", TryDuration, TimeoutsDefault.Response),
        Idle = timeouts.Value("idle", TryDuration, TimeoutsDefault.Idle),
        BackendIdle = timeouts.Value("backend_idle", TryDurationOrOff, TimeoutsDefault.BackendIdle),
        Tunnel = timeouts.Value("tunnel", TryDuration, TimeoutsDefault.Tunnel),
        Tokens = timeouts.Value("tokens", TryDurationOrOff, TimeoutsDefault.Tokens),
        Shutdown = timeouts.Value("shutdown", TryDuration, TimeoutsDefault.Shutdown),
        DrainDelay = timeouts.Value("drain_delay", TryDelay, TimeoutsDefault.DrainDelay),
    };

    private static BoundsConfig Bounds(Section bounds) => new()
    {
        RequestLineBytes = (int)bounds.Value("request_line", Size(64, 64 * 1024), BoundsDefault.RequestLineBytes),
        HeadBytes = (int)bounds.Value("head", Size(256, 64 * 1024), BoundsDefault.HeadBytes),
        HeadFields = bounds.Value("head_fields", Whole(1, 1000), BoundsDefault.HeadFields),
        BodyBytes = bounds.Value("body", Size(1, long.MaxValue / 2, mayBeOff: true), BoundsDefault.BodyBytes),
        BodyMinBytesPerSecond = (int)bounds.Value("body_min_rate", Size(1, int.MaxValue, mayBeOff: true),
            BoundsDefault.BodyMinBytesPerSecond),
        RequestsPerConnection = bounds.Value("requests_per_connection", WholeOr("off", int.MaxValue),
            BoundsDefault.RequestsPerConnection),
        Connections = bounds.Value("connections", WholeOr("auto", 10_000_000), BoundsDefault.Connections),
        ConnectionsPerAddress = bounds.Value("connections_per_address", WholeOr("off", 10_000_000),
            BoundsDefault.ConnectionsPerAddress),
        AllowsHalfClose = bounds.Value("half_close", OneOf(("abort", false), ("allow", true)),
            BoundsDefault.AllowsHalfClose),
    };

    private static void ReportRepeated<T>(string what, IEnumerable<(Field At, T Value)> items, Func<T, string> identity)
    {
        foreach (var group in items.GroupBy(item => identity(item.Value), StringComparer.OrdinalIgnoreCase))
            foreach (var (at, _) in group.Skip(1))
                at.Error($"duplicate {what} '{group.Key}'", $"the first is on line {group.First().At.Place.Line}");
    }
}
