namespace Penstock.Proxy.RateLimiting;

/// <summary>How much of a bucket was used at this node since somebody last asked.</summary>
/// <param name="Used">Tokens taken.</param>
/// <param name="Missed">Tokens of requests that were rejected for want of them.</param>
/// <param name="Waiting">Tokens that requests wait for now.</param>
internal readonly record struct BucketUse(long Used, long Missed, long Waiting);

/// <summary>What the lease thread knows of a bucket when it decides what to ask for.</summary>
/// <param name="Balance">Whole tokens at hand.</param>
/// <param name="Left">Tokens in the shared bucket when it last told.</param>
/// <param name="Idle">Nobody has asked for a token for a second.</param>
/// <param name="MayAsk">False while the shared bucket is known to be empty.</param>
/// <param name="RequestsWait">Requests wait for leases: then a lease must bring what they wait for. Otherwise it must
/// bring what they will probably need.</param>
internal readonly record struct LeaseSituation(long Capacity, long Balance, BucketUse Use, double Left,
    LeaseTraffic Traffic, bool Idle, bool MayAsk, bool RequestsWait);

/// <summary>What to ask the shared bucket for; nothing when all are zero.</summary>
internal readonly record struct LeaseAmounts(long Need, long Want, double Back)
{
    public bool Any => Want != 0 || Back != 0;
}

/// <summary>Decides how many tokens of a bucket a node asks for. Pure.
///
/// Those that requests wait for, in any case; and, while the bucket is rich, as many as this node's traffic needs for
/// up to a second, so that a steady client costs one row a second. The nearer the bucket is to empty, the smaller the
/// chunks that the statement grants (guided self-scheduling, Polychronopoulos and Kuck 1987): the last tokens go where
/// they are used.</summary>
internal static class LeasePlanner
{
    private const double NeedSeconds = 0.15;
    private const double WantSeconds = 1;

    /// <summary>Tokens in the shared bucket below which nothing is asked for but what requests wait for.</summary>
    private const double MinLeftToLeaseAhead = 2;

    /// <param name="back">Tokens to be given back; negative: a debt to be paid.</param>
    public static LeaseAmounts Ask(in LeaseSituation now, double back)
    {
        (long low, long want) = now.Idle ? (0, 0) : Levels(now.Use, now.Traffic, now.Capacity);
        long waiting = now.Use.Waiting;
        // The last token is for whoever comes first, at any node. One that this node took for who comes next would be
        // missed elsewhere, and lost to a bucket that is full again when it comes back unused.
        bool mayAskAhead = !now.RequestsWait || now.Left >= MinLeftToLeaseAhead;
        bool asks = now.Balance < waiting || (mayAskAhead && now.Balance < low && now.MayAsk);
        if (!asks)
        {
            return new(0, 0, back);
        }
        // Who waits, and a token for who comes next; more only as far as others would not miss it.
        long need = now.RequestsWait ? Math.Max(waiting, 1) : low;
        return new(Math.Max(0, need - now.Balance), Math.Max(want, need) - now.Balance, back);
    }

    /// <summary>The balance below which more is asked for, and the one up to which.</summary>
    public static (long Low, long Want) Levels(in BucketUse use, in LeaseTraffic traffic, long capacity)
    {
        // a burst that has just begun counts for more than the smoothed past
        double soon = (traffic.PerSecond * NeedSeconds) + use.Used + use.Missed + use.Waiting;
        // and a request that came alone for none: a second one may never come
        long low = traffic.UsedInARow < 2 && use.Missed == 0 ? use.Waiting
            : (long)Math.Clamp(Math.Ceiling(soon), 1, capacity);
        // requests that came before the capacity was lowered may wait for more than that
        long want = Math.Max(low, (long)Math.Min(capacity, Math.Ceiling(traffic.PerSecond * WantSeconds)));
        return (low, want);
    }

    /// <summary>The balance at which a request wakes the lease thread: half of what is asked for in time.</summary>
    public static long LowWater(in LeaseTraffic traffic) => (long)(traffic.PerSecond * NeedSeconds / 2);
}

/// <summary>How much a bucket is used at this node, smoothed. For whoever holds the bucket's gate.</summary>
internal struct LeaseTraffic(long nowNs)
{
    private const double SmoothSeconds = 0.5;
    private const long IdleNs = 1_000_000_000;

    private long _measuredNs = nowNs;
    private long _usedNs;

    /// <summary>Requests per second, rejected ones too.</summary>
    public double PerSecond { get; private set; }

    /// <summary>Tokens used since it was idle.</summary>
    public long UsedInARow { get; private set; }

    /// <summary>Nobody has asked for a token for a second.</summary>
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
