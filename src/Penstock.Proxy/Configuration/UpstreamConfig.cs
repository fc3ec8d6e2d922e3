namespace Penstock.Proxy.Configuration;

/// <summary>A named group of equal servers.</summary>
public sealed record UpstreamConfig
{
    public required string Name { get; init; }
    public required IReadOnlyList<BackendConfig> Backends { get; init; }
    public BalanceAlgorithm Balance { get; init; } = BalanceAlgorithm.RoundRobin;

    /// <summary>Tells backends who the client is by a PROXY protocol header of this version, 1 or 2, before the
    /// request; 0 does not. Such a connection serves one exchange only.</summary>
    public int ProxyProtocol { get; init; }

    /// <summary>Instead of <see cref="TimeoutsConfig.BackendIdle"/> for its backends; null: as there.</summary>
    public TimeSpan? BackendIdle { get; init; }

    /// <summary>What <see cref="BalanceAlgorithm.Hash"/> goes by.</summary>
    public HashConfig Hash { get; init; } = new();

    /// <summary>Null: no sticky sessions.</summary>
    public StickyConfig? Sticky { get; init; }

    /// <summary>How long a backend that comes back or joins takes to its full weight; zero: none.</summary>
    public TimeSpan SlowStart { get; init; }

    public RetryConfig Retries { get; init; } = new();

    public QueueConfig Queue { get; init; } = new();

    /// <summary>Null: one backend at a time.</summary>
    public HedgeConfig? Hedge { get; init; }

    /// <summary>Names of limits that its requests are under, besides their route's.</summary>
    public ValueList<string> Limits { get; init; } = [];

    /// <summary>Null: no active checks; a backend is then up until a connection to it fails.</summary>
    public HealthCheckConfig? HealthCheck { get; init; }

    /// <summary>Null: live traffic ejects no backend.</summary>
    public PassiveHealthConfig? PassiveHealth { get; init; } = new();
}

public enum BalanceAlgorithm
{
    RoundRobin,
    LeastConnections,
    Random,
    PowerOfTwo,
    LeastTime,
    Hash,
}

/// <summary>What a request is hashed by.</summary>
public enum HashSource
{
    /// <summary>The caller's address, behind trusted proxies the one they saw.</summary>
    Address,
    Header,
    Cookie,
    Query,

    /// <summary>The path without the query.</summary>
    Path,
}

/// <summary>Which backend belongs to which request.</summary>
public sealed record HashConfig
{
    public HashSource Source { get; init; }

    /// <summary>Of the header, cookie or query parameter; a request without it goes by address.</summary>
    public string Name { get; init; } = "";

    /// <summary>Most exchanges in flight at a backend as a multiple of its fair share, from 1.05; 0 for no
    /// bound.</summary>
    public double Bound { get; init; }
}

/// <summary>Sessions by a cookie of ours: a client stays with its backend as long as that can take it.</summary>
public sealed record StickyConfig
{
    /// <summary>The cookie's name; null: <c>penstock-</c> and the upstream's name, because two upstreams of one host
    /// must not share one.</summary>
    public string? Cookie { get; init; }

    /// <summary>Signs the cookie; all nodes and restarts must share it, or sessions move.</summary>
    public required string Secret { get; init; }

    /// <summary>How long a browser keeps it; zero: until it ends.</summary>
    public TimeSpan MaxAge { get; init; }

    /// <summary>Sent over TLS only.</summary>
    public bool Secure { get; init; }

    /// <summary>A draining backend is done when no session has come for so long.</summary>
    public TimeSpan Idle { get; init; } = TimeSpan.FromMinutes(30);

    public string CookieOf(string upstream) => Cookie ?? $"penstock-{upstream}";
}

/// <summary>When a request is sent again, to another backend.</summary>
public sealed record RetryConfig
{
    /// <summary>Most times that one request is sent again, or that a connection for it times out; a refused connection
    /// does not count. 0: never sent again.</summary>
    public int Attempts { get; init; } = 2;

    /// <summary>Retries per request, over all requests of the upstream (Envoy's default, 20 %).</summary>
    public double Share { get; init; } = 0.2;

    /// <summary>Retries a second that may be made whatever the share, also those of the last ten seconds that were
    /// not (Finagle's and linkerd's default, 10).</summary>
    public int Least { get; init; } = 10;

    /// <summary>For the response's head, each try; zero: <see cref="TimeoutsConfig.Response"/> for all.</summary>
    public TimeSpan PerTryTimeout { get; init; }

    /// <summary>Statuses of a response that are tried elsewhere.</summary>
    public IReadOnlyList<int> Statuses { get; init; } = [];
}

/// <summary>Requests that wait for a place when every backend is at its <see cref="BackendConfig.MaxConnections"/>.
/// </summary>
public sealed record QueueConfig
{
    /// <summary>Most that wait; 0: none does, it is a 503 at once. 1024: Envoy's max_pending_requests.</summary>
    public int Length { get; init; } = 1024;

    /// <summary>How long one waits (HAProxy's usual timeout queue).</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(5);
}

/// <summary>A safe request that takes long is sent to a second backend, too; the first answer counts (Dean and Barroso,
/// "The Tail at Scale", 2013). Each one costs a retry of the budget.</summary>
/// <param name="After">How long to wait for the response's head before.</param>
public sealed record HedgeConfig(TimeSpan After);

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

    /// <summary>Its host is a DNS name; every address that it resolves to becomes a backend.</summary>
    public bool IsName => Port != 0 && !AddressText.TryParseScoped(Host, out _);

    /// <summary><c>host:port</c> (IPv6 in brackets) or <c>unix:/path</c>: its name in API and log.</summary>
    public string Address => Port == 0 ? "unix:" + Host
        : Host.Contains(':') ? $"[{Host}]:{Port}" : $"{Host}:{Port}";
}
