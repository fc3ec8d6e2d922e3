using System.Numerics;

namespace Penstock.Proxy.Observability;

/// <summary>A histogram of latencies from 16 µs to two minutes, in buckets of a quarter octave: a result is exact to an
/// eighth. (The idea is HdrHistogram's.) Each count has 32 bits and may wrap around; differences stay right. Not
/// thread-safe.</summary>
public sealed class LatencyHistogram
{
    private const int FirstOctave = 14; // 2^14 ns
    private const int Octaves = 23;

    internal const int Buckets = Octaves * 4;

    private readonly uint[] _counts = new uint[Buckets];

    /// <summary>How many latencies it has.</summary>
    public uint Total
    {
        get
        {
            uint total = 0;
            foreach (uint count in _counts)
            {
                total = unchecked(total + count);
            }
            return total;
        }
    }

    internal static int BucketOf(long latencyNs)
    {
        int octave = BitOperations.Log2((ulong)Math.Max(1, latencyNs));
        int quarter = octave < FirstOctave ? 0 : (int)(latencyNs >> (octave - 2)) & 3;
        return Math.Clamp(((octave - FirstOctave) * 4) + quarter, 0, Buckets - 1);
    }

    internal void Add(int bucket, uint count) => _counts[bucket] = unchecked(_counts[bucket] + count);

    /// <summary>Adds the latencies of another histogram.</summary>
    public void Add(LatencyHistogram other)
    {
        ArgumentNullException.ThrowIfNull(other);
        for (int i = 0; i < Buckets; i++)
        {
            Add(i, other._counts[i]);
        }
    }

    /// <summary>The latencies that came after an earlier reading.</summary>
    public LatencyHistogram Since(LatencyHistogram before)
    {
        ArgumentNullException.ThrowIfNull(before);
        var difference = new LatencyHistogram();
        for (int i = 0; i < Buckets; i++)
        {
            difference.Add(i, unchecked(_counts[i] - before._counts[i]));
        }
        return difference;
    }

    /// <summary>The latency that a share of all latencies does not exceed, as the middle of its bucket, in
    /// nanoseconds; 0 without latencies.</summary>
    /// <param name="share">Above 0, at most 1; 0.5 is the median.</param>
    public long QuantileNs(double share)
    {
        uint rank = (uint)Math.Ceiling(Total * share);
        uint seen = 0;
        for (int i = 0; i < Buckets && rank > 0; i++)
        {
            seen += _counts[i];
            if (seen >= rank)
            {
                long width = 1L << (FirstOctave + (i / 4) - 2);
                return (width * (4 + (i % 4))) + (width / 2);
            }
        }
        return 0;
    }
}

/// <summary>Latencies that one loop counts, on cache lines of their own. The loop adds; other threads may read, and see
/// each count whole but possibly a moment old.</summary>
internal sealed class LatencyCounts
{
    private const int Padding = 16;

    private readonly uint[] _counts = new uint[Padding + LatencyHistogram.Buckets + Padding];

    public void Add(long latencyNs)
    {
        int at = Padding + LatencyHistogram.BucketOf(latencyNs);
        Volatile.Write(ref _counts[at], _counts[at] + 1);
    }

    public void AddTo(LatencyHistogram sum)
    {
        for (int i = 0; i < LatencyHistogram.Buckets; i++)
        {
            sum.Add(i, Volatile.Read(ref _counts[Padding + i]));
        }
    }
}
