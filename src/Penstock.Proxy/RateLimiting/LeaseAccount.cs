namespace Penstock.Proxy.RateLimiting;

/// <summary>What the lease thread keeps of a bucket: tokens, and nanoseconds of the monotonic clock. For whoever holds
/// the bucket's gate.</summary>
internal sealed class LeaseAccount(double left, long nowNs)
{
    public LeaseTraffic Traffic = new(nowNs);
    public OutageShare Share = new();

    /// <summary>The balance up to which use is counted.</summary>
    public long CountedBalance { get; set; }

    /// <summary>Tokens in the shared bucket when it last told.</summary>
    public double Left { get; set; } = left;

    /// <summary>No more than waiting requests need is asked for before.</summary>
    public long NextAskNs { get; set; }

    /// <summary>Tokens to be given back, besides those that are not used.</summary>
    public long Returned { get; set; }

    /// <summary>Tokens that were given out while the shared bucket could not be asked, and are to be paid.</summary>
    public long Debt { get; set; }

    /// <summary>What the last statement asked for, and the debt that it paid.</summary>
    public long AskedNeed { get; set; }
    public long AskedOwed { get; set; }
}
