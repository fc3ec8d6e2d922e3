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
