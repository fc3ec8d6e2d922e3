using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Upstreams;

/// <summary>A picture of an upstream, taken at one moment.</summary>
public sealed record UpstreamStatus(string Name, BalanceAlgorithm Balance, IReadOnlyList<BackendStatus> Backends);

/// <summary>A picture of a backend.</summary>
/// <param name="Address">Its name in the API: <c>host:port</c> or <c>unix:/path</c>.</param>
/// <param name="MaxConnections">0: no bound.</param>
/// <param name="Cause">Why it is down.</param>
/// <param name="ChangedAt">When its health last changed.</param>
/// <param name="InFlight">Exchanges under way.</param>
/// <param name="Requests">Requests sent to it since start.</param>
/// <param name="Failures">Of those and of the tries to connect, how many gave no valid response.</param>
public sealed record BackendStatus(
    string Address,
    int Weight,
    bool Backup,
    int MaxConnections,
    BackendHealth Health,
    string? Cause,
    DateTimeOffset? ChangedAt,
    int InFlight,
    long Requests,
    long Failures);
