namespace Penstock.Proxy.Configuration;

/// <summary>A limit: a token bucket (how many requests at once, and how fast they come back), a bound on requests at
/// the same time, or both.</summary>
/// <param name="Capacity">Tokens in a full bucket, 1 to 1,000,000,000; 0: no bucket.</param>
/// <param name="RatePerSecond">Tokens per second, from one in 100 days to 1,000,000 per second.</param>
public sealed record LimitConfig(long Capacity, double RatePerSecond)
{
    /// <summary>Limits that one request can be under.</summary>
    public const int MaxPerRequest = 8;

    /// <summary>Who shares a bucket.</summary>
    /// <value>Key <c>limit.by</c>: <c>client</c>, <c>address</c> or <c>all</c>; default: client.</value>
    public LimitKey By { get; init; }

    /// <summary>Requests at the same time, from the first byte of the request to the last of the response; 0 is
    /// unbounded.</summary>
    /// <value>Key <c>limit.concurrent</c>: 1 to 1,000,000; default: no maximum.</value>
    public int Concurrent { get; init; }

    /// <summary>Count and log what would be rejected, and admit it.</summary>
    /// <value>Key <c>limit.dry_run</c>: <c>true</c> or <c>false</c>; default: false.</value>
    public bool DryRun { get; init; }

    /// <summary>Leave the limit out of the RateLimit fields; a rejection still names it.</summary>
    /// <value>Key <c>limit.hidden</c>: <c>true</c> or <c>false</c>; default: false.</value>
    public bool Hidden { get; init; }

    /// <summary>Only responses with these statuses take tokens, once they are known. Empty: every request does, before
    /// it is forwarded.</summary>
    /// <value>Key <c>limit.statuses</c>: 100 to 599, or a list; default: every request takes tokens.</value>
    public ValueList<int> CountsStatuses { get; init; } = [];
}

/// <summary>Who shares a bucket of a limit.</summary>
public enum LimitKey
{
    /// <summary>Every client has one, as <see cref="ClientsConfig.Identify"/> tells them apart.</summary>
    Client,

    /// <summary>Every address has one, whatever identifier it sends.</summary>
    Address,

    /// <summary>All requests share one.</summary>
    All,
}

/// <summary>Which fields tell a client how it stands.</summary>
public enum LimitFields
{
    /// <summary>RateLimit and RateLimit-Policy (draft-ietf-httpapi-ratelimit-headers).</summary>
    Standard,

    /// <summary>X-RateLimit-Limit, -Remaining and -Reset (seconds until the bucket is full), of the limit that is
    /// nearest to rejecting.</summary>
    Legacy,

    /// <summary>Both of these.</summary>
    Both,

    /// <summary>None; rejections still have Retry-After.</summary>
    Off,
}
