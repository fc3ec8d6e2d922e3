using System.Net;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy;

/// <summary>A request to explain, which was not sent.</summary>
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
    public long? Capacity { get; init; }
    public double? RatePerSec { get; init; }

    /// <summary>Tokens in the client's bucket now.</summary>
    public double? Tokens { get; init; }

    /// <summary>All limits that apply to the request.</summary>
    public IReadOnlyList<LimitState> Limits { get; init; } = [];
    public string? Route { get; init; }
    public string? Upstream { get; init; }
    public BalanceAlgorithm? Balance { get; init; }

    /// <summary>The backend that the request's cookie names.</summary>
    public string? Session { get; init; }
    public IReadOnlyList<Candidate> Candidates { get; init; } = [];

    /// <summary>The backend that the request would go to.</summary>
    public string? Pick { get; init; }
}

/// <summary>A limit in the state that the request would meet.</summary>
/// <param name="By">Who shares a bucket.</param>
/// <param name="Tokens">Tokens in the bucket now; null: the limit has no bucket.</param>
/// <param name="Concurrent">The concurrency limit; null: none.</param>
/// <param name="InFlight">Requests in flight under the concurrency limit; null: none.</param>
/// <param name="DryRun">Rejections are only counted.</param>
/// <param name="Admits">Whether the limit admits the request.</param>
public sealed record LimitState(string Name, LimitKey By, long? Capacity, double? RatePerSec, double? Tokens,
    int? Concurrent, int? InFlight, bool DryRun, bool Admits);

/// <summary>A backend as the balancer sees it.</summary>
/// <param name="Usable">It is ready, not down and not ejected.</param>
/// <param name="HasRoom">It is below its <c>max_connections</c>.</param>
/// <param name="SlowStart">Share of the weight in force, 0.1 to 1.</param>
/// <param name="Cause">Why it is down or ejected.</param>
public sealed record Candidate(string Address, BackendHealth Health, BackendState State, bool Usable, bool HasRoom,
    int Weight, double SlowStart, int InFlight, bool Backup, string? Cause);
