namespace Penstock.Proxy.RateLimiting;

/// <summary>What the lease thread knows about a bucket, in tokens and in nanoseconds of the monotonic clock. Hold the
/// bucket's gate to use it.</summary>
internal sealed class LeaseAccount(double left, long capacity, long nowNs)
{
    public LeaseTraffic Traffic = new(nowNs);
    public OutageShare Share = new();

    /// <summary>The balance when use was last counted.</summary>
    public long CountedBalance { get; set; }

    /// <summary>Tokens in the shared bucket by its last answer or by an edit since.</summary>
    public double Left { get; private set; } = left;

    /// <summary>The capacity that <see cref="Left"/> belongs to.</summary>
    public long Capacity { get; private set; } = capacity;

    /// <summary>Before this time the node asks only for tokens that requests wait for.</summary>
    public long NextAskNs { get; set; }

    /// <summary>Tokens to give back, in addition to unused ones.</summary>
    public double Returned { get; set; }

    /// <summary>Takes note of the shared bucket's content and capacity.</summary>
    public void Note(double left, long capacity) => (Left, Capacity) = (Math.Min(left, capacity), capacity);

    /// <summary>Gives back tokens from before the capacity was lowered: as many as the shared bucket had room for then,
    /// and as many as cancel the debt. The others are void: later, when requests have made room, they would come on top
    /// of the new capacity.</summary>
    public void ReturnOld(long tokens) =>
        Returned = Math.Min(Returned + tokens, Math.Max(0, Capacity - Math.Max(0, Left)) + Debt);

    /// <summary>Tokens that this node granted by itself during an outage and must repay.</summary>
    public long Debt { get; set; }

    /// <summary>The need that the last statement asked for, and the debt that it repaid.</summary>
    public long AskedNeed { get; set; }

    /// <summary>The capacity that this node knew then.</summary>
    public long AskedCapacity { get; set; }
    public long AskedOwed { get; set; }
}
