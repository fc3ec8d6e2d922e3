using System.Net;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy;

/// <summary>A request that nobody has sent.</summary>
/// <param name="Headers">Besides Host.</param>
/// <param name="ClientAddress">Whom it would come from.</param>
public sealed record HypotheticalRequest(string Method, string Host, string Path,
    IReadOnlyList<KeyValuePair<string, string>> Headers, IPAddress ClientAddress);

/// <summary>What would be done with a request, and why.</summary>
public sealed record Explanation
{
    /// <summary>A word of the access log's <c>reason</c> (<c>ok</c>, <c>rate_limited</c>,
    /// <c>concurrency_limited</c>, <c>unknown_client</c>, <c>client_blocked</c>, <c>no_route</c>, <c>no_backend</c>,
    /// <c>queue_full</c>, <c>loop</c>, <c>bad_request</c>), or <c>queued</c>.</summary>
    public required string Verdict { get; init; }

    /// <summary>Why, when it is not <c>ok</c>.</summary>
    public string? Detail { get; init; }

    /// <summary>Whom the request counts for.</summary>
    public string? Client { get; init; }

    /// <summary>The entry of <c>clients.identify</c> that told so.</summary>
    public string? IdentifiedBy { get; init; }

    /// <summary>The caller's address, behind trusted proxies the one they saw.</summary>
    public string? ClientAddress { get; init; }

    /// <summary>The client has a limit of its own.</summary>
    public bool Registered { get; init; }

    /// <summary>No limit holds the client.</summary>
    public bool Exempt { get; init; }

    /// <summary>The plan that its capacity and rate are from.</summary>
    public string? Plan { get; init; }

    /// <summary>The limit that rejects the request, else the client's own or the route's first.</summary>
    public string? Limit { get; init; }
    public long? Capacity { get; init; }
    public double? RatePerSec { get; init; }

    /// <summary>Tokens in the client's bucket now.</summary>
    public double? Tokens { get; init; }

    /// <summary>All limits that the request is under.</summary>
    public IReadOnlyList<LimitState> Limits { get; init; } = [];
    public string? Route { get; init; }
    public string? Upstream { get; init; }
    public BalanceAlgorithm? Balance { get; init; }

    /// <summary>The backend that the request's cookie names.</summary>
    public string? Session { get; init; }
    public IReadOnlyList<Candidate> Candidates { get; init; } = [];

    /// <summary>The backend it would go to next, on the loop that was asked.</summary>
    public string? Pick { get; init; }
}

/// <summary>A limit as the request would find it.</summary>
/// <param name="By">Who shares the bucket.</param>
/// <param name="Tokens">In the bucket now; null without a bucket.</param>
/// <param name="Concurrent">Requests at the same time that it allows; null when it does not bound them.</param>
/// <param name="InFlight">Of these, how many are under way.</param>
/// <param name="DryRun">It only counts.</param>
/// <param name="Admits">What it says to the request.</param>
public sealed record LimitState(string Name, LimitKey By, long? Capacity, double? RatePerSec, double? Tokens,
    int? Concurrent, int? InFlight, bool DryRun, bool Admits);

/// <summary>A backend as the balancer sees it.</summary>
/// <param name="Usable">Nothing is known against it.</param>
/// <param name="HasRoom">It is below its <c>max_connections</c>.</param>
/// <param name="SlowStart">Share of the weight in force.</param>
/// <param name="Cause">Why it is down or ejected.</param>
public sealed record Candidate(string Address, BackendHealth Health, BackendState State, bool Usable, bool HasRoom,
    int Weight, double SlowStart, int InFlight, bool Backup, string? Cause);
