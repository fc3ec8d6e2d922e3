using System.Net;

namespace Penstock.Proxy.Configuration;

/// <summary>What the operator asked of the data plane. Immutable; validated by the loader, compiled into
/// a snapshot. Every duration is a <see cref="TimeSpan"/>, every size is in bytes.</summary>
public sealed record ProxyConfig
{
    public required IReadOnlyList<ListenerConfig> Listeners { get; init; }
    public required IReadOnlyList<UpstreamConfig> Upstreams { get; init; }

    /// <summary>Tried by specificity, not by order: exact host, wildcard host, any host; then exact path,
    /// longest prefix; then method.</summary>
    public required IReadOnlyList<RouteConfig> Routes { get; init; }
    public ClientsConfig Clients { get; init; } = new();

    /// <summary>Limits by name. The one named <c>default</c> holds for routes that name none; without it, only
    /// registered clients are limited.</summary>
    public IReadOnlyDictionary<string, LimitConfig> Limits { get; init; } = new Dictionary<string, LimitConfig>();
    public TimeoutsConfig Timeouts { get; init; } = new();
    public BoundsConfig Bounds { get; init; } = new();

    /// <summary>Number of event loops (threads). 0 means one per processor.</summary>
    public int Loops { get; init; }

    /// <summary><c>stdout</c>, <c>off</c>, or a file path.</summary>
    public string AccessLog { get; init; } = "stdout";
}

/// <summary>A place where clients connect.</summary>
/// <param name="Address">An <see cref="IPEndPoint"/> or a Unix domain socket.</param>
/// <param name="Text">As the operator wrote it, for messages and metrics.</param>
/// <param name="ProxyProtocol">Every connection starts with a PROXY protocol header that says who the client is; only
/// peers of <see cref="ClientsConfig.TrustedProxies"/> may connect.</param>
public sealed record ListenerConfig(EndPoint Address, string Text, bool ProxyProtocol = false);

/// <summary>A named group of equal servers.</summary>
public sealed record UpstreamConfig
{
    public required string Name { get; init; }
    public required IReadOnlyList<BackendConfig> Backends { get; init; }
    public BalanceAlgorithm Balance { get; init; } = BalanceAlgorithm.RoundRobin;

    /// <summary>Tells backends who the client is by a PROXY protocol header of this version, 1 or 2, before the
    /// request; 0 does not. Such a connection serves one exchange only.</summary>
    public int ProxyProtocol { get; init; }

    /// <summary>Null: no active checks; a backend is then up until a connection to it fails.</summary>
    public HealthCheckConfig? HealthCheck { get; init; }
}

public enum BalanceAlgorithm
{
    RoundRobin,
    LeastConnections,
    Random,
    PowerOfTwo,
}

/// <summary>One server of an upstream.</summary>
public sealed record BackendConfig
{
    /// <summary>IP literal, DNS name, or the path of a Unix domain socket when <see cref="Port"/> is 0.</summary>
    public required string Host { get; init; }
    public required int Port { get; init; }

    /// <summary>Share of traffic relative to the other backends, 1–256.</summary>
    public int Weight { get; init; } = 1;

    /// <summary>Most exchanges in flight at once; 0 means no bound.</summary>
    public int MaxConnections { get; init; }

    /// <summary>Used only when no other backend of the upstream can take the request.</summary>
    public bool Backup { get; init; }

    /// <summary><c>host:port</c> (IPv6 in brackets) or <c>unix:/path</c>: its name in API and log.</summary>
    public string Address => Port == 0 ? "unix:" + Host
        : Host.Contains(':') ? $"[{Host}]:{Port}" : $"{Host}:{Port}";
}

/// <summary>Active health check of every backend of an upstream.</summary>
public sealed record HealthCheckConfig
{
    /// <summary>Request target of an HTTP check; null for a plain TCP connect.</summary>
    public string? Path { get; init; }
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(2);
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Successful checks in a row that bring a backend up (HAProxy's default, 2).</summary>
    public int Rise { get; init; } = 2;

    /// <summary>Failed checks in a row that take a backend down (HAProxy's default, 3).</summary>
    public int Fall { get; init; } = 3;
}

/// <summary>Which requests go to which upstream under which limit.</summary>
public sealed record RouteConfig
{
    /// <summary>Exact name, <c>*.example.com</c>, or null for any.</summary>
    public string? Host { get; init; }

    /// <summary>Exact path, or a prefix that ends in <c>*</c>; null for any.</summary>
    public string? Path { get; init; }

    /// <summary>A method name, or null for any.</summary>
    public string? Method { get; init; }
    public required string Upstream { get; init; }

    /// <summary>Name of the limit for clients without a setting of their own; null means <c>default</c>.</summary>
    public string? Limit { get; init; }

    /// <summary>Name in logs and metrics: what the operator would call it.</summary>
    public string Name => $"{Method ?? ""}{(Method is null ? "" : " ")}{Host ?? "*"}{Path ?? "/*"}";
}

/// <summary>Who a request is counted for.</summary>
public sealed record ClientsConfig
{
    /// <summary>Tried in order, the first that the request has is the client.</summary>
    public IReadOnlyList<IdentitySource> Identify { get; init; } = [new(IdentityKind.Address, "")];

    /// <summary>An identifier that is not registered gets a bucket of its own (true), or counts as its address
    /// (false, the default: nobody gets a fresh bucket by inventing a name).</summary>
    public bool UnknownGetsOwnBucket { get; init; }

    /// <summary>Peers whose X-Forwarded-* fields are believed.</summary>
    public IReadOnlyList<IPNetwork> TrustedProxies { get; init; } = [];

    /// <summary>IPv6 clients are told apart by this many leading bits, 1–128 (64: one customer's network).</summary>
    public int Ipv6Prefix { get; init; } = 64;

    /// <summary>Most buckets tracked for clients without a setting of their own.</summary>
    public int MaxTracked { get; init; } = 1_000_000;
}

public enum IdentityKind
{
    Address,
    Header,
    Query,
}

/// <param name="Kind">Where the identifier is.</param>
/// <param name="Name">Field or parameter name; empty for the address.</param>
public sealed record IdentitySource(IdentityKind Kind, string Name)
{
    public override string ToString() => Kind switch
    {
        IdentityKind.Header => "header:" + Name,
        IdentityKind.Query => "query:" + Name,
        _ => "address",
    };
}

/// <summary>A token bucket: how many requests at once, and how fast they come back.</summary>
/// <param name="Capacity">Tokens in a full bucket, 1 to 1,000,000,000.</param>
/// <param name="RatePerSecond">Tokens per second, from one a day to 1,000,000 per second.</param>
public sealed record LimitConfig(long Capacity, double RatePerSecond);

/// <summary>How long to wait for what.</summary>
public sealed record TimeoutsConfig
{
    /// <summary>For a TCP connection to a backend.</summary>
    public TimeSpan Connect { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>For a whole request head, from its first byte (bounds slowloris).</summary>
    public TimeSpan Head { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>Between two bytes of progress while a request or response is under way.</summary>
    public TimeSpan Response { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>For the next request on a kept-alive client connection; idle backend connections too.</summary>
    public TimeSpan Idle { get; init; } = TimeSpan.FromSeconds(90);

    /// <summary>For the next octet, either way, after an upgrade such as WebSocket (HAProxy's usual
    /// <c>timeout tunnel</c>).</summary>
    public TimeSpan Tunnel { get; init; } = TimeSpan.FromHours(1);

    /// <summary>For exchanges in flight at a graceful stop.</summary>
    public TimeSpan Shutdown { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>How much of what a client may send or hold. 0 means unbounded where it is allowed.</summary>
public sealed record BoundsConfig
{
    /// <summary>Octets of a request line; more is a 414. 8 KiB: nginx and Kestrel.</summary>
    public int RequestLineBytes { get; init; } = 8 * 1024;

    /// <summary>Octets of a head, at most 64 KiB; more is a 431, from a backend a 502. 32 KiB: Kestrel.</summary>
    public int HeadBytes { get; init; } = 32 * 1024;

    /// <summary>Fields of a head, at most 1000; more is a 431, or a 502. 100: Envoy and Kestrel.</summary>
    public int HeadFields { get; init; } = 100;

    /// <summary>Octets of a request's body; more is a 413. Unbounded: bodies stream in constant memory (HAProxy,
    /// Envoy).</summary>
    public long BodyBytes { get; init; }

    /// <summary>Octets per second that a body must bring on average, counted while we wait for it, after a grace of 5
    /// seconds; slower is a 408. 240: Kestrel's MinRequestBodyDataRate. 0 is off.</summary>
    public int BodyMinBytesPerSecond { get; init; } = 240;

    /// <summary>Requests on one client connection; it closes after the last. 0 is unbounded.</summary>
    public int RequestsPerConnection { get; init; }

    /// <summary>Client connections at once; beyond that accepting pauses. 0: until seven eighths of the process'
    /// descriptors are in use; the rest is kept for connections to backends.</summary>
    public int Connections { get; init; }

    /// <summary>Client connections of one address at once; further ones are reset. 0 is unbounded.</summary>
    public int ConnectionsPerAddress { get; init; }
}
