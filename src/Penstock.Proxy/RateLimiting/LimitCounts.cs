namespace Penstock.Proxy.RateLimiting;

/// <summary>What a limit did with a request.</summary>
internal enum LimitDecision
{
    /// <summary>It admitted the request, and so did all others.</summary>
    Admitted,
    Rejected,

    /// <summary>It would have rejected the request without dry run.</summary>
    DryRunRejected,
}

/// <summary>Counts the decisions of a limit since start, over reloads. Each loop writes its own counts. Thread-safe, if
/// each loop passes its own number.</summary>
internal sealed class LimitCounts(string limit, int loops)
{
    /// <summary>Each loop's counts are on a cache line of their own.</summary>
    private const int Stride = 16;

    private readonly long[] _counts = new long[(loops + 1) * Stride];

    public string Limit { get; } = limit;

    public void Add(int loop, LimitDecision decision)
    {
        ref long count = ref _counts[((loop + 1) * Stride) + (int)decision];
        Volatile.Write(ref count, count + 1);
    }

    public long this[LimitDecision decision]
    {
        get
        {
            long sum = 0;
            for (int loop = 1; loop <= loops; loop++)
            {
                sum += Volatile.Read(ref _counts[(loop * Stride) + (int)decision]);
            }
            return sum;
        }
    }
}
