namespace Penstock.Proxy.Configuration;

/// <summary>A named group of equal servers.</summary>
public sealed record UpstreamConfig
{
    /// <summary>The name for routes, the admin API and logs. A reload matches upstreams by name.</summary>
    public required string Name { get; init; }

    /// <summary>The servers; at least one.</summary>
    /// <value>Key <c>upstream.backends</c>: <c>http://host:port</c>, <c>http://host</c> (port 80), <c>https://host</c>
    /// (port 443), <c>host:port</c> or <c>unix:/path</c>; or a mapping; or a list; required.</value>
    public required IReadOnlyList<BackendConfig> Backends { get; init; }

    /// <summary>How a backend is picked for a request.</summary>
    /// <value>Key <c>upstream.balance</c>: <c>round_robin</c>, <c>least_connections</c>, <c>random</c>,
    /// <c>power_of_two</c>, <c>least_time</c>, <c>hash</c>, <c>least_conn</c> or <c>p2c</c>; default:
    /// round_robin.</value>
    public BalanceAlgorithm Balance { get; init; } = BalanceAlgorithm.RoundRobin;

    /// <summary>Version, 1 or 2, of the PROXY protocol header that names the client to backends before the request; 0:
    /// none. A backend connection that began with such a header serves only one exchange.</summary>
    /// <value>Key <c>upstream.send_proxy</c>: <c>off</c>, <c>v1</c> or <c>v2</c>; default: off.</value>
    public int SendProxyVersion { get; init; }

    /// <summary>TLS towards backends with an <c>https://</c> URL.</summary>
    /// <value>Key <c>upstream.tls</c>: a mapping.</value>
    public UpstreamTlsConfig Tls { get; init; } = new();

    /// <summary>How long a backend connection may stay idle in the pool; zero: it is closed after each request; null:
    /// <see cref="TimeoutsConfig.BackendIdle"/>.</summary>
    /// <value>Key <c>upstream.backend_idle</c>: <c>off</c>, or duration; default: <c>timeouts.backend_idle</c>.</value>
    public TimeSpan? BackendIdle { get; init; }

    /// <summary>What <see cref="BalanceAlgorithm.Hash"/> hashes. Other algorithms ignore it.</summary>
    /// <value>Key <c>upstream.hash</c>: <c>address</c>, <c>path</c>, <c>header:NAME</c>, <c>cookie:NAME</c> or
    /// <c>query:NAME</c>; or a mapping; default: address.</value>
    public HashConfig Hash { get; init; } = new();

    /// <summary>Sticky sessions, which stay at one backend; null: none.</summary>
    /// <value>Key <c>upstream.sticky</c>: <c>off</c>, or a mapping; default: off.</value>
    public StickyConfig? Sticky { get; init; }

    /// <summary>How long a backend that joins or returns takes to reach its full weight; zero: it has its full weight
    /// at once.</summary>
    /// <value>Key <c>upstream.slow_start</c>: <c>off</c>, or duration; default: off.</value>
    public TimeSpan SlowStart { get; init; }

    /// <summary>When a request is sent again. A route may have its own configuration.</summary>
    /// <value>Key <c>upstream.retries</c>: <c>off</c>, or a mapping; default: see below.</value>
    public RetryConfig Retries { get; init; } = new();

    /// <summary>The queue of requests that wait when every backend is at its
    /// <see cref="BackendConfig.MaxConnections"/>.</summary>
    /// <value>Key <c>upstream.queue</c>: <c>off</c>, or a mapping; default: see below.</value>
    public QueueConfig Queue { get; init; } = new();

    /// <summary>When a request is sent to a second backend as well; null: never.</summary>
    /// <value>Key <c>upstream.hedge</c>: <c>off</c>, or a mapping; default: off.</value>
    public HedgeConfig? Hedge { get; init; }

    /// <summary>Names of limits that apply to the upstream's requests, in addition to those of their route. They must
    /// be in the configuration.</summary>
    /// <value>Key <c>upstream.limit</c>: name of a limit, a list of them, or <c>off</c>; default: none.</value>
    public ValueList<string> Limits { get; init; } = [];

    /// <summary>Active health checks of the backends; null: none, and every backend counts as usable unless live
    /// traffic ejects it.</summary>
    /// <value>Key <c>upstream.health_check</c>: <c>off</c>, or <c>tcp</c>, or a mapping; default: off.</value>
    public HealthCheckConfig? HealthCheck { get; init; }

    /// <summary>When live traffic ejects a backend; null: never.</summary>
    /// <value>Key <c>upstream.passive_health</c>: <c>off</c>, or a mapping; default: on, see below.</value>
    public PassiveHealthConfig? PassiveHealth { get; init; } = new();
}

/// <summary>How a backend is picked for a request, among those that can take it.</summary>
public enum BalanceAlgorithm
{
    /// <summary>Picks one backend after the other by weight, evenly interleaved over the whole process (nginx's smooth
    /// weighted round robin).</summary>
    RoundRobin,

    /// <summary>Picks the backend with the fewest exchanges in flight per weight; among equal ones, at random by
    /// weight.</summary>
    LeastConnections,

    /// <summary>Picks at random, by weight.</summary>
    Random,

    /// <summary>Draws two backends at random by weight, and picks the one with fewer exchanges in flight per weight
    /// (Mitzenmacher, 2001).</summary>
    PowerOfTwo,

    /// <summary>Picks the backend with the lowest recent latency times one plus the exchanges in flight per weight
    /// (nginx Plus' least_time).</summary>
    LeastTime,

    /// <summary>Picks the same backend for the same key, see <see cref="UpstreamConfig.Hash"/> (Maglev,
    /// 2016).</summary>
    Hash,
}

/// <summary>What is hashed.</summary>
public enum HashSource
{
    /// <summary>The caller's address; behind trusted proxies, the address that they saw.</summary>
    Address,

    /// <summary>The value of a header field.</summary>
    Header,

    /// <summary>The value of a cookie.</summary>
    Cookie,

    /// <summary>The value of a query parameter.</summary>
    Query,

    /// <summary>The path without the query.</summary>
    Path,
}

/// <summary>How <see cref="BalanceAlgorithm.Hash"/> assigns requests to backends.</summary>
public sealed record HashConfig
{
    /// <summary>What is hashed.</summary>
    /// <value>Key <c>hash.key</c>: <c>address</c>, <c>path</c>, <c>header:NAME</c>, <c>cookie:NAME</c> or
    /// <c>query:NAME</c>; default: address.</value>
    public HashSource Source { get; init; }

    /// <summary>Name of the header field, cookie or query parameter; empty for the others. Requests without it are
    /// hashed by address.</summary>
    /// <value>Key <c>hash.key</c>: <c>address</c>, <c>path</c>, <c>header:NAME</c>, <c>cookie:NAME</c> or
    /// <c>query:NAME</c>; default: address.</value>
    public string Name { get; init; } = "";

    /// <summary>How many exchanges may be in flight at a backend, as a multiple of its fair share, from 1.05. Further
    /// requests go to other backends. 0: no bound.</summary>
    /// <value>Key <c>hash.bound</c>: 105% to 10000%; default: no maximum.</value>
    public double Bound { get; init; }
}

/// <summary>Sticky sessions with a cookie of Penstock: a client stays at its backend as long as the backend can take
/// its requests.</summary>
public sealed record StickyConfig
{
    /// <summary>The cookie's name; null: <c>penstock-</c> and the upstream's name, because two upstreams of one host
    /// must not share a cookie.</summary>
    /// <value>Key <c>sticky.cookie</c>: name; default: <c>penstock-NAME</c>, with the upstream's name.</value>
    public string? Cookie { get; init; }

    /// <summary>The secret that signs the cookie, at least 16 characters. It must be the same on all nodes and after
    /// restarts, or sessions move.</summary>
    /// <value>Key <c>sticky.secret</c>: text; required.</value>
    public required string Secret { get; init; }

    /// <summary>How long a browser keeps the cookie; zero: until the browser is closed.</summary>
    /// <value>Key <c>sticky.max_age</c>: <c>off</c>, or duration; default: off.</value>
    public TimeSpan MaxAge { get; init; }

    /// <summary>Browsers send the cookie only over TLS.</summary>
    /// <value>Key <c>sticky.secure</c>: <c>true</c> or <c>false</c>; default: false.</value>
    public bool Secure { get; init; }

    /// <summary>A draining backend counts as drained when it has had no request of a session for this time.</summary>
    /// <value>Key <c>sticky.idle</c>: duration; default: 30m.</value>
    public TimeSpan Idle { get; init; } = TimeSpan.FromMinutes(30);

    /// <summary>The cookie's name for an upstream.</summary>
    public string CookieOf(string upstream) => Cookie ?? $"penstock-{upstream}";
}

/// <summary>When a request is sent again, to another backend.</summary>
public sealed record RetryConfig
{
    /// <summary>How often one request may be sent again. Refused connections do not count; attempts to connect that
    /// time out do. 0: no request is sent again.</summary>
    /// <value>Key <c>retries.attempts</c>: 0 to 10; default: 2.</value>
    public int Attempts { get; init; } = 2;

    /// <summary>Retries per request, over all requests of the upstream: 0.2 is one retry for five requests (Envoy's
    /// default). Ignored in a route.</summary>
    /// <value>Key <c>retries.budget</c>: 0% to 1000%; default: 20%.</value>
    public double BudgetRatio { get; init; } = 0.2;

    /// <summary>Retries per second that are allowed whatever <see cref="BudgetRatio"/> says. What was not used in the
    /// last ten seconds may be used now. The default is that of Finagle and linkerd. Ignored in a route.</summary>
    /// <value>Key <c>retries.min_per_second</c>: 0 to 1,000; default: 10.</value>
    public int MinPerSecond { get; init; } = 10;

    /// <summary>How long each attempt may take until the response's head has arrived. Zero:
    /// <see cref="TimeoutsConfig.Response"/> applies, and a request that timed out is not sent again.</summary>
    /// <value>Key <c>retries.per_try_timeout</c>: <c>off</c>, or duration; default: off.</value>
    public TimeSpan PerTryTimeout { get; init; }

    /// <summary>A response with one of these statuses, 400 to 599, is not passed on: the request is sent to another
    /// backend. Empty: every response is passed on.</summary>
    /// <value>Key <c>retries.statuses</c>: 400 to 599, or a list; default: none.</value>
    public IReadOnlyList<int> Statuses { get; init; } = [];
}

/// <summary>The queue of requests that wait for a slot when every backend is at its
/// <see cref="BackendConfig.MaxConnections"/>.</summary>
public sealed record QueueConfig
{
    /// <summary>How many requests may wait at the same time. Further ones are answered with 503 at once. 0: none may
    /// wait. 1024 is Envoy's max_pending_requests.</summary>
    /// <value>Key <c>queue.length</c>: 0 to 1,000,000; default: 1024.</value>
    public int Length { get; init; } = 1024;

    /// <summary>How long a request waits before it is answered with 503 (HAProxy's usual <c>timeout
    /// queue</c>).</summary>
    /// <value>Key <c>queue.timeout</c>: duration; default: 5s.</value>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(5);
}

/// <summary>A safe request that takes long is sent to a second backend as well, and the first response counts (Dean and
/// Barroso, "The Tail at Scale", 2013). Each hedge costs a retry of the budget.</summary>
/// <param name="After">How long to wait for the first response's head before; longer than zero.</param>
public sealed record HedgeConfig(TimeSpan After);

/// <summary>One server of an upstream.</summary>
public sealed record BackendConfig
{
    /// <summary>IP address, DNS name, or the path of a Unix domain socket when <see cref="Port"/> is 0.</summary>
    /// <value>Key <c>backend.url</c>: <c>http://host:port</c>, <c>http://host</c> (port 80), <c>https://host</c> (port
    /// 443), <c>host:port</c> or <c>unix:/path</c>; required.</value>
    public required string Host { get; init; }

    /// <summary>TCP port, 1 to 65535; 0 for a Unix domain socket.</summary>
    /// <value>Key <c>backend.url</c>: <c>http://host:port</c>, <c>http://host</c> (port 80), <c>https://host</c> (port
    /// 443), <c>host:port</c> or <c>unix:/path</c>; required.</value>
    public required int Port { get; init; }

    /// <summary>Share of the traffic relative to the other backends, 1 to 256. An operator may set another weight at
    /// run time.</summary>
    /// <value>Key <c>backend.weight</c>: 1 to 256; default: 1.</value>
    public int Weight { get; init; } = 1;

    /// <summary>How many exchanges may be in flight at the backend at the same time. Further requests go to other
    /// backends or wait. 0: no bound.</summary>
    /// <value>Key <c>backend.max_connections</c>: 0 to 1,000,000; default: 0.</value>
    public int MaxConnections { get; init; }

    /// <summary>The backend is used only when no primary backend of the upstream can take the request.</summary>
    /// <value>Key <c>backend.backup</c>: <c>true</c> or <c>false</c>; default: false.</value>
    public bool Backup { get; init; }

    /// <summary>The backend speaks HTTPS.</summary>
    /// <value>Key <c>backend.url</c>: <c>http://host:port</c>, <c>http://host</c> (port 80), <c>https://host</c> (port
    /// 443), <c>host:port</c> or <c>unix:/path</c>; required.</value>
    public bool IsTls { get; init; }

    /// <summary>It was added at run time and is kept in the store.</summary>
    public bool Stored { get; init; }

    /// <summary>The host is a DNS name. Every address that it resolves to becomes a backend.</summary>
    public bool IsName => Port != 0 && !AddressText.TryParseScoped(Host, out _);

    /// <summary>The name in API and log: <c>host:port</c> (IPv6 in brackets) or <c>unix:/path</c>.</summary>
    public string Address => Port == 0 ? "unix:" + Host
        : Host.Contains(':') ? $"[{Host}]:{Port}" : $"{Host}:{Port}";
}
