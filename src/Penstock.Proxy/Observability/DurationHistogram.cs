namespace Penstock.Proxy.Observability;

/// <summary>Counts durations in buckets, with the sum of each bucket. One thread adds; other threads may read, and see
/// each number whole but possibly a moment old.</summary>
public sealed class DurationHistogram
{
    /// <summary>Upper bounds in seconds, as most Prometheus clients have them.</summary>
    public static IReadOnlyList<double> UsualBounds { get; } =
        [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

    /// <summary>Upper bounds in seconds for what a proxy adds, which is usually below a millisecond.</summary>
    public static IReadOnlyList<double> ShortBounds { get; } =
        [0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, .. UsualBounds];

    private readonly IReadOnlyList<double> _bounds;
    private readonly long[] _boundsNs;
    private readonly long[] _counts;
    private readonly long[] _sumsNs;

    /// <param name="bounds">Upper bounds of all buckets but the last, in seconds, ascending.</param>
    public DurationHistogram(IReadOnlyList<double> bounds)
    {
        ArgumentNullException.ThrowIfNull(bounds);
        _bounds = bounds;
        _boundsNs = [.. bounds.Select(static seconds => (long)Math.Round(seconds * 1e9))];
        _counts = new long[bounds.Count + 1];
        _sumsNs = new long[bounds.Count + 1];
    }

    /// <summary>Adds a duration in nanoseconds; a negative one counts as 0.</summary>
    public void Add(long ns)
    {
        int bucket = 0;
        while (bucket < _boundsNs.Length && ns > _boundsNs[bucket])
        {
            bucket++;
        }
        Volatile.Write(ref _sumsNs[bucket], _sumsNs[bucket] + Math.Max(0, ns));
        Volatile.Write(ref _counts[bucket], _counts[bucket] + 1);
    }

    /// <summary>The durations of several histograms with equal bounds.</summary>
    /// <param name="all">At least one.</param>
    public static Durations Sum(IReadOnlyList<DurationHistogram> all)
    {
        ArgumentNullException.ThrowIfNull(all);
        long[] counts = new long[all[0]._counts.Length];
        double[] seconds = new double[counts.Length];
        foreach (DurationHistogram one in all)
        {
            for (int i = 0; i < counts.Length; i++)
            {
                counts[i] += Volatile.Read(ref one._counts[i]);
                seconds[i] += Volatile.Read(ref one._sumsNs[i]) / 1e9;
            }
        }
        return new(all[0]._bounds, counts, seconds);
    }
}
