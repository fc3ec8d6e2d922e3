using System.Net;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <summary>From the tree to the records; it reads like the file. Every key, its syntax and its default is named here
/// or is the default of the record it fills.</summary>
internal static class ConfigBinder
{
    private const string DefaultName = "default";
    private const string DefaultListen = "0.0.0.0:8080";

    private static readonly string[] FlatKeys = ["backends", "balance", "health_check", "send_proxy"];
    private static readonly string[] FullKeys = ["upstreams", "routes"];

    private static readonly AdminConfig AdminDefault = new();
    private static readonly ClientsConfig ClientsDefault = new();
    private static readonly TimeoutsConfig TimeoutsDefault = new();
    private static readonly BoundsConfig BoundsDefault = new();
    private static readonly HealthCheckConfig HealthCheckDefault = new();

    /// <summary>Null only when something was reported that left nothing to read.</summary>
    public static PenstockConfig? Bind(ConfigNode root, Report report) =>
        Field.Root(root, report).Section(WholeFile, expected: "keys such as 'listen' and 'backends'");

    private static PenstockConfig WholeFile(Section file)
    {
        var listeners = Listeners(file);
        var limits = file.Named("limits").ToDictionary(field => field.Name, Limit);
        var (upstreams, routes) = Topology(file, limits.Keys);
        var clients = file.Group("clients", Clients, ClientsDefault);
        if (clients.TrustedProxies.Count == 0 && listeners.Any(static l => l.ProxyProtocol))
            file["listen"]!.Error(
                "proxy_protocol without clients.trusted_proxies: whoever connects could say it is anybody",
                "list the addresses of the proxies in front in clients.trusted_proxies");
        var config = new PenstockConfig
        {
            Proxy = new()
            {
                Listeners = listeners,
                Upstreams = upstreams,
                Routes = routes,
                Clients = clients,
                Limits = limits,
                Timeouts = file.Group("timeouts", Timeouts, TimeoutsDefault),
                Bounds = file.Group("bounds", Bounds, BoundsDefault),
                Loops = file.Value("loops", TryLoops, 0),
                AccessLog = file.Value("access_log", TryAccessLog, "stdout"),
            },
            Admin = Admin(file["admin"], listeners),
            Store = file.Value("store", TryStore, "sqlite:penstock.db"),
        };
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
            return [new(IPEndPoint.Parse(DefaultListen), DefaultListen)];
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
            return address is null ? null : address with { ProxyProtocol = proxyProtocol };
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
        var token = admin.Value("token", TryText, "");
        var at = admin["listen"] ?? admin.At;
        if (listen is IPEndPoint ip && !IPAddress.IsLoopback(ip.Address) && admin["token"]?.Node is not FaultyNode
            && token.Length == 0)
            at.Error($"admin on {listen} needs a token: whoever reaches it can change every limit",
                "set admin.token, or listen on 127.0.0.1");
        if (listeners.Any(l => l.Address.Equals(listen) && listen is not IPEndPoint { Port: 0 }))
            at.Error($"admin and a listener cannot share {listen}", "give one of them another port");
        return new() { Listen = listen, Token = token };
    }

    private static LimitConfig Limit(Field field)
    {
        if (field.Name is "capacity" or "rate" && field.Node is ScalarNode)
        {
            field.Error("limits have names", "write default: { capacity: 100, rate: 10/s }");
            return new(0, 0);
        }
        return field.Section(Limit, new LimitConfig(0, 0), "{ capacity, rate }");
    }

    private static LimitConfig Limit(Section limit)
    {
        var (capacity, rate) = (limit.Required<long>("capacity", TryWhole), limit.Required<double>("rate", TryRate));
        if (limit.Sound && Limiter.Fault(capacity, rate) is { } fault)
            limit[Limiter.Fault(capacity, 1) is null ? "rate" : "capacity"]!.Refuse(fault);
        return new(capacity, rate);
    }

    /// <summary>The full form (<c>upstreams</c>, <c>routes</c>) or the flat one (<c>backends</c> and its like at the
    /// top), which stands for one upstream and a route that takes everything to it.</summary>
    private static (List<UpstreamConfig>, List<RouteConfig>) Topology(Section file, IReadOnlyCollection<string> limits)
    {
        var full = FullKeys.Where(file.Has).ToList();
        var flat = FlatKeys.Select(key => file[key]).OfType<Field>().ToList();
        if (full.Count == 0 && !file.Has("backends"))
            file.At.Error("no backends", "write 'backends: [127.0.0.1:9001]', or 'upstreams'");
        if (full.Count == 0)
        {
            WarnUnlimited(file, limits, anyRouteWithoutLimit: true);
            return ([Upstream(DefaultName, file)], [new() { Upstream = DefaultName }]);
        }
        foreach (var field in flat)
            field.Error($"'{field.Name}' at the top is for a single upstream; it cannot stand beside '{full[0]}'",
                "move it into an entry of 'upstreams'");
        if (flat.Count > 0)
            _ = Upstream(DefaultName, file); // for its errors
        return flat.Count == 0 || file.Has("upstreams") ? Full(file, limits) : ([], []);
    }

    private static (List<UpstreamConfig>, List<RouteConfig>) Full(Section file, IReadOnlyCollection<string> limits)
    {
        var named = file.Named("upstreams");
        var upstreams = named.Select(NamedUpstream).ToList();
        var names = named.Select(field => field.Name).ToList();
        if (names.Count == 0)
            (file["upstreams"] ?? file.At).Error("no upstreams",
                "write 'upstreams: { web: { backends: [127.0.0.1:9001] } }'");

        var errorsBefore = file.At.Report.Errors;
        var items = file.Items("routes");
        var routes = items
            .Select(item => (At: item, Value: item.Section(route => Route(route, names, limits))!))
            .Where(route => route.Value is not null).ToList();
        if (items.Count == 0 && names.Count == 1)
            routes = [(file["upstreams"]!, new() { Upstream = names[0] })];
        else if (items.Count == 0 && names.Count > 1)
            file["upstreams"]!.Error($"{names.Count} upstreams but no routes",
                "write 'routes' to say which requests go where");
        // A route that could not be read would make every conclusion from the routes a guess.
        if (file.At.Report.Errors == errorsBefore && routes.Count >= items.Count)
        {
            WarnShadowed(routes);
            foreach (var unused in named.Where(field => routes.All(r => r.Value.Upstream != field.Name)))
                unused.Warning($"no route uses upstream '{unused.Name}': it receives no requests");
            WarnUnlimited(file, limits, routes.Any(r => r.Value.Limit is null));
        }
        return ([.. upstreams.OfType<UpstreamConfig>()], [.. routes.Select(r => r.Value)]);
    }

    private static UpstreamConfig? NamedUpstream(Field field) => field.Section(upstream =>
    {
        if (!upstream.Has("backends"))
            field.Error("missing 'backends'");
        return Upstream(field.Name, upstream);
    });

    private static UpstreamConfig Upstream(string name, Section upstream)
    {
        var items = upstream.Items("backends");
        if (items.Count == 0 && upstream["backends"] is { Node: EmptyNode or SequenceNode } empty)
            empty.Error("'backends' is empty: there is no server to send requests to");
        var read = items.Select(item => (At: item, Value: Backend(item)!)).Where(b => b.Value is not null).ToList();
        ReportRepeated("backend", read, backend => backend.Address);
        return new()
        {
            Name = name,
            Backends = [.. read.Select(b => b.Value)],
            Balance = upstream.Value("balance", TryBalance, BalanceAlgorithm.RoundRobin),
            HealthCheck = HealthCheck(upstream["health_check"]),
            ProxyProtocol = upstream.Value("send_proxy", OneOf(("off", 0), ("v1", 1), ("v2", 2)), 0),
        };
    }

    private static BackendConfig? Backend(Field item) =>
        item.Node is ScalarNode ? (item with { Name = "backend" }).Parse<BackendConfig>(TryBackend)
            : (item with { Name = "backend" }).Section(Backend, expected: "an address or a mapping");

    private static BackendConfig? Backend(Section backend)
    {
        var server = backend.Required<BackendConfig>("url", TryBackend);
        var weight = backend.Value("weight", Whole(1, 256), 1);
        var most = backend.Value("max_connections", Whole(0, 1_000_000), 0);
        var backup = backend.Value("backup", TrySwitch, false);
        return server is null ? null : server with { Weight = weight, MaxConnections = most, Backup = backup };
    }

    private static HealthCheckConfig? HealthCheck(Field? field) => field switch
    {
        null => null,
        _ when field.Is("off", "false") => null,
        _ when field.Is("tcp") => HealthCheckDefault,
        _ => field.Section(HealthCheck, expected: "a mapping, 'tcp' or 'off'"),
    };

    private static HealthCheckConfig HealthCheck(Section check)
    {
        var tcp = check.Value("type", OneOf(("http", false), ("tcp", true)), false);
        var path = check.Value<string>("path", TryCheckPath);
        if (tcp && check["path"] is { } useless)
            useless.Error("a tcp check has no 'path'", "remove it, or write type: http");
        if (!tcp && !check.Has("path") && check.Sound)
            check.At.Error("missing 'path'", "write path: /health, or type: tcp for a check that only connects");
        var config = new HealthCheckConfig
        {
            Path = path,
            Interval = check.Value("interval", TryDuration, HealthCheckDefault.Interval),
            Timeout = check.Value("timeout", TryDuration, HealthCheckDefault.Timeout),
            Rise = check.Value("rise", Whole(1, 1000), HealthCheckDefault.Rise),
            Fall = check.Value("fall", Whole(1, 1000), HealthCheckDefault.Fall),
        };
        if (check.Sound && config.Timeout > config.Interval)
            (check["timeout"] ?? check["interval"])!.Warning("the timeout is longer than the interval: "
                + "a backend that does not answer is checked less often than the interval says");
        return config;
    }

    private static RouteConfig Route(Section route, IReadOnlyCollection<string> upstreams,
        IReadOnlyCollection<string> limits) => new()
    {
        Host = route.Value<string?>("host", TryRouteHost),
        Path = route.Value<string>("path", TryRoutePath),
        Method = route.Value<string>("method", TryMethod),
        Upstream = route.Required("upstream", Reference("upstream", upstreams)) ?? "",
        Limit = route.Value("limit", Reference("limit", limits)),
    };

    private static ClientsConfig Clients(Section clients)
    {
        var identify = Identify(clients);
        return new()
        {
            Identify = identify.Count > 0 ? identify : ClientsDefault.Identify,
            UnknownGetsOwnBucket = clients.Value("unknown", OneOf(("address", false), ("own", true)), false),
            TrustedProxies = [.. clients.Items("trusted_proxies").Select(item => item.Parse<IPNetwork>(TryNetwork))],
            Ipv6Prefix = clients.Value("ipv6_prefix", Whole(1, 128), ClientsDefault.Ipv6Prefix),
            MaxTracked = clients.Value("max_tracked", Whole(1, 100_000_000), ClientsDefault.MaxTracked),
        };
    }

    private static List<IdentitySource> Identify(Section clients)
    {
        var items = clients.Items("identify");
        if (clients["identify"] is { } field && items.Count == 0 && field.Node is SequenceNode or EmptyNode)
            field.Error("'identify' is empty", "write [address], or leave it out");
        var sources = items.Select(item => item.Parse<IdentitySource>(TryIdentity)).ToList();
        var address = sources.FindIndex(source => source?.Kind == IdentityKind.Address);
        if (address >= 0 && address < items.Count - 1)
            items[address + 1].Warning("every request has an address: what follows 'address' is never looked at");
        return [.. sources.OfType<IdentitySource>()];
    }

    private static TimeoutsConfig Timeouts(Section timeouts) => new()
    {
        Connect = timeouts.Value("connect", TryDuration, TimeoutsDefault.Connect),
        Head = timeouts.Value("head", TryDuration, TimeoutsDefault.Head),
        Response = timeouts.Value("response", TryDuration, TimeoutsDefault.Response),
        Idle = timeouts.Value("idle", TryDuration, TimeoutsDefault.Idle),
        Tunnel = timeouts.Value("tunnel", TryDuration, TimeoutsDefault.Tunnel),
        Shutdown = timeouts.Value("shutdown", TryDuration, TimeoutsDefault.Shutdown),
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
    };

    private static void ReportRepeated<T>(string what, IEnumerable<(Field At, T Value)> items, Func<T, string> identity)
    {
        foreach (var group in items.GroupBy(item => identity(item.Value), StringComparer.OrdinalIgnoreCase))
            foreach (var (at, _) in group.Skip(1))
                at.Error($"duplicate {what} '{group.Key}'", $"the first is on line {group.First().At.Place.Line}");
    }

    private static void WarnShadowed(IEnumerable<(Field At, RouteConfig Value)> routes)
    {
        foreach (var equal in routes.GroupBy(r => (r.Value.Host, r.Value.Path ?? "/*", r.Value.Method)))
            foreach (var (at, _) in equal.Skip(1))
                at.Warning("this route never matches: "
                    + $"the one on line {equal.First().At.Place.Line} takes the same requests");
    }

    private static void WarnUnlimited(Section file, IReadOnlyCollection<string> limits, bool anyRouteWithoutLimit)
    {
        if (anyRouteWithoutLimit && limits.Count > 0 && !limits.Contains(DefaultName))
            file["limits"]!.Warning($"no limit is named '{DefaultName}': where a route names none, "
                + "only registered clients are limited");
    }
}
