using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Upstreams;

/// <summary>The state of an upstream at one moment.</summary>
/// <param name="Name">The upstream's name.</param>
/// <param name="Balance">How it picks a backend.</param>
/// <param name="Queued">Requests that wait for a slot at a backend.</param>
/// <param name="Retries">Retries paid from the budget since start.</param>
/// <param name="RetriesRejected">Requests since start that were not retried because the budget was empty.</param>
/// <param name="Backends">Its backends.</param>
public sealed record UpstreamStatus(string Name, BalanceAlgorithm Balance, int Queued, long Retries,
    long RetriesRejected, IReadOnlyList<BackendStatus> Backends)
{
    internal static UpstreamStatus Of(Upstream upstream, MonotonicClock clock) => new(
        upstream.Name, upstream.Config.Balance, upstream.Queue.Count, upstream.Retried, upstream.RetriesRejected,
        [.. upstream.Backends.Select(b => BackendStatus.Of(upstream, b, clock))]);
}

/// <summary>The state of a backend at one moment.</summary>
public sealed record BackendStatus
{
    /// <summary>Its name in the API: <c>host:port</c> or <c>unix:/path</c>.</summary>
    public required string Address { get; init; }

    /// <summary>The DNS name and port that resolved to the address; null when the configuration has the
    /// address.</summary>
    public required string? Name { get; init; }

    /// <summary>It was added at run time; the configuration does not have it.</summary>
    public required bool Added { get; init; }

    /// <summary>It was added at run time and is kept in the store.</summary>
    public required bool Stored { get; init; }

    /// <summary>The configured weight, or the one that the operator set at run time.</summary>
    public required int Weight { get; init; }

    /// <summary>Share of the weight in force: below 1 during slow start.</summary>
    public required double SlowStart { get; init; }

    /// <summary>It gets requests only when no primary backend can.</summary>
    public required bool Backup { get; init; }

    /// <summary>How many exchanges may be in flight; 0: no bound.</summary>
    public required int MaxConnections { get; init; }

    /// <summary>The state that the operator has set.</summary>
    public required BackendState State { get; init; }

    /// <summary>It drains or is in maintenance, and has no exchange in flight and no recent session.</summary>
    public required bool Drained { get; init; }

    /// <summary>The result of its health checks.</summary>
    public required BackendHealth Health { get; init; }

    /// <summary>Why it is down; null when it is not.</summary>
    public required string? Cause { get; init; }

    /// <summary>When its health last changed; null before the first check.</summary>
    public required DateTimeOffset? ChangedAt { get; init; }

    /// <summary>How often checks have changed its health since start.</summary>
    public required int HealthChanges { get; init; }

    /// <summary>Why it is ejected; null when it is not.</summary>
    public required string? Ejected { get; init; }

    /// <summary>When the ejection ends; null when it is not ejected.</summary>
    public required DateTimeOffset? EjectedUntil { get; init; }

    /// <summary>It is used although it is ejected, because too few backends are left.</summary>
    public required bool EjectionIgnored { get; init; }

    /// <summary>How often live traffic has ejected it since start.</summary>
    public required int Ejections { get; init; }

    /// <summary>Recent average of the time until the response's first byte, in milliseconds; null before the first
    /// response.</summary>
    public required double? LatencyMs { get; init; }

    /// <summary>Exchanges in flight.</summary>
    public required int InFlight { get; init; }

    /// <summary>Requests sent to it since start.</summary>
    public required long Requests { get; init; }

    /// <summary>How many of these requests, and of the connection attempts, brought no valid response.</summary>
    public required long Failures { get; init; }

    /// <summary>Health checks since start that passed, and that failed.</summary>
    public required long ChecksPassed { get; init; }

    /// <inheritdoc cref="ChecksPassed"/>
    public required long ChecksFailed { get; init; }

    /// <summary>It is ready, not down, and not ejected (or its ejection is ignored).</summary>
    public bool MayGetRequests() => State == BackendState.Ready && Health != BackendHealth.Down
        && (Ejected is null || EjectionIgnored);

    internal static BackendStatus Of(Upstream upstream, Backend backend, MonotonicClock clock)
    {
        long now = clock.NowNs;
        TimeSpan sessionsIdle = upstream.Config.Sticky?.Idle ?? TimeSpan.Zero;
        long quietNs = now - Math.Max(backend.LastUsedNs, backend.StateSinceNs);
        bool drained = backend.State != BackendState.Ready && backend.InFlight == 0
            && (backend.State == BackendState.Maintenance || quietNs >= sessionsIdle.TotalNanoseconds);
        return new()
        {
            Address = backend.Address,
            Name = backend.Name,
            Added = upstream.IsAdded(backend),
            Stored = backend.Config.Stored,
            Weight = backend.FullWeight,
            SlowStart = Math.Round(backend.Ramp, 3),
            Backup = backend.Config.Backup,
            MaxConnections = backend.Config.MaxConnections,
            State = backend.State,
            Drained = drained,
            Health = backend.Health.Health,
            Cause = backend.Health.Cause,
            ChangedAt = backend.Health.ChangedAt,
            HealthChanges = backend.HealthChanges,
            Ejected = backend.Ejection?.Cause,
            EjectedUntil = backend.Ejection?.Until,
            EjectionIgnored = backend.EjectionIgnored,
            Ejections = backend.Ejections,
            LatencyMs = backend.Latency.IsKnown ? Math.Round(backend.Latency.LastNs / 1e6, 3) : null,
            InFlight = backend.InFlight,
            Requests = backend.Requests,
            Failures = backend.Failures,
            ChecksPassed = backend.ChecksPassed,
            ChecksFailed = backend.ChecksFailed,
        };
    }
}
