namespace Penstock.Proxy.RateLimiting;

/// <summary>What the lease thread knows about a bucket, in tokens and in nanoseconds of the monotonic clock. Hold the
/// bucket's gate to use it.</summary>
internal sealed class LeaseAccount(double left, long nowNs)
{
    public LeaseTraffic Traffic = new(nowNs);
    public OutageShare Share = new();

    /// <summary>The balance when use was last counted.</summary>
    public long CountedBalance { get; set; }

    /// <summary>Tokens in the shared bucket by its last answer.</summary>
    public double Left { get; set; } = left;

    /// <summary>Before this time the node asks only for tokens that requests wait for.</summary>
    public long NextAskNs { get; set; }

    /// <summary>Tokens to give back, in addition to unused ones.</summary>
    public long Returned { get; set; }

    /// <summary>Tokens that this node granted by itself during an outage and must repay.</summary>
    public long Debt { get; set; }

    /// <summary>The need that the last statement asked for, and the debt that it repaid.</summary>
    public long AskedNeed { get; set; }
    public long AskedOwed { get; set; }
}
