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
/// <param name="Address">Its name in the API: <c>host:port</c> or <c>unix:/path</c>.</param>
/// <param name="Name">The DNS name and port that resolved to the address; null when the configuration has the
/// address.</param>
/// <param name="Weight">The configured weight, or the one that the operator set at run time.</param>
/// <param name="SlowStart">Share of the weight in force: below 1 during slow start.</param>
/// <param name="Backup">It gets requests only when no primary backend can.</param>
/// <param name="MaxConnections">How many exchanges may be in flight; 0: no bound.</param>
/// <param name="State">The state that the operator has set.</param>
/// <param name="Drained">It drains or is in maintenance, and has no exchange in flight and no recent session.</param>
/// <param name="Health">The result of its health checks.</param>
/// <param name="Cause">Why it is down; null when it is not.</param>
/// <param name="ChangedAt">When its health last changed; null before the first check.</param>
/// <param name="HealthChanges">How often checks have changed its health since start.</param>
/// <param name="Ejected">Why it is ejected; null when it is not.</param>
/// <param name="EjectedUntil">When the ejection ends; null when it is not ejected.</param>
/// <param name="EjectionIgnored">It is used although it is ejected, because too few backends are left.</param>
/// <param name="Ejections">How often live traffic has ejected it since start.</param>
/// <param name="LatencyMs">Recent average of the time until the response's first byte, in milliseconds; null before the
/// first response.</param>
/// <param name="InFlight">Exchanges in flight.</param>
/// <param name="Requests">Requests sent to it since start.</param>
/// <param name="Failures">How many of these requests, and of the connection attempts, brought no valid
/// response.</param>
public sealed record BackendStatus(
    string Address,
    string? Name,
    int Weight,
    double SlowStart,
    bool Backup,
    int MaxConnections,
    BackendState State,
    bool Drained,
    BackendHealth Health,
    string? Cause,
    DateTimeOffset? ChangedAt,
    int HealthChanges,
    string? Ejected,
    DateTimeOffset? EjectedUntil,
    bool EjectionIgnored,
    int Ejections,
    double? LatencyMs,
    int InFlight,
    long Requests,
    long Failures)
{
    internal static BackendStatus Of(Upstream upstream, Backend backend, MonotonicClock clock)
    {
        long now = clock.NowNs;
        TimeSpan sessionsIdle = upstream.Config.Sticky?.Idle ?? TimeSpan.Zero;
        long quietNs = now - Math.Max(backend.LastUsedNs, backend.StateSinceNs);
        bool drained = backend.State != BackendState.Ready && backend.InFlight == 0
            && (backend.State == BackendState.Maintenance || quietNs >= sessionsIdle.TotalNanoseconds);
        return new(backend.Address, backend.Name, backend.FullWeight, Math.Round(backend.Ramp, 3),
            backend.Config.Backup, backend.Config.MaxConnections, backend.State, drained, backend.Health.Health,
            backend.Health.Cause, backend.Health.ChangedAt, backend.HealthChanges,
            backend.Ejection?.Cause, backend.Ejection?.Until, backend.EjectionIgnored, backend.Ejections,
            backend.Latency.IsKnown ? Math.Round(backend.Latency.At(now) / 1e6, 3) : null,
            backend.InFlight, backend.Requests, backend.Failures);
    }
}
