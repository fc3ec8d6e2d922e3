using Penstock.Proxy.Configuration;
using Penstock.Proxy.Tls;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <summary>The keys of upstreams and their backends.</summary>
internal static class UpstreamKeys
{
    /// <summary>The keys of a backend.</summary>
    public static readonly Keys<BackendConfig> Backend =
        new Keys<BackendConfig>("backend", new() { Host = "", Port = 0 })
            .Key("url", ConfigValue.Backend, backend => backend,
                (backend, v) => backend with { Host = v.Host, Port = v.Port, IsTls = v.IsTls },
                "The server's address, without a path: requests keep theirs.", "Host Port IsTls")
            .Required()
            .AlsoCalled("url: http://10.0.0.5:8080", "address", "addr", "host", "server", "uri", "target",
                "endpoint", "ip", "name", "port", "upstream")
            .Key("weight", Whole(1, 256), backend => backend.Weight, (backend, v) => backend with { Weight = v },
                "The backend's share of the traffic, relative to the other backends.")
            .AlsoCalled("weight: 2", "ratio", "priority", "share")
            .Key("max_connections", Whole(0, 1_000_000), backend => backend.MaxConnections,
                (backend, v) => backend with { MaxConnections = v },
                "The maximum number of requests in flight at this backend; 0: no maximum.")
            .AlsoCalled("max_connections: 100", "max_conns", "maxconn", "max_requests", "connections", "limit")
            .Key("backup", Switch, backend => backend.Backup, (backend, v) => backend with { Backup = v },
                "The backend gets requests only if no other backend of the upstream can take them.")
            .AlsoCalled("backup: true", "standby", "fallback", "secondary")
            .Lacks(
                "remove the backend, or take it out with PATCH /upstreams/NAME/backends/ADDRESS of the admin API",
                "down", "disabled", "enabled", "drain", "state", "status")
            .Lacks("write passive_health: { … } in the upstream", "max_fails", "fail_timeout", "observe",
                "on_error")
            .Lacks("write health_check: { path: /health } in the upstream", "check", "health_check", "health");

    /// <summary>The keys of a backend that the admin API adds.</summary>
    public static readonly Keys<BackendConfig> AddedBackend = Backend.Without("added backend")
        .Key("stored", Switch, backend => backend.Stored, (backend, v) => backend with { Stored = v },
            "The store keeps the backend.");

    private static readonly Keys<HashConfig> Hash = new Keys<HashConfig>("hash", new())
        .Key("key", HashKey, hash => hash, (hash, v) => v with { Bound = hash.Bound },
            "The part of the request that is hashed. A request without it is hashed by the client's address.",
            "Source Name")
        .Key("bound", Share(1.05, 100), hash => hash.Bound, (hash, v) => hash with { Bound = v },
            "The maximum number of requests in flight at a backend, as a share of its fair part; further requests go "
                + "to another backend. `125%` is usual.")
        .DefaultText("no maximum");

    private static readonly Keys<StickyConfig> Sticky = new Keys<StickyConfig>("sticky", new() { Secret = "" })
        .Key("secret", Text, sticky => sticky.Secret, (sticky, v) => sticky with { Secret = v },
            "Signs the cookie; at least 16 characters. It must be the same on every node and after a restart, because "
                + "otherwise sessions move to other backends.")
        .Required().Secret().AlsoCalled("secret: \"${SECRET}\"", "key", "salt", "password")
        .Then(static (section, sticky) =>
        {
            if (section["secret"] is { } field && section.Sound && sticky.Secret.Length < 16)
            {
                field.Error("the secret is too short: a client that guesses it can choose its backend", "write at "
                    + "least 16 characters, the same on every node, for example from the environment: \"${SECRET}\"");
            }
        })
        .Key("cookie", CookieName, sticky => sticky.Cookie!, (sticky, v) => sticky with { Cookie = v },
            "The name of the cookie. Two upstreams of one host need different names.")
        .DefaultText("`penstock-NAME`, with the upstream's name")
        .Key("max_age", DurationOrOff, sticky => sticky.MaxAge, (sticky, v) => sticky with { MaxAge = v },
            "How long a browser keeps the cookie; `off`: until the browser is closed.")
        .Key("secure", Switch, sticky => sticky.Secure, (sticky, v) => sticky with { Secure = v },
            "The browser sends the cookie over TLS only.")
        .Key("idle", Duration, sticky => sticky.Idle, (sticky, v) => sticky with { Idle = v },
            "A draining backend is drained when no request of a session has arrived for this time.");

    private static readonly Keys<RetryConfig> Retries = new Keys<RetryConfig>("retries", new())
        .Key("attempts", Whole(0, 10), retries => retries.Attempts, (retries, v) => retries with { Attempts = v },
            "How often one request may be retried.")
        .Key("budget", Share(0, 10), retries => retries.BudgetRatio, (retries, v) => retries with { BudgetRatio = v },
            "The maximum number of retries, as a share of all requests of the upstream: with `20%` an outage costs the "
                + "backends at most a fifth more requests, for any `attempts`.")
        .Key("min_per_second", Whole(0, 1000), retries => retries.MinPerSecond,
            (retries, v) => retries with { MinPerSecond = v },
            "Retries per second that are allowed even if the budget is used up. Retries that were not used in the last "
                + "ten seconds may be used now.")
        .Key("per_try_timeout", DurationOrOff, retries => retries.PerTryTimeout,
            (retries, v) => retries with { PerTryTimeout = v },
            "How long each attempt may take until the head of the response has arrived; `off`: `timeouts.response` "
                + "applies, and a request that timed out is not retried.")
        .Key("statuses", new ListShape<int>(Whole(400, 599)), retries => retries.Statuses,
            (retries, v) => retries with { Statuses = v },
            "A response with one of these statuses is not passed on; the request is retried at another backend.")
        .DefaultText("none");

    private static readonly Keys<QueueConfig> Queue = new Keys<QueueConfig>("queue", new())
        .Key("length", Whole(0, 1_000_000), queue => queue.Length, (queue, v) => queue with { Length = v },
            "How many requests may wait. 0: no request waits; it is answered 503 at once.")
        .From("Envoy's `max_pending_requests`")
        .Key("timeout", Duration, queue => queue.Timeout, (queue, v) => queue with { Timeout = v },
            "How long a request waits before it is answered 503.")
        .From("HAProxy's usual `timeout queue`");

    private static readonly Keys<HedgeConfig> Hedge =
        new Keys<HedgeConfig>("hedge", new HedgeConfig(TimeSpan.FromSeconds(1)))
            .Key("after", Duration, hedge => hedge.After, (_, v) => new(v),
                "How long to wait for the head of the response before the second attempt; set it a little above the "
                    + "usual 95th percentile.")
            .Required();

    private static readonly Keys<UpstreamTlsConfig> Tls = new Keys<UpstreamTlsConfig>("upstream_tls", new())
        .Custom("ca", Text, static (section, tls) =>
            tls with { Authorities = ListenerKeys.Pem(section["ca"]) ?? tls.Authorities },
            "A PEM file with the certificates of the authorities that issue the backends' certificates; its path is "
                + "relative to the folder of the configuration.", "Authorities")
        .DefaultText("those that the system trusts")
        .AlsoCalled("ca: internal-ca.pem", "ca_file", "ca-file", "proxy_ssl_trusted_certificate", "rootCAs", "cafile")
        .Key("server_name", Text, tls => tls.ServerName, (tls, v) => tls with { ServerName = v },
            "The name that every backend must prove by its certificate, and for which it is asked (SNI).")
        .DefaultText("the host of the backend's `url`")
        .AlsoCalled("server_name: api.internal", "sni", "proxy_ssl_name", "serverName", "host", "hostname")
        .Key("verify", Switch, tls => tls.Verify, (tls, v) => tls with { Verify = v },
            "Whether certificates are checked. `false` is for tests: whoever can answer for a backend's address can "
                + "then read and change everything.")
        .AlsoCalled("verify: true", "proxy_ssl_verify", "insecureSkipVerify", "insecure", "verify_peer")
        .Custom("cert", Text, static (section, tls) => ListenerKeys.Pem(section["cert"]) is not { } chain ? tls
            : tls with { Certificate = new(chain, tls.Certificate?.Key ?? PemText.Empty) },
            "A PEM file with the certificate, and its chain, that Penstock shows to backends that ask for one.",
            "Certificate")
        .DefaultText("none")
        .AlsoCalled("cert: me.crt", "crt", "proxy_ssl_certificate", "client_cert", "certificate")
        .Custom("key", Text, static (section, tls) => ListenerKeys.Pem(section["key"]) is not { } key ? tls
            : tls with { Certificate = new(tls.Certificate?.Chain ?? PemText.Empty, key) },
            "A PEM file with its private key.", "Certificate")
        .DefaultText("none")
        .AlsoCalled("key: me.key", "proxy_ssl_certificate_key", "client_key", "private_key")
        .Finally(static (section, tls) =>
        {
            if (section.Has("cert") != section.Has("key"))
            {
                section.At.Error("'cert' and 'key' belong together", "write both, or none");
            }
            else if (section.Sound && TlsCheck.Fault(tls) is { } fault)
            {
                section.At.Error(fault);
            }
            if (!tls.Verify)
            {
                section["verify"]!.Warning("certificates of backends are not checked", "write ca: FILE with the "
                    + "authority that issued them");
            }
        });

    /// <summary>All keys of an entry of <c>upstreams</c>.</summary>
    public static readonly Keys<UpstreamConfig> Table =
        new Keys<UpstreamConfig>("upstream", new() { Name = "", Backends = [] })
            .Key("backends", new ListShape<BackendConfig>(
                    new Either<BackendConfig>(ConfigValue.Backend, Backend)
                    {
                        Name = "backend", Expected = "an address or a mapping", Usable = static b => b.Host.Length > 0,
                    })
                {
                    Empty = ("'backends' is empty: no server can get the requests",
                        "write backends: [127.0.0.1:9001]"),
                    Check = static all => Repeated.Report("backend", all, static backend => backend.Address),
                },
                upstream => upstream.Backends, (upstream, v) => upstream with { Backends = v },
                "The servers.")
            .AlsoCalled("backends: [http://10.0.0.5:8080]", "servers", "server", "targets", "endpoints", "nodes",
                "hosts", "backend", "members", "destinations", "instances", "origins", "urls", "addresses",
                "proxy_pass")
            .Required(static section => section.At.Path.Length > 0) // the top of the file may have 'upstreams' instead
            .Key("balance", Balance, upstream => upstream.Balance, (upstream, v) => upstream with { Balance = v },
                "How a backend is picked: `round_robin` (by weight, evenly interleaved), `least_connections` (fewest "
                    + "requests in flight for its weight), `random` (by weight), `power_of_two` (the less busy of two "
                    + "random backends), `least_time` (smallest product of recent latency and requests in flight), "
                    + "`hash` (equal keys go to the same backend). See [balancing.md](balancing.md).")
            .AlsoCalled("balance: least_connections", "algorithm", "strategy", "method", "policy", "lb_policy",
                "lb_method", "lb_algorithm", "load_balancing", "balancing", "balancer", "load_balancer", "mode",
                "least_conn", "ip_hash")
            .Key("hash", new Either<HashConfig>(HashKey, Hash), upstream => upstream.Hash,
                (upstream, v) => upstream with { Hash = v }, "The part of the request that `balance: hash` uses.")
            .OnlyWith("balance", "hash")
            .Then(static (section, upstream) =>
            {
                if (upstream.Balance != BalanceAlgorithm.Hash)
                {
                    section["hash"]?.Warning("'hash' has no effect, because 'balance' is not hash",
                        "write balance: hash, or remove it");
                }
            })
            .Group("sticky", new Mapping<StickyConfig?>(Sticky!, ("off", null))
            {
                Expected = "a mapping or 'off'",
                Instead = static _ => "write sticky: { secret: \"${SECRET}\" }, with at least 16 characters",
            },
                upstream => upstream.Sticky, (upstream, v) => upstream with { Sticky = v },
                "[Sticky sessions](balancing.md#sticky-sessions) by a signed cookie, on top of any algorithm.")
            .AlsoCalled("sticky: { secret: \"${SECRET}\" }", "session_affinity", "affinity", "session", "sessions",
                "stickiness", "sticky_session", "sticky_sessions", "cookie", "stick_table")
            .Key("slow_start", DurationOrOff, upstream => upstream.SlowStart,
                (upstream, v) => upstream with { SlowStart = v },
                "How long the weight of a backend that recovers, or is added to working ones, grows from a tenth to "
                    + "its full value.")
            .Group("retries", new Mapping<RetryConfig>(Retries, ("off", new() { Attempts = 0 })),
                upstream => upstream.Retries, (upstream, v) => upstream with { Retries = v },
                "When a request is retried at another backend. See [resilience.md](resilience.md).")
            .DefaultText("see below")
            .AlsoCalled("retries: { attempts: 2 }", "retry", "max_retries", "proxy_next_upstream", "retry_policy")
            .Group("queue", new Mapping<QueueConfig>(Queue, ("off", new() { Length = 0 })),
                upstream => upstream.Queue, (upstream, v) => upstream with { Queue = v },
                "Requests that wait for a slot while every backend is at its `max_connections`.")
            .DefaultText("see below")
            .Group("hedge", new Mapping<HedgeConfig?>(Hedge!, ("off", null)) { Expected = "{ after: 100ms }" },
                upstream => upstream.Hedge, (upstream, v) => upstream with { Hedge = v },
                "A slow GET, HEAD or OPTIONS is also sent to a second backend, and the first response is used.")
            .Key("limit", LimitKeys.Names, upstream => upstream.Limits,
                (upstream, v) => upstream with { Limits = [.. v.Distinct()] },
                "[Limits](#limits) that apply to its requests, in addition to those of their route.")
            .DefaultText("none")
            .Group("health_check",
                new Mapping<HealthCheckConfig?>(HealthKeys.Check!, ("off", null), ("tcp", HealthKeys.Check.Default))
                {
                    Expected = "a mapping, 'tcp' or 'off'",
                    Instead = static text => $"write {{ path: {(text.StartsWith('/') ? text : "/health")} }}",
                },
                upstream => upstream.HealthCheck, (upstream, v) => upstream with { HealthCheck = v },
                "[Active checks](health.md#active-checks) of every backend; `tcp` only connects.")
            .AlsoCalled("health_check: { path: /health }", "health", "health_checks", "check", "checks",
                "option_httpchk", "httpchk", "active_health", "active_health_check", "probe", "liveness",
                "health_path", "health_uri", "health_check_path", "health_check_interval")
            .Group("passive_health",
                new Mapping<PassiveHealthConfig?>(HealthKeys.Passive!, ("off", null))
                {
                    Expected = "a mapping or 'off'",
                },
                upstream => upstream.PassiveHealth, (upstream, v) => upstream with { PassiveHealth = v },
                "[Ejection](health.md#ejection-by-live-traffic) of backends whose responses to live traffic are worse "
                    + "than those of the others.",
                static (section, passive, upstream) => HealthKeys.CheckPassive(section, passive!, upstream.Backends))
            .DefaultText("on, see below")
            .AlsoCalled("passive_health: { consecutive_errors: 5 }", "outlier_detection", "circuit_breaker",
                "circuit_breakers", "passive_health_check", "max_fails", "fail_timeout")
            .Key("backend_idle", new Optional<TimeSpan>(DurationOrOff), upstream => upstream.BackendIdle,
                (upstream, v) => upstream with { BackendIdle = v },
                "How long an idle connection to its backends stays open for the next request; `off`: it serves one "
                    + "request only. Set it a second below the idle timeout of the backends.")
            .DefaultText("`timeouts.backend_idle`")
            .Key("send_proxy", OneOf(("off", 0), ("v1", 1), ("v2", 2)), upstream => upstream.SendProxyVersion,
                (upstream, v) => upstream with { SendProxyVersion = v },
                "Sends the client's address to backends in a PROXY protocol header of this version. Such a connection "
                    + "serves one request only, because the header applies to the whole connection. With TLS it comes "
                    + "before the handshake.")
            .Group("tls", new Mapping<UpstreamTlsConfig>(Tls), upstream => upstream.Tls,
                (upstream, v) => upstream with { Tls = v },
                "[TLS towards backends](tls.md#towards-backends) with an `https://` URL: "
                    + "[its keys](#tls-of-an-upstream).")
            .AlsoCalled("tls: { ca: internal-ca.pem }", "ssl", "proxy_ssl", "transport", "serversTransport", "ca",
                "verify");

    /// <summary>The keys of an upstream that may be at the top of a file with one upstream.</summary>
    public static readonly Keys<UpstreamConfig> Flat = Table.Without("", "limit", "backend_idle", "tls");

    /// <summary>The retries of a route, which has no budget: all routes share the upstream's.</summary>
    public static readonly Mapping<RetryConfig?> RouteRetries =
        new(Retries.Without("route_retries", "budget", "min_per_second")!, ("off", new() { Attempts = 0 }));
}
