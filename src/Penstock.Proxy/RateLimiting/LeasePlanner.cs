namespace Penstock.Proxy.RateLimiting;

/// <summary>How much of a bucket was used at this node since the last measurement.</summary>
/// <param name="Used">Tokens taken.</param>
/// <param name="Missed">Tokens of requests that were rejected because they were missing.</param>
/// <param name="Waiting">Tokens that requests wait for now.</param>
internal readonly record struct BucketUse(long Used, long Missed, long Waiting);

/// <summary>What the lease thread knows about a bucket when it decides what to ask for.</summary>
internal readonly record struct LeaseSituation
{
    public long Capacity { get; init; }

    /// <summary>Whole tokens that this node has.</summary>
    public long Balance { get; init; }

    public BucketUse Use { get; init; }

    /// <summary>Tokens in the shared bucket by its last answer.</summary>
    public double Left { get; init; }

    public LeaseTraffic Traffic { get; init; }

    /// <summary>No request has asked for a token for a second.</summary>
    public bool Idle { get; init; }

    /// <summary>False while the shared bucket is known to be empty.</summary>
    public bool MayAsk { get; init; }

    /// <summary>Whether requests can wait for leases. If so, a lease must bring the tokens that they wait for;
    /// otherwise it must bring the tokens that they will probably need.</summary>
    public bool RequestsWait { get; init; }
}

/// <summary>What to ask the shared bucket for. When all are zero, do not ask.</summary>
internal readonly record struct LeaseAmounts(long Need, long Want, double Back)
{
    public bool Any => Want != 0 || Back != 0;
}

/// <summary>Decides how many tokens of a bucket a node asks for. Pure. It always asks for those that requests wait for;
/// and, while the bucket is rich, as many as this node's traffic needs for up to a second, so that a steady client
/// costs one row a second. The nearer the bucket is to empty, the smaller the chunks that the statement grants (guided
/// self-scheduling, Polychronopoulos and Kuck 1987): the last tokens go where they are used.</summary>
internal static class LeasePlanner
{
    private const double NeedSeconds = 0.15;
    private const double WantSeconds = 1;

    /// <summary>If requests can wait, and the shared bucket has fewer tokens than this, a node asks only for those that
    /// requests wait for.</summary>
    private const double MinLeftToLeaseAhead = 2;

    /// <param name="back">Tokens to give back; negative: a debt to repay.</param>
    public static LeaseAmounts Ask(in LeaseSituation now, double back)
    {
        (long low, long want) = now.Idle ? (0, 0) : Levels(now.Use, now.Traffic, now.Capacity);
        long waiting = now.Use.Waiting;
        // Leave the last token for the first request at any node. If this node took it for its next request, another
        // node would miss it; and it would be lost when it comes back unused to a full bucket.
        bool mayAskAhead = !now.RequestsWait || now.Left >= MinLeftToLeaseAhead;
        bool asks = now.Balance < waiting || (mayAskAhead && now.Balance < low && now.MayAsk);
        if (!asks)
        {
            return new(0, 0, back);
        }
        // Ask for what requests wait for and one token for the next request; for more only if other nodes do not miss
        // it.
        long need = now.RequestsWait ? Math.Max(waiting, 1) : low;
        return new(Math.Max(0, need - now.Balance), Math.Max(want, need) - now.Balance, back);
    }

    /// <summary>The balance below which a node asks for more, and the balance that it asks for.</summary>
    public static (long Low, long Want) Levels(in BucketUse use, in LeaseTraffic traffic, long capacity)
    {
        // a burst that has just begun counts for more than the smoothed past
        double soon = (traffic.PerSecond * NeedSeconds) + use.Used + use.Missed + use.Waiting;
        // a request that came alone counts for nothing, because there may be no second one
        long low = traffic.UsedInARow < 2 && use.Missed == 0 ? use.Waiting
            : (long)Math.Clamp(Math.Ceiling(soon), 1, capacity);
        // requests that came before the capacity was lowered may wait for more than that
        long want = Math.Max(low, (long)Math.Min(capacity, Math.Ceiling(traffic.PerSecond * WantSeconds)));
        return (low, want);
    }

    /// <summary>The balance at which a request wakes the lease thread: half of the balance below which it asks for
    /// more.</summary>
    public static long LowWater(in LeaseTraffic traffic) => (long)(traffic.PerSecond * NeedSeconds / 2);
}

/// <summary>The smoothed use of a bucket at this node. Hold the bucket's gate to use it.</summary>
internal struct LeaseTraffic(long nowNs)
{
    private const double SmoothSeconds = 0.5;
    private const long IdleNs = 1_000_000_000;

    private long _measuredNs = nowNs;
    private long _usedNs;

    /// <summary>Tokens requested per second, those of rejected requests included.</summary>
    public double PerSecond { get; private set; }

    /// <summary>Tokens used since the bucket was last idle.</summary>
    public long UsedInARow { get; private set; }

    /// <summary>Whether no request has asked for a token for a second.</summary>
    public readonly bool IsIdle(long nowNs) => nowNs - _usedNs > IdleNs;

    public void Measure(in BucketUse use, long nowNs)
    {
        double seconds = Math.Max(1e-3, (nowNs - _measuredNs) / 1e9);
        _measuredNs = nowNs;
        double perSecond = (use.Used + use.Missed) / seconds;
        PerSecond += (perSecond - PerSecond) * (1 - Math.Exp(-seconds / SmoothSeconds));
        UsedInARow += use.Used;
        if (use != default)
        {
            _usedNs = nowNs;
        }
        if (IsIdle(nowNs))
        {
            UsedInARow = 0;
        }
    }
}
