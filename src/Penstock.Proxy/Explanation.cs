using System.Net;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy;

/// <summary>A request to explain, which was not sent.</summary>
/// <param name="Method">The method, such as <c>GET</c>.</param>
/// <param name="Host">The value of the Host field.</param>
/// <param name="Path">The path, with its query.</param>
/// <param name="Headers">Header fields besides Host.</param>
/// <param name="ClientAddress">The address that it would come from.</param>
public sealed record HypotheticalRequest(string Method, string Host, string Path,
    IReadOnlyList<KeyValuePair<string, string>> Headers, IPAddress ClientAddress);

/// <summary>What Penstock would do with a request, and why.</summary>
public sealed record Explanation
{
    /// <summary>A word of the access log's <c>reason</c> (<c>ok</c>, <c>rate_limited</c>,
    /// <c>concurrency_limited</c>, <c>unknown_client</c>, <c>client_blocked</c>, <c>no_route</c>, <c>no_backend</c>,
    /// <c>queue_full</c>, <c>loop</c>, <c>bad_request</c>), or <c>queued</c>.</summary>
    public required string Verdict { get; init; }

    /// <summary>The reason for a verdict other than <c>ok</c>.</summary>
    public string? Detail { get; init; }

    /// <summary>The client that the request counts for.</summary>
    public string? Client { get; init; }

    /// <summary>The entry of <c>clients.identify</c> that identified the client.</summary>
    public string? IdentifiedBy { get; init; }

    /// <summary>The caller's address; behind trusted proxies, the address that they saw.</summary>
    public string? ClientAddress { get; init; }

    /// <summary>Whether the client is registered.</summary>
    public bool Registered { get; init; }

    /// <summary>Whether the client is exempt from all limits.</summary>
    public bool Exempt { get; init; }

    /// <summary>The plan that defines the client's capacity and rate; null: no plan.</summary>
    public string? Plan { get; init; }

    /// <summary>The limit that rejects the request, else the client's own or the route's first.</summary>
    public string? Limit { get; init; }

    /// <summary>Tokens in a full bucket of <see cref="Limit"/>; null: it has no bucket.</summary>
    public long? Capacity { get; init; }

    /// <summary>Tokens per second that <see cref="Limit"/> refills; null: it has no bucket.</summary>
    public double? RatePerSec { get; init; }

    /// <summary>Tokens in the bucket of <see cref="Limit"/> now; null: it has no bucket.</summary>
    public double? Tokens { get; init; }

    /// <summary>All limits that apply to the request.</summary>
    public IReadOnlyList<LimitState> Limits { get; init; } = [];

    /// <summary>The name of the route; null: no route matches.</summary>
    public string? Route { get; init; }

    /// <summary>The name of the upstream; null: no route matches.</summary>
    public string? Upstream { get; init; }

    /// <summary>How the upstream picks a backend; null when no backend is picked.</summary>
    public BalanceAlgorithm? Balance { get; init; }

    /// <summary>The address of the backend that the request's session cookie names; null: none.</summary>
    public string? Session { get; init; }

    /// <summary>The backends of the upstream, as the balancer sees them.</summary>
    public IReadOnlyList<Candidate> Candidates { get; init; } = [];

    /// <summary>The address of the backend that the request would go to; null: none.</summary>
    public string? Pick { get; init; }
}

/// <summary>A limit in the state that the request would meet.</summary>
public sealed record LimitState
{
    /// <summary>The limit's name; <c>client</c>: a registered client's own limit.</summary>
    public required string Name { get; init; }

    /// <summary>Who shares a bucket.</summary>
    public required LimitKey By { get; init; }

    /// <summary>Tokens in a full bucket; null: the limit has no bucket.</summary>
    public required long? Capacity { get; init; }

    /// <summary>Tokens per second that are refilled; null: the limit has no bucket.</summary>
    public required double? RatePerSec { get; init; }

    /// <summary>Tokens in the bucket now; null: the limit has no bucket.</summary>
    public required double? Tokens { get; init; }

    /// <summary>The concurrency limit; null: none.</summary>
    public required int? Concurrent { get; init; }

    /// <summary>Requests in flight under the concurrency limit; null: none.</summary>
    public required int? InFlight { get; init; }

    /// <summary>Rejections are only counted.</summary>
    public required bool DryRun { get; init; }

    /// <summary>Whether the limit admits the request.</summary>
    public required bool Admits { get; init; }
}

/// <summary>A backend as the balancer sees it.</summary>
public sealed record Candidate
{
    /// <summary>Its name in the API: <c>host:port</c> or <c>unix:/path</c>.</summary>
    public required string Address { get; init; }

    /// <summary>The result of its health checks.</summary>
    public required BackendHealth Health { get; init; }

    /// <summary>The state that the operator has set.</summary>
    public required BackendState State { get; init; }

    /// <summary>It is ready, not down, and not ejected (or ejections are ignored).</summary>
    public required bool Usable { get; init; }

    /// <summary>It is below its <c>max_connections</c>.</summary>
    public required bool HasRoom { get; init; }

    /// <summary>The configured weight, or the one that the operator set at run time.</summary>
    public required int Weight { get; init; }

    /// <summary>Share of the weight in force, 0.1 to 1.</summary>
    public required double SlowStart { get; init; }

    /// <summary>Exchanges in flight.</summary>
    public required int InFlight { get; init; }

    /// <summary>It gets requests only when no primary backend can.</summary>
    public required bool Backup { get; init; }

    /// <summary>Why it is down or ejected.</summary>
    public required string? Cause { get; init; }
}
