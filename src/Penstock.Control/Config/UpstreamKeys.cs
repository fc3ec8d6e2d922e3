using Penstock.Proxy.Configuration;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <summary>Keys of upstreams and their backends.</summary>
internal static class UpstreamKeys
{
    private static readonly Keys<BackendConfig> Backend =
        new Keys<BackendConfig>("backend", new() { Host = "", Port = 0 })
            .Key("url", ConfigValue.Backend, backend => backend,
                (backend, v) => backend with { Host = v.Host, Port = v.Port },
                "Where the server is. No path: requests keep theirs.", "Host Port")
            .Required()
            .Key("weight", Whole(1, 256), backend => backend.Weight, (backend, v) => backend with { Weight = v },
                "Share of the traffic relative to the other backends.")
            .Key("max_connections", Whole(0, 1_000_000), backend => backend.MaxConnections,
                (backend, v) => backend with { MaxConnections = v },
                "So many requests may be in flight to it at the same time; 0 means no bound.")
            .Key("backup", Switch, backend => backend.Backup, (backend, v) => backend with { Backup = v },
                "Used only when no other backend of the upstream can take the request.");

    private static readonly Keys<HashConfig> Hash = new Keys<HashConfig>("hash", new())
        .Key("key", HashKey, hash => hash, (hash, v) => v with { Bound = hash.Bound },
            "What to go by. A request that has none of it goes by address.", "Source Name")
        .Key("bound", Share(1.05, 100), hash => hash.Bound, (hash, v) => hash with { Bound = v },
            "Requests in flight at a backend as a share of its fair part: what is above goes elsewhere. `125%` is "
                + "usual.")
        .DefaultText("no bound");

    private static readonly Keys<StickyConfig> Sticky = new Keys<StickyConfig>("sticky", new() { Secret = "" })
        .Key("secret", Text, sticky => sticky.Secret, (sticky, v) => sticky with { Secret = v },
            "Signs the cookie; 16 characters or more. The same on every node and after a restart, or sessions move.")
        .Required()
        .Then(static (section, sticky) =>
        {
            if (section["secret"] is { } field && section.Sound && sticky.Secret.Length < 16)
            {
                field.Error("the secret is too short: whoever guesses it chooses backends", "write 16 characters or "
                    + "more, the same on every node, for example from the environment: \"${SECRET}\"");
            }
        })
        .Key("cookie", CookieName, sticky => sticky.Cookie!, (sticky, v) => sticky with { Cookie = v },
            "Name of the cookie. Two upstreams of one host need two.")
        .DefaultText("`penstock-NAME`, with the upstream's name")
        .Key("max_age", DurationOrOff, sticky => sticky.MaxAge, (sticky, v) => sticky with { MaxAge = v },
            "How long a browser keeps the cookie; `off`: until the browser ends.")
        .Key("secure", Switch, sticky => sticky.Secure, (sticky, v) => sticky with { Secure = v },
            "The cookie is sent over TLS only.")
        .Key("idle", Duration, sticky => sticky.Idle, (sticky, v) => sticky with { Idle = v },
            "A draining backend is done when no session has come for so long.");

    private static readonly Keys<RetryConfig> Retries = new Keys<RetryConfig>("retries", new())
        .Key("attempts", Whole(0, 10), retries => retries.Attempts, (retries, v) => retries with { Attempts = v },
            "How often one request may be sent again.")
        .Key("budget", Share(0, 10), retries => retries.BudgetRatio, (retries, v) => retries with { BudgetRatio = v },
            "Retries per request, over all requests of the upstream: with `20%` an outage costs the backends a fifth "
                + "more, whatever `attempts` says.")
        .Key("min_per_second", Whole(0, 1000), retries => retries.MinPerSecond,
            (retries, v) => retries with { MinPerSecond = v },
            "Retries per second that are allowed whatever the budget says. What was not used in the last ten seconds "
                + "may be used now.")
        .Key("per_try_timeout", DurationOrOff, retries => retries.PerTryTimeout,
            (retries, v) => retries with { PerTryTimeout = v },
            "How long each try may take until the head of the response has arrived; `off`: `timeouts.response` holds, "
                + "and nothing is tried after it.")
        .Key("statuses", new ListShape<int>(Whole(400, 599)), retries => retries.Statuses,
            (retries, v) => retries with { Statuses = v },
            "Responses with these statuses are not passed on: the request is tried at another backend.")
        .DefaultText("none");

    private static readonly Keys<QueueConfig> Queue = new Keys<QueueConfig>("queue", new())
        .Key("length", Whole(0, 1_000_000), queue => queue.Length, (queue, v) => queue with { Length = v },
            "So many requests may wait. With 0 none does: it is answered 503 at once.")
        .From("Envoy's `max_pending_requests`")
        .Key("timeout", Duration, queue => queue.Timeout, (queue, v) => queue with { Timeout = v },
            "How long a request waits before it is answered 503.")
        .From("HAProxy's usual `timeout queue`");

    private static readonly Keys<HedgeConfig> Hedge =
        new Keys<HedgeConfig>("hedge", new HedgeConfig(TimeSpan.FromSeconds(1)))
            .Key("after", Duration, hedge => hedge.After, (_, v) => new(v),
                "How long to wait for the head of the response before: a little above the usual 95th percentile.")
            .Required();

    /// <summary>All that an entry of <c>upstreams</c> has.</summary>
    public static readonly Keys<UpstreamConfig> Table =
        new Keys<UpstreamConfig>("upstream", new() { Name = "", Backends = [] })
            .Key("backends", new ListShape<BackendConfig>(
                    new Either<BackendConfig>(ConfigValue.Backend, Backend)
                    {
                        Name = "backend", Expected = "an address or a mapping", Usable = static b => b.Host.Length > 0,
                    })
                {
                    Empty = ("'backends' is empty: there is no server to send requests to", null),
                    Check = static all => Repeated.Report("backend", all, static backend => backend.Address),
                },
                upstream => upstream.Backends, (upstream, v) => upstream with { Backends = v },
                "The servers.")
            .Required(static section => section.At.Path.Length > 0) // at the top, there may be upstreams instead
            .Key("balance", Balance, upstream => upstream.Balance, (upstream, v) => upstream with { Balance = v },
                "How one of them is picked: `round_robin` (by weight, evenly interleaved), `least_connections` (fewest "
                    + "requests in flight for its weight), `random` (by weight), `power_of_two` (the less busy of two "
                    + "at random), `least_time` (shortest wait: latency of late times requests in flight), `hash` (the "
                    + "same key to the same backend). See [balancing.md](balancing.md).")
            .Key("hash", new Either<HashConfig>(HashKey, Hash), upstream => upstream.Hash,
                (upstream, v) => upstream with { Hash = v }, "What `balance: hash` goes by.")
            .Then(static (section, upstream) =>
            {
                if (upstream.Balance != BalanceAlgorithm.Hash)
                {
                    section["hash"]?.Warning("'hash' is not looked at: 'balance' is not hash");
                }
            })
            .Group("sticky", new Mapping<StickyConfig?>(Sticky!, ("off", null)) { Expected = "a mapping or 'off'" },
                upstream => upstream.Sticky, (upstream, v) => upstream with { Sticky = v },
                "[Sticky sessions](balancing.md#sticky-sessions) by a signed cookie, on top of any algorithm.")
            .Key("slow_start", DurationOrOff, upstream => upstream.SlowStart,
                (upstream, v) => upstream with { SlowStart = v },
                "How long a backend that comes back, or joins while others are at work, takes from a tenth to all of "
                    + "its weight.")
            .Group("retries", new Mapping<RetryConfig>(Retries, ("off", new() { Attempts = 0 })),
                upstream => upstream.Retries, (upstream, v) => upstream with { Retries = v },
                "When a request is sent again, to another backend. See [resilience.md](resilience.md).")
            .DefaultText("as below")
            .Group("queue", new Mapping<QueueConfig>(Queue, ("off", new() { Length = 0 })),
                upstream => upstream.Queue, (upstream, v) => upstream with { Queue = v },
                "Requests that wait for a place when every backend is at its `max_connections`.")
            .DefaultText("as below")
            .Group("hedge", new Mapping<HedgeConfig?>(Hedge!, ("off", null)) { Expected = "{ after: 100ms }" },
                upstream => upstream.Hedge, (upstream, v) => upstream with { Hedge = v },
                "A GET, HEAD or OPTIONS that takes long is sent to a second backend, too, and the first answer counts.")
            .Key("limit", LimitKeys.Names, upstream => upstream.Limits,
                (upstream, v) => upstream with { Limits = [.. v.Distinct()] },
                "[Limits](#limits) that its requests are under, besides those of their route.")
            .DefaultText("none")
            .Group("health_check",
                new Mapping<HealthCheckConfig?>(HealthKeys.Check!, ("off", null), ("tcp", HealthKeys.Check.Default))
                {
                    Expected = "a mapping, 'tcp' or 'off'",
                },
                upstream => upstream.HealthCheck, (upstream, v) => upstream with { HealthCheck = v },
                "[Active checks](health.md#active-checks) of every backend; for `tcp` connecting is enough.")
            .Group("passive_health",
                new Mapping<PassiveHealthConfig?>(HealthKeys.Passive!, ("off", null))
                {
                    Expected = "a mapping or 'off'",
                },
                upstream => upstream.PassiveHealth, (upstream, v) => upstream with { PassiveHealth = v },
                "[Ejection](health.md#ejection-by-live-traffic) of backends that live traffic shows to be worse than "
                    + "the others.",
                static (section, passive, upstream) => HealthKeys.CheckPassive(section, passive!, upstream.Backends))
            .DefaultText("on, as below")
            .Key("backend_idle", new Optional<TimeSpan>(DurationOrOff), upstream => upstream.BackendIdle,
                (upstream, v) => upstream with { BackendIdle = v },
                "How long a connection to its backends is kept for the next request; `off`: it serves one only. Set it "
                    + "a second below what the backends wait.")
            .DefaultText("`timeouts.backend_idle`")
            .Key("send_proxy", OneOf(("off", 0), ("v1", 1), ("v2", 2)), upstream => upstream.SendProxyVersion,
                (upstream, v) => upstream with { SendProxyVersion = v },
                "Tells backends who the client is by a PROXY protocol header of this version before the request. Such "
                    + "a connection serves one request only, because the header holds for all of it.");

    /// <summary>What may stand at the top of the file, where there is one upstream.</summary>
    public static readonly Keys<UpstreamConfig> Flat = Table.Without("", "limit", "backend_idle");

    /// <summary>A route's: the budget is the upstream's for all.</summary>
    public static readonly Mapping<RetryConfig?> RouteRetries =
        new(Retries.Without("route_retries", "budget", "min_per_second")!, ("off", new() { Attempts = 0 }));
}
