using System.Net;
using System.Net.Sockets;
using Penstock.Control.Store;
using Penstock.Proxy.Configuration;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <summary>Keys at the top of the file, and of the sections that are short.</summary>
internal static class FileKeys
{
    private static readonly Keys<ListenerConfig> Listener =
        new Keys<ListenerConfig>("listener", new(new IPEndPoint(IPAddress.Any, 0), ""))
            .Key("address", ConfigValue.Listener, listener => listener,
                (listener, v) => listener with { Address = v.Address, Text = v.Text }, "Where clients connect.",
                "Address Text")
            .Required()
            .Key("proxy_protocol", Switch, listener => listener.ProxyProtocol,
                (listener, v) => listener with { ProxyProtocol = v },
                "Every connection starts with a PROXY protocol header, version 1 or 2, that says who the client is. "
                    + "Only peers in `clients.trusted_proxies` may connect, or over a Unix socket whoever its mode "
                    + "lets; others are reset, and a connection without the header is closed.")
            .Key("mode", new Optional<UnixFileMode>(SocketMode), listener => listener.Mode,
                (listener, v) => listener with { Mode = v },
                "Of the file of a Unix socket: `0660` lets its owner and its group connect.")
            .DefaultText("as the umask says")
            .Then(static (section, listener) =>
            {
                if (listener.Text.Length > 0 && listener.Address is not UnixDomainSocketEndPoint)
                {
                    section["mode"]?.Error("'mode' is for Unix sockets: this address has no file", "remove it");
                }
            });

    private static readonly Keys<AdminConfig> Admin = new Keys<AdminConfig>("admin", new())
        .Key("listen", Address, admin => admin.Listen, (admin, v) => admin with { Listen = v },
            "An address of its own, not that of a listener.")
        .Key("token", Token, admin => admin.Token, (admin, v) => admin with { Token = v },
            "What callers send as `Authorization: Bearer TOKEN`. Required unless `listen` is a loopback address or a "
                + "Unix socket; empty: nobody is asked for one.")
        .Secret();

    private static readonly Keys<TimeoutsConfig> Timeouts = new Keys<TimeoutsConfig>("timeouts", new())
        .Key("connect", Duration, t => t.Connect, (t, v) => t with { Connect = v }, "For a connection to a backend.")
        .Key("head", Duration, t => t.Head, (t, v) => t with { Head = v },
            "For a whole request head, from its first byte.")
        .Key("response", Duration, t => t.Response, (t, v) => t with { Response = v },
            "Between two bytes of progress while a request or response is under way.")
        .Key("idle", Duration, t => t.Idle, (t, v) => t with { Idle = v },
            "For the next request on a client's connection kept open.")
        .Key("backend_idle", DurationOrOff, t => t.BackendIdle, (t, v) => t with { BackendIdle = v },
            "How long a connection to a backend is kept for its next request; `off`: it serves one only. Below what "
                + "common servers wait (Node.js, Apache and uvicorn 5 s), so that Penstock closes first: a POST on a "
                + "connection that its backend is just closing could not be repeated. An upstream may have [its "
                + "own](#upstreams).")
        .Key("tunnel", Duration, t => t.Tunnel, (t, v) => t with { Tunnel = v },
            "For the next byte, either way, after an upgrade such as WebSocket.")
        .Key("tokens", DurationOrOff, t => t.Tokens, (t, v) => t with { Tokens = v },
            "With several nodes on one PostgreSQL: for tokens of a registered client that are not at this node and may "
                + "be in the shared bucket ([how](store.md#a-request-that-waits)); `off`: such a request is rejected "
                + "at once.")
        .Key("drain_delay", Delay, t => t.DrainDelay, (t, v) => t with { DrainDelay = v },
            "At a graceful stop, from when `/readyz` answers 503 until listeners close: as long as whoever sends "
                + "traffic here takes to notice; `off` or `0s`: at once. Meanwhile everything goes on as ever.")
        .Key("shutdown", Duration, t => t.Shutdown, (t, v) => t with { Shutdown = v },
            "For requests in flight at a graceful stop, from when listeners close.");

    private static readonly Keys<BoundsConfig> Bounds = new Keys<BoundsConfig>("bounds", new())
        .Key("request_line", Size(64, 64 * 1024), b => b.RequestLineBytes,
            (b, v) => b with { RequestLineBytes = (int)v }, "Bytes of a request line; more is a 414.")
        .From("nginx, Kestrel")
        .Key("head", Size(256, 64 * 1024), b => b.HeadBytes, (b, v) => b with { HeadBytes = (int)v },
            "Bytes of a whole head; more is a 431, or a 502 for a response.")
        .From("Kestrel")
        .Key("head_fields", Whole(1, 1000), b => b.HeadFields, (b, v) => b with { HeadFields = v },
            "Fields of a head; more is a 431, or a 502 for a response.")
        .From("Envoy, Kestrel")
        .Key("body", Size(1, long.MaxValue / 2, mayBeOff: true), b => b.BodyBytes, (b, v) => b with { BodyBytes = v },
            "Bytes of a request body; more is a 413.")
        .From("HAProxy, Envoy: bodies stream in constant memory")
        .Key("body_min_rate", Size(1, int.MaxValue, mayBeOff: true), b => b.BodyMinBytesPerSecond,
            (b, v) => b with { BodyMinBytesPerSecond = (int)v },
            "Bytes per second that a request body must bring on average, counted while Penstock waits for it, after 5 "
                + "s; slower is a 408.")
        .From("Kestrel")
        .Key("requests_per_connection", WholeOr("off", int.MaxValue), b => b.RequestsPerConnection,
            (b, v) => b with { RequestsPerConnection = v },
            "Requests on one client connection; it closes after the last.")
        .From("HAProxy")
        .Key("connections", WholeOr("auto", 10_000_000), b => b.Connections, (b, v) => b with { Connections = v },
            "Client connections at once; beyond that accepting pauses. `auto`, and the most in any case: half of what "
                + "the limit of descriptors leaves beside [the program's own](operating.md#descriptors), because each "
                + "may need a connection to a backend.")
        .From("HAProxy")
        .Key("connections_per_address", WholeOr("off", 10_000_000), b => b.ConnectionsPerAddress,
            (b, v) => b with { ConnectionsPerAddress = v },
            "Client connections of one address at once; further ones are reset. IPv6 counts by `clients.ipv6_prefix`; "
                + "behind the PROXY protocol the address counts that it tells, not the proxy's.")
        .From("HAProxy")
        .Key("half_close", OneOf(("abort", false), ("allow", true)), b => b.AllowsHalfClose,
            (b, v) => b with { AllowsHalfClose = v },
            "A client that ends its stream (TCP's FIN) once its request is sent: `abort` takes it for one that has "
                + "closed the connection, and ends the request wherever it is; `allow` answers it all the same, for "
                + "clients that end only their side (`ncat`, some old libraries), and notices a client that is gone "
                + "only when it is sent something. Tunnels pass either end on, whatever this says.")
        .From("nginx, HAProxy 3.3");

    /// <summary>The whole file.</summary>
    public static readonly Keys<PenstockConfig> Table = WithFlat(new Keys<PenstockConfig>("", Standard())
        .Key("listen", new ListShape<ListenerConfig>(new Either<ListenerConfig>(ConfigValue.Listener, Listener)
        {
            Usable = static listener => listener.Text.Length > 0,
        })
        {
            Empty = ("'listen' has no address", "write 0.0.0.0:8080, or leave it out"),
            // Any number of listeners may ask for a free port.
            Check = static all => Repeated.Report("listener",
                all.Where(static l => l.Value?.Address is not IPEndPoint { Port: 0 }),
                static l => l.Address.ToString()!),
        }, config => config.Proxy.Listeners, (config, v) => With(config, config.Proxy with { Listeners = v }),
            "Where clients connect. A mapping says more: [listeners](#listeners)."))
        .Key("limits", LimitKeys.Limits, static _ => [], (config, v) => With(config, config.Proxy with
        {
            Limits = v.ToDictionary(static limit => limit.At.Name, static limit => limit.Value),
        }), "[Limits](#limits) by name.", "Proxy.Limits")
        .DefaultText("no limits")
        .Then(static (section, config) => section.At.Report.Define("limit", [.. config.Proxy.Limits.Keys]))
        .Key("limit", LimitKeys.Names, config => config.Proxy.EveryLimit,
            (config, v) => With(config, config.Proxy with { EveryLimit = [.. v.Distinct()] }),
            "Limits that every request is under, besides those of its route and its upstream.")
        .DefaultText("none")
        .Custom("upstreams", new NamedShape<UpstreamConfig?>(TopologyReader.Named)
        {
            Schema = LimitKeys.Named(UpstreamKeys.Table), Text = "`NAME: { … }`", Tables = [UpstreamKeys.Table],
        }, TopologyReader.Read, "Named groups of servers: [upstreams](#upstreams).", "Proxy.Upstreams")
        .DefaultText("required, unless `backends` is there")
        .Declared("routes", new ListShape<RouteConfig>(new Mapping<RouteConfig>(RouteKeys.Table))
        {
            Text = "list of mappings",
        },
            "Which requests go where: [routes](#routes).", "Proxy.Routes")
        .DefaultText("everything goes to the only upstream")
        .Group("clients", new Mapping<ClientsConfig>(ClientKeys.Table), config => config.Proxy.Clients,
            (config, v) => With(config, config.Proxy with { Clients = v }),
            "[Who a request is counted for](#clients).")
        .DefaultText("by address")
        .Then(CheckListeners)
        .Key("limit_fields", OneOf(("standard", LimitFields.Standard), ("legacy", LimitFields.Legacy),
            ("both", LimitFields.Both), ("off", LimitFields.Off)), config => config.Proxy.LimitFields,
            (config, v) => With(config, config.Proxy with { LimitFields = v }),
            "Which [fields](limits.md#what-a-client-sees) tell clients how they stand; `legacy` is X-RateLimit-\\*.")
        .Key("errors", AnswerKeys.Answers, static _ => [], (config, v) => With(config, config.Proxy with
        {
            Answers = [.. v.Select(static answer => answer.Value).OfType<AnswerConfig>()],
        }), "[What Penstock's own answers look like](#errors), by status.", "Proxy.Answers")
        .DefaultText("JSON bodies")
        .Group("timeouts", new Mapping<TimeoutsConfig>(Timeouts), config => config.Proxy.Timeouts,
            (config, v) => With(config, config.Proxy with { Timeouts = v }),
            "[How long to wait for what](#timeouts).")
        .DefaultText("see there")
        .Group("bounds", new Mapping<BoundsConfig>(Bounds), config => config.Proxy.Bounds,
            (config, v) => With(config, config.Proxy with { Bounds = v }),
            "[How much a client may send or hold](#bounds).")
        .DefaultText("see there")
        .Key("loops", Loops, config => config.Proxy.Loops,
            (config, v) => With(config, config.Proxy with { Loops = v }),
            "Event loops, each one thread; `auto` is one for each processor.")
        .AtStart()
        .Key("access_log", AccessLog, config => config.Proxy.AccessLog,
            (config, v) => With(config, config.Proxy with { AccessLog = v }), "One JSON object a line goes there.")
        .AtStart()
        .Group("admin", new Mapping<AdminConfig>(Admin, ("off", new() { Listen = null }))
        {
            Expected = "a mapping or 'off'",
        }, config => config.Admin, (config, v) => config with { Admin = v }, "[The admin API](#admin).", CheckAdmin)
        .DefaultText("on `127.0.0.1:9800`")
        .AtStart()
        .Key("store", ConfigValue.Store, config => config.Store, (config, v) => config with { Store = v },
            "Where clients, their limits and their buckets are kept: in a file, relative to the working directory; in "
                + "a database that many nodes may share ([store.md](store.md)); or in memory, which forgets them at "
                + "exit.")
        .AtStart()
        .Key("plans", LimitKeys.Plans, static _ => [],
            (config, v) => config with
            {
                Plans = v.ToDictionary(static plan => plan.At.Name, static plan => plan.Value),
            }, "Capacity and rate that many clients have: [plans](#plans).", "Plans")
        .DefaultText("no plans")
        .Declared("$schema", Text, "For [editors](#help-in-the-editor); not read.")
        .Finally(static (section, config) =>
        {
            if (config.Proxy.Clients.SaveUnregistered && !ClientStores.KeepsBuckets(config.Store))
            {
                section["store"]!.Error("clients.save_unregistered needs a file of this node's own",
                    "write store: sqlite:PATH, or leave save_unregistered out");
            }
        })
        .WithSchema(Forms());

    /// <summary>The configuration of a file; null only when something was reported that left nothing to read.</summary>
    public static PenstockConfig? Read(ConfigNode root, Report report) => ConfigField.Root(root, report).Section(
        static file => Table.Read(file, Table.Default), expected: "keys such as 'listen' and 'backends'");

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

    /// <summary>The keys of the only upstream, which the reader of the topology reads.</summary>
    private static Keys<PenstockConfig> WithFlat(Keys<PenstockConfig> keys)
    {
        foreach (Key row in UpstreamKeys.Flat.Rows)
        {
            keys.Declared(row.Name, row.Shape, "Short form: as in an [upstream](#upstreams).")
                .DefaultText(row.Required ? "" : row.DefaultText is null ? null : "as there", row.Default);
        }
        return keys;
    }

    /// <summary>The short form or the full one.</summary>
    private static string Forms()
    {
        string flat = string.Join(", ", UpstreamKeys.Flat.Rows.Select(static row => Require(row.Name)));
        return $$"""
            { "patternProperties": { "^[xX]-": {
                "description": "Not read: a place for anchors that are merged elsewhere." } },
              "anyOf": [
                { "required": ["backends"], "not": { "anyOf": [{{Require("upstreams")}}, {{Require("routes")}}] } },
                { "required": ["upstreams"], "not": { "anyOf": [{{flat}}] } }] }
            """;

        static string Require(string key) => $$"""{ "required": ["{{key}}"] }""";
    }

    private static void CheckListeners(Section file, PenstockConfig config)
    {
        IReadOnlyList<ListenerConfig> listeners = config.Proxy.Listeners;
        ClientsConfig clients = config.Proxy.Clients;
        if (clients.TrustedProxies.Count == 0
            && listeners.Any(static l => l is { ProxyProtocol: true, Address: not UnixDomainSocketEndPoint }))
        {
            file["listen"]!.Error(
                "proxy_protocol without clients.trusted_proxies: whoever connects could say it is anybody",
                "list the addresses of the proxies in front in clients.trusted_proxies");
        }
        if (config.Proxy.Limits.Count > 0 && !clients.TrustUnixSockets
            && listeners.Any(static l => l is { ProxyProtocol: false, Address: UnixDomainSocketEndPoint }))
        {
            file["listen"]!.Warning("whoever comes over a Unix socket has the same address, 'unix', and one bucket",
                "if a proxy is in front, write clients.trusted_proxies: [unix], so that its X-Forwarded-For counts");
        }
    }

    private static void CheckAdmin(Section section, AdminConfig admin, PenstockConfig config)
    {
        ConfigField at = section["listen"] ?? section.At;
        if (admin.Listen is IPEndPoint ip && !IPAddress.IsLoopback(ip.Address)
            && section["token"]?.Node is not FaultyNode && admin.Token.Length == 0)
        {
            at.Error($"admin on {admin.Listen} needs a token: whoever reaches it can change every limit",
                "set admin.token, or listen on 127.0.0.1");
        }
        if (config.Proxy.Listeners.Any(l => l.Address.Equals(admin.Listen)
            && admin.Listen is not IPEndPoint { Port: 0 }))
        {
            at.Error($"admin and a listener cannot share {admin.Listen}", "give one of them another port");
        }
    }
}
