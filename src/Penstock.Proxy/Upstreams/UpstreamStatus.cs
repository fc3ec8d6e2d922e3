using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Upstreams;

/// <summary>A picture of an upstream, taken at one moment.</summary>
/// <param name="Queued">Requests that wait for a place at a backend.</param>
/// <param name="Retries">Requests sent again since start, at the retry budget's expense.</param>
/// <param name="RetriesRejected">Requests that the budget did not let be sent again.</param>
public sealed record UpstreamStatus(string Name, BalanceAlgorithm Balance, int Queued, long Retries,
    long RetriesRejected, IReadOnlyList<BackendStatus> Backends)
{
    internal static UpstreamStatus Of(Upstream upstream, MonotonicClock clock) => new(
        upstream.Name, upstream.Config.Balance, upstream.Queue.Count, upstream.Retried, upstream.RetriesRejected,
        [.. upstream.Backends.Select(b => BackendStatus.Of(upstream, b, clock))]);
}

/// <summary>A picture of a backend.</summary>
/// <param name="Address">Its name in the API: <c>host:port</c> or <c>unix:/path</c>.</param>
/// <param name="Name">The DNS name and port that it is one address of; null when the configuration gives the
/// address.</param>
/// <param name="Weight">As configured, or as chosen since.</param>
/// <param name="SlowStart">Share of the weight in force, below 1 while it starts slowly.</param>
/// <param name="MaxConnections">0: no bound.</param>
/// <param name="State">What the operator wants of it.</param>
/// <param name="Drained">It drains or is in maintenance, and nothing is left: no exchange, no session of late.</param>
/// <param name="Cause">Why it is down.</param>
/// <param name="ChangedAt">When its health last changed.</param>
/// <param name="HealthChanges">Times that checks changed its health, since start.</param>
/// <param name="Ejected">Why live traffic keeps it out; null when it does not.</param>
/// <param name="EjectedUntil">When it may come back.</param>
/// <param name="EjectionIgnored">It is used all the same: too few backends are left.</param>
/// <param name="Ejections">Times that live traffic ejected it, since start.</param>
/// <param name="LatencyMs">Time to a response's first byte of late; null before the first.</param>
/// <param name="InFlight">Exchanges under way.</param>
/// <param name="Requests">Requests sent to it since start.</param>
/// <param name="Failures">Of those and of the tries to connect, how many gave no valid response.</param>
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
