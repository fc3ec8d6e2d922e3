using System.Net;
using System.Net.Sockets;
using Penstock.Control.Store;
using Penstock.Control.Telemetry;
using Penstock.Proxy.Configuration;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <summary>The keys at the top of the file and of the short sections.</summary>
internal static class FileKeys
{
    private static readonly Keys<LogConfig> Log = new Keys<LogConfig>("log", new())
        .Key("level", new Optional<MinLevel>(OneOf(("info", MinLevel.Info), ("debug", MinLevel.Debug),
            ("warning", MinLevel.Warning), ("error", MinLevel.Error), ("warn", MinLevel.Warning))),
            log => log.Level, (log, v) => log with { Level = v },
            "The lowest level of events that are written. `debug` adds failed health checks and events of libraries. "
                + "`PUT /log/level` of the admin API changes it until the next reload.")
        .DefaultText("`info`; `warning` if stderr is a terminal");

    private static readonly Keys<TimeoutsConfig> Timeouts = new Keys<TimeoutsConfig>("timeouts", new())
        .Key("connect", Duration, t => t.Connect, (t, v) => t with { Connect = v },
            "How long connecting to a backend may take.")
        .Key("handshake", Duration, t => t.Handshake, (t, v) => t with { Handshake = v },
            "How long a client may take for the handshake of TLS.")
        .Key("head", Duration, t => t.Head, (t, v) => t with { Head = v },
            "How long a whole request head may take, from its first byte.")
        .Key("response", Duration, t => t.Response, (t, v) => t with { Response = v },
            "The time between two bytes of progress while a request or response is in progress.")
        .Key("idle", Duration, t => t.Idle, (t, v) => t with { Idle = v },
            "How long an idle client connection stays open for the next request.")
        .Key("backend_idle", DurationOrOff, t => t.BackendIdle, (t, v) => t with { BackendIdle = v },
            "How long an idle backend connection stays open for the next request; `off`: it serves one request only. "
                + "The default is below the time of common servers (Node.js, Apache and uvicorn 5 s), so that Penstock "
                + "closes first: a POST that meets a closing connection could not be retried. An upstream may have "
                + "[its own value](#upstreams).")
        .Key("tunnel", Duration, t => t.Tunnel, (t, v) => t with { Tunnel = v },
            "How long a tunnel (after an upgrade such as WebSocket) may be without a byte in either direction.")
        .Key("tokens", DurationOrOff, t => t.Tokens, (t, v) => t with { Tokens = v },
            "If several nodes share one PostgreSQL: how long a request of a registered client waits for tokens from "
                + "the shared bucket when this node has none ([how](store.md#a-request-that-waits)); `off`: it is "
                + "rejected at once.")
        .Key("drain_delay", Delay, t => t.DrainDelay, (t, v) => t with { DrainDelay = v },
            "At a graceful stop: how long listeners stay open after `/readyz` answers 503, so that the load balancer "
                + "in front has time to notice; `off` or `0s`: not at all. Until then requests are served as usual.")
        .Key("shutdown", Duration, t => t.Shutdown, (t, v) => t with { Shutdown = v },
            "At a graceful stop: how long requests in flight may take after the listeners have closed.");

    private static readonly Keys<BoundsConfig> Bounds = new Keys<BoundsConfig>("bounds", new())
        .Key("request_line", Size(64, 64 * 1024), b => b.RequestLineBytes,
            (b, v) => b with { RequestLineBytes = (int)v }, "The maximum length of a request line; longer: 414.")
        .From("nginx, Kestrel")
        .Key("head", Size(256, 64 * 1024), b => b.HeadBytes, (b, v) => b with { HeadBytes = (int)v },
            "The maximum length of a whole head; longer: 431, or 502 for a response.")
        .From("Kestrel")
        .Key("head_fields", Whole(1, 1000), b => b.HeadFields, (b, v) => b with { HeadFields = v },
            "The maximum number of header fields; more: 431, or 502 for a response.")
        .From("Envoy, Kestrel")
        .Key("body", Size(1, long.MaxValue / 2, mayBeOff: true), b => b.BodyBytes, (b, v) => b with { BodyBytes = v },
            "The maximum length of a request body; longer: 413.")
        .From("HAProxy, Envoy: bodies stream in constant memory")
        .Key("body_min_rate", Size(1, int.MaxValue, mayBeOff: true), b => b.BodyMinBytesPerSecond,
            (b, v) => b with { BodyMinBytesPerSecond = (int)v },
            "The minimum average rate of a request body in bytes per second; slower: 408. It is checked after the "
                + "first 5 s, and only the time that Penstock waits for the client counts.")
        .From("Kestrel")
        .Key("requests_per_connection", WholeOr("off", int.MaxValue), b => b.RequestsPerConnection,
            (b, v) => b with { RequestsPerConnection = v },
            "The maximum number of requests on one client connection; it closes after the last one.")
        .From("HAProxy")
        .Key("connections", WholeOr("auto", 10_000_000), b => b.Connections, (b, v) => b with { Connections = v },
            "The maximum number of client connections; when it is reached, Penstock pauses accepting. `auto`, and the "
                + "upper bound in any case: half of the descriptors that remain besides [the program's "
                + "own](operating.md#descriptors), because each client connection may need a backend connection.")
        .From("HAProxy")
        .Key("connections_per_address", WholeOr("off", 10_000_000), b => b.ConnectionsPerAddress,
            (b, v) => b with { ConnectionsPerAddress = v },
            "The maximum number of client connections from one address; further ones are reset. IPv6 addresses count "
                + "by `clients.ipv6_prefix`. With the PROXY protocol the client's address counts, not the proxy's.")
        .From("HAProxy")
        .Key("half_close", OneOf(("abort", false), ("allow", true)), b => b.AllowsHalfClose,
            (b, v) => b with { AllowsHalfClose = v },
            "What happens when a client closes its sending side (TCP FIN) after its request. `abort`: Penstock takes "
                + "the connection as closed and ends the request. `allow`: Penstock still answers, for clients that "
                + "close only their sending side (`ncat`, some old libraries); it then notices a closed connection "
                + "only when it sends. Tunnels always pass the FIN on.")
        .From("nginx, HAProxy 3.3");

    /// <summary>The whole file.</summary>
    public static readonly Keys<PenstockConfig> Table = WithFlat(new Keys<PenstockConfig>("", Standard())
        .Key("listen", new ListShape<ListenerConfig>(new Either<ListenerConfig>(Listener, ListenerKeys.Table)
        {
            Usable = static listener => listener.Text.Length > 0,
        })
        {
            Empty = ("'listen' has no address", "write 0.0.0.0:8080, or leave it out"),
            Check = CheckPorts,
        }, config => config.Proxy.Listeners, (config, v) => With(config, config.Proxy with { Listeners = v }),
            "The addresses that clients connect to. A mapping has more keys: [listeners](#listeners).")
        .AlsoCalled("listen: 0.0.0.0:8080", "port", "bind", "listen_port", "listen_address", "address", "addr",
            "server", "frontend", "frontends", "entrypoints", "entry_points", "listeners", "ports", "http"))
        .Key("limits", LimitKeys.Limits, static _ => [], (config, v) => With(config, config.Proxy with
        {
            Limits = v.ToDictionary(static limit => limit.At.Name, static limit => limit.Value),
        }), "[Limits](#limits) by name.", "Proxy.Limits")
        .DefaultText("no limits")
        .AlsoCalled("limits: { default: { capacity: 100, rate: 10/s } }", "rate_limit", "rate_limits",
            "rate_limiting", "ratelimit", "rate_limiter", "limiter", "throttle", "throttling", "limit_req",
            "limit_req_zone", "quota", "quotas", "rate", "token_bucket", "default_limit", "capacity")
        .Then(static (section, config) => section.At.Report.Define("limit", [.. config.Proxy.Limits.Keys]))
        .Key("limit", LimitKeys.Names, config => config.Proxy.EveryLimit,
            (config, v) => With(config, config.Proxy with { EveryLimit = [.. v.Distinct()] }),
            "Limits that apply to every request, in addition to those of its route and its upstream.")
        .DefaultText("none")
        .Custom("upstreams", new NamedShape<UpstreamConfig?>(TopologyReader.Named)
        {
            Schema = LimitKeys.Named(UpstreamKeys.Table, SchemaPart.ListOf(
                UpstreamKeys.Table.Rows.Single(static row => row.Name == "backends").Shape.Item!)),
            Text = "`NAME: { … }` or `NAME: [BACKEND, …]`", Tables = [UpstreamKeys.Table],
        }, TopologyReader.Read, "Named groups of servers: [upstreams](#upstreams). A list is short for a mapping with "
            + "`backends` only.", "Proxy.Upstreams")
        .AlsoCalled("upstreams: { web: { backends: [http://10.0.0.5:8080] } }", "upstream", "services", "clusters",
            "pools", "groups", "target_groups")
        .DefaultText("required, unless `backends` is given")
        .Declared("routes", new ListShape<RouteConfig>(new Mapping<RouteConfig>(RouteKeys.Table))
        {
            Text = "list of mappings",
        },
            "Which upstream gets a request: [routes](#routes).", "Proxy.Routes")
        .DefaultText("all requests go to the only upstream")
        .AlsoCalled("routes: [{ path: /v1/*, upstream: web }]", "routers", "rules", "locations", "location",
            "paths", "virtual_hosts", "hosts", "server_names")
        .Group("clients", new Mapping<ClientsConfig>(ClientKeys.Table), config => config.Proxy.Clients,
            (config, v) => With(config, config.Proxy with { Clients = v }),
            "[Which client a request counts for](#clients).")
        .DefaultText("by address")
        .AlsoCalled("clients: { identify: [header:X-API-Key, address] }", "client", "identify", "client_id",
            "api_key_header", "key_header", "consumers", "trusted_proxies")
        .Key("limit_fields", OneOf(("standard", LimitFields.Standard), ("legacy", LimitFields.Legacy),
            ("both", LimitFields.Both), ("off", LimitFields.Off)), config => config.Proxy.LimitFields,
            (config, v) => With(config, config.Proxy with { LimitFields = v }),
            "Which [header fields](limits.md#what-a-client-sees) tell clients their remaining tokens; `legacy`: "
                + "X-RateLimit-\\*.")
        .Key("errors", AnswerKeys.Answers, static _ => [], (config, v) => With(config, config.Proxy with
        {
            Answers = [.. v.Select(static answer => answer.Value).OfType<AnswerConfig>()],
        }), "[The format of Penstock's own answers](#errors), by status.", "Proxy.Answers")
        .DefaultText("JSON bodies")
        .Group("timeouts", new Mapping<TimeoutsConfig>(Timeouts), config => config.Proxy.Timeouts,
            (config, v) => With(config, config.Proxy with { Timeouts = v }),
            "[How long Penstock waits](#timeouts).")
        .DefaultText("see there")
        .AlsoCalled("timeouts: { connect: 2s, response: 60s }", "timeout", "connect_timeout", "read_timeout",
            "write_timeout", "proxy_read_timeout", "proxy_connect_timeout", "request_timeout", "backend_timeout",
            "idle_timeout", "keepalive_timeout", "shutdown_timeout")
        .Group("bounds", new Mapping<BoundsConfig>(Bounds), config => config.Proxy.Bounds,
            (config, v) => With(config, config.Proxy with { Bounds = v }),
            "[How much a client may send, and how many connections it may have](#bounds).")
        .DefaultText("see there")
        .Key("loops", Loops, config => config.Proxy.Loops,
            (config, v) => With(config, config.Proxy with { Loops = v }),
            "The number of event loops, each with one thread; `auto`: one per processor.")
        .AlsoCalled("loops: 4", "workers", "worker_processes", "threads", "nbthread", "concurrency", "processes")
        .AtStart()
        .Key("access_log", new Either<AccessLogConfig>(AccessLogShort, AccessLogKeys.Table),
            config => config.Proxy.AccessLog, (config, v) => With(config, config.Proxy with { AccessLog = v }),
            "Where Penstock writes one line of JSON per request. A mapping has more keys: [the access "
                + "log](#access-log).")
        .AlsoCalled("access_log: /var/log/penstock/access.log", "logs", "logging", "log_file", "accesslog",
            "access_logs")
        .Group("log", new Mapping<LogConfig>(Log), config => config.Log, (config, v) => config with { Log = v },
            "[The log of events](#log) on stderr.")
        .AlsoCalled("log: { level: info }", "log_level", "loglevel", "verbosity", "error_log")
        .DefaultText("see there")
        .Group("admin", new Mapping<AdminConfig>(AdminKeys.Table, ("off", new() { Listen = null }))
        {
            Expected = "a mapping or 'off'",
            Instead = static text => $"write admin: {{ listen: {(TryListen(text, out _, out _) ? text
                : "127.0.0.1:9800")} }}",
        }, config => config.Admin, (config, v) => config with { Admin = v }, "[The admin API](#admin).",
            AdminKeys.Check)
        .DefaultText("on `127.0.0.1:9800`")
        .Then(CheckAddresses)
        .AlsoCalled("admin: { listen: 127.0.0.1:9800 }", "api", "stats", "dashboard", "management", "admin_port",
            "admin_listen", "control")
        .Key("store", ConfigValue.Store, config => config.Store, (config, v) => config with { Store = v },
            "Where clients, their limits and their buckets are kept: in a file, whose path is relative to the working "
                + "directory; in a database that several nodes can share ([store.md](store.md)); or in memory, where "
                + "they are lost at exit.")
        .AlsoCalled("store: sqlite:penstock.db", "database", "db", "storage", "persistence", "redis", "dsn",
            "sqlite", "postgres", "postgresql", "database_url")
        .AtStart()
        .Group("tls", new Mapping<TlsConfig>(TlsKeys.Table), config => config.Tls,
            (config, v) => config with { Tls = v }, "[Certificates](#tls).", TlsKeys.Check)
        .DefaultText("none")
        .Then(CheckListeners)
        .Key("plans", LimitKeys.Plans, static _ => [],
            (config, v) => config with
            {
                Plans = v.ToDictionary(static plan => plan.At.Name, static plan => plan.Value),
            }, "A capacity and a rate for many clients, by name: [plans](#plans).", "Plans")
        .DefaultText("no plans")
        .Key("watch", Switch, config => config.Watch, (config, v) => config with { Watch = v },
            "Penstock [reloads](resilience.md#reload) when a file of the configuration has changed.")
        .Declared("$schema", Text, "For [editors](#help-in-the-editor); Penstock ignores it.")
        .Finally(static (section, config) =>
        {
            AdminKeys.CheckBackends(section, config);
            CheckLoops(section, config.Proxy);
            if (config.Proxy.Clients.SaveUnregistered && !ClientStores.KeepsBuckets(config.Store))
            {
                section["store"]!.Error("clients.save_unregistered needs a store in a SQLite file",
                    "write store: sqlite:PATH, or leave save_unregistered out");
            }
        })
        .Lacks(TlsKeys.InListener, "ssl", "https", "certificate", "certificates", "cert", "ssl_certificate",
            "cert_file")
        .Lacks("write tls: { acme: { names: [example.com] } }", "acme", "letsencrypt")
        .Lacks("remove it: GET /metrics of the admin API always answers", "metrics", "prometheus", "statsd")
        .Lacks("Penstock does not do this: let the backends do it", "cache", "caching", "gzip", "compression",
            "compress", "cors", "auth", "basic_auth", "jwt")
        .WithSchema(Forms());

    /// <summary>The configuration of a file; null only if a reported error left nothing to read.</summary>
    public static PenstockConfig? Read(ConfigNode root, Report report) => ConfigField.Root(root, report).Section(
        static file => Table.Read(file, Table.Default), expected: "keys such as 'listen' and 'backends'",
        hint: "write backends: [127.0.0.1:9001]");

    private static PenstockConfig Standard() => new()
    {
        Proxy = new()
        {
            Listeners = [new(new IPEndPoint(IPAddress.Any, 8080), "0.0.0.0:8080")],
            Upstreams = [],
            Routes = [],
        },
    };

    private static PenstockConfig With(PenstockConfig config, ProxyConfig proxy) => config with { Proxy = proxy };

    /// <summary>Adds the keys of the only upstream, which <see cref="TopologyReader"/> reads.</summary>
    private static Keys<PenstockConfig> WithFlat(Keys<PenstockConfig> keys)
    {
        foreach (Key row in UpstreamKeys.Flat.Rows)
        {
            keys.Of(row, "Short form of the same key of an [upstream](#upstreams).",
                row.Required ? "" : row.DefaultText is null ? null : "see there");
        }
        return keys;
    }

    /// <summary>The schema of the two forms of a file: one upstream at the top, or <c>upstreams</c>.</summary>
    private static string Forms()
    {
        string flat = string.Join(", ", UpstreamKeys.Flat.Rows.Select(static row => Require(row.Name)));
        return $$"""
            { "patternProperties": { "^[xX]-": {
                "description": "Penstock ignores it; a place for anchors that are merged elsewhere." } },
              "anyOf": [
                { "required": ["backends"], "not": { "anyOf": [{{Require("upstreams")}}, {{Require("routes")}}] } },
                { "required": ["upstreams"], "not": { "anyOf": [{{flat}}] } }] }
            """;

        static string Require(string key) => $$"""{ "required": ["{{key}}"] }""";
    }

    /// <param name="all">The listeners; null: one with a fault.</param>
    private static void CheckPorts(IReadOnlyList<(ConfigField At, ListenerConfig? Value)> all)
    {
        // Several listeners may use port 0, which means any free port.
        Repeated.Report("listener", all.Where(static l => l.Value?.Address is not IPEndPoint { Port: 0 }),
            static l => l.Address.ToString()!);
        foreach ((ConfigField at, ListenerConfig? secure) in all)
        {
            if (secure?.Tls?.RedirectFrom is > 0 and int from && !all.Any(other =>
                other.Value is null || (other.Value is { Tls: null, Address: IPEndPoint plain } && plain.Port == from)))
            {
                at.Below("tls", "redirect_from").Error($"redirect_from: no listener without TLS has port {from}",
                    $"add one to 'listen', such as 0.0.0.0:{from}");
            }
        }
    }

    private static void CheckListeners(Section file, PenstockConfig config)
    {
        IReadOnlyList<ListenerConfig> listeners = config.Proxy.Listeners;
        ClientsConfig clients = config.Proxy.Clients;
        if (config.Tls.Acme is null && listeners.Any(static l => l.Tls is { Certificates.Count: 0 }))
        {
            file["listen"]!.Error("tls: a listener has no certificate", "write tls: { certificates: [{ cert: "
                + "example.crt, key: example.key }] }, or tls: { acme: { names: [example.com] } } at the top");
        }
        if (config.Tls.Acme is not null && listeners.All(static l => l.Tls is null))
        {
            file["tls"]!.Warning("no listener has TLS, so nobody gets the certificates", "write listen: [0.0.0.0:80, "
                + "{ address: 0.0.0.0:443, tls: { redirect_from: 80 } }]");
        }
        if (clients.TrustedProxies.Count == 0
            && listeners.Any(static l => l is { ProxyProtocol: true, Address: not UnixDomainSocketEndPoint }))
        {
            file["listen"]!.Error(
                "proxy_protocol needs clients.trusted_proxies: otherwise everybody could claim any client address",
                "list the addresses of the proxies in front in clients.trusted_proxies");
        }
        if (config.Proxy.Limits.Count > 0 && !clients.TrustUnixSockets
            && listeners.Any(static l => l is { ProxyProtocol: false, Address: UnixDomainSocketEndPoint }))
        {
            file["listen"]!.Warning("all clients of a Unix socket have the same address, 'unix', and share one bucket",
                "if a proxy is in front, write clients.trusted_proxies: [unix], so that its X-Forwarded-For counts");
        }
    }

    /// <summary>Warns of a backend that is a listener of this Penstock.</summary>
    private static void CheckLoops(Section file, ProxyConfig proxy)
    {
        foreach (BackendConfig backend in proxy.Upstreams.SelectMany(static upstream => upstream.Backends)
            .Where(backend => proxy.Listeners.Any(listener => OwnAddress.Is(backend, listener.Address))))
        {
            (file["upstreams"] ?? file["backends"])!.Warning($"backend {backend.Address} is Penstock's own listener: "
                + "it gets its own requests again and again", "write the address of the service");
        }
    }

    /// <summary>Also if the file does not say where the admin API listens.</summary>
    private static void CheckAddresses(Section file, PenstockConfig config)
    {
        if (config.Admin.Listen is { } admin
            && config.Proxy.Listeners.Any(listener => OwnAddress.Overlap(listener.Address, admin)))
        {
            (file["admin"] ?? file["listen"])!.Error(
                $"admin and a listener cannot share {config.Admin.Listen}", "give one of them another port");
        }
    }
}
