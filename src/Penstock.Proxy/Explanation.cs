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
/// <param name="Name">The limit's name; <c>client</c>: a registered client's own limit.</param>
/// <param name="By">Who shares a bucket.</param>
/// <param name="Capacity">Tokens in a full bucket; null: the limit has no bucket.</param>
/// <param name="RatePerSec">Tokens per second that are refilled; null: the limit has no bucket.</param>
/// <param name="Tokens">Tokens in the bucket now; null: the limit has no bucket.</param>
/// <param name="Concurrent">The concurrency limit; null: none.</param>
/// <param name="InFlight">Requests in flight under the concurrency limit; null: none.</param>
/// <param name="DryRun">Rejections are only counted.</param>
/// <param name="Admits">Whether the limit admits the request.</param>
public sealed record LimitState(string Name, LimitKey By, long? Capacity, double? RatePerSec, double? Tokens,
    int? Concurrent, int? InFlight, bool DryRun, bool Admits);

/// <summary>A backend as the balancer sees it.</summary>
/// <param name="Address">Its name in the API: <c>host:port</c> or <c>unix:/path</c>.</param>
/// <param name="Health">The result of its health checks.</param>
/// <param name="State">The state that the operator has set.</param>
/// <param name="Usable">It is ready, not down, and not ejected (or ejections are ignored).</param>
/// <param name="HasRoom">It is below its <c>max_connections</c>.</param>
/// <param name="Weight">The configured weight, or the one that the operator set at run time.</param>
/// <param name="SlowStart">Share of the weight in force, 0.1 to 1.</param>
/// <param name="InFlight">Exchanges in flight.</param>
/// <param name="Backup">It gets requests only when no primary backend can.</param>
/// <param name="Cause">Why it is down or ejected.</param>
public sealed record Candidate(string Address, BackendHealth Health, BackendState State, bool Usable, bool HasRoom,
    int Weight, double SlowStart, int InFlight, bool Backup, string? Cause);
