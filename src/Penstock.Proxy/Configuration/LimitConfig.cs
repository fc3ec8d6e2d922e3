namespace Penstock.Proxy.Configuration;

/// <summary>A limit: a token bucket (how many requests at once, and how fast tokens are refilled), a concurrency limit,
/// or both.</summary>
/// <param name="Capacity">Tokens in a full bucket, 1 to 1,000,000,000; 0: no bucket.</param>
/// <param name="RatePerSecond">Tokens per second, from one in 100 days to 1,000,000 per second.</param>
public sealed record LimitConfig(long Capacity, double RatePerSecond)
{
    /// <summary>Maximum number of limits that apply to one request.</summary>
    public const int MaxPerRequest = 8;

    /// <summary>Who shares a bucket.</summary>
    /// <value>Key <c>limit.by</c>: <c>client</c>, <c>address</c> or <c>all</c>; default: client.</value>
    public LimitKey By { get; init; }

    /// <summary>Maximum number of requests in flight at the same time, each from its first byte to the last byte of its
    /// response; 0: no bound.</summary>
    /// <value>Key <c>limit.concurrent</c>: 1 to 1,000,000; default: no maximum.</value>
    public int Concurrent { get; init; }

    /// <summary>Rejections are only counted and logged; the requests are admitted.</summary>
    /// <value>Key <c>limit.dry_run</c>: <c>true</c> or <c>false</c>; default: false.</value>
    public bool DryRun { get; init; }

    /// <summary>The limit is left out of the RateLimit fields. A rejection still names it.</summary>
    /// <value>Key <c>limit.hidden</c>: <c>true</c> or <c>false</c>; default: false.</value>
    public bool Hidden { get; init; }

    /// <summary>Only responses with these statuses take tokens, when the status is known. Empty: every request takes
    /// tokens before it is forwarded.</summary>
    /// <value>Key <c>limit.statuses</c>: 100 to 599, or a list; default: every request takes tokens.</value>
    public ValueList<int> CountsStatuses { get; init; } = [];
}

/// <summary>Who shares a bucket of a limit.</summary>
public enum LimitKey
{
    /// <summary>Every client has its own bucket; see <see cref="ClientsConfig.Identify"/>.</summary>
    Client,

    /// <summary>Every address has its own bucket, whatever identifier it sends.</summary>
    Address,

    /// <summary>All requests share one bucket.</summary>
    All,
}

/// <summary>Which header fields show clients the state of their limits.</summary>
public enum LimitFields
{
    /// <summary>RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers).</summary>
    Standard,

    /// <summary>X-RateLimit-Limit, -Remaining and -Reset (seconds until the bucket is full), of the limit with the
    /// smallest share of its tokens left.</summary>
    Legacy,

    /// <summary>Both of these.</summary>
    Both,

    /// <summary>None; rejections still have Retry-After.</summary>
    Off,
}
