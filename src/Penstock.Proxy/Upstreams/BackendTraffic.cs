using System.Numerics;

namespace Penstock.Proxy.Upstreams;

/// <summary>How a request failed because of its backend.</summary>
internal enum BackendError
{
    /// <summary>The connection could not be opened.</summary>
    Connect,

    /// <summary>The response did not arrive, or stalled, until a timeout.</summary>
    Timeout,

    /// <summary>The connection ended before the response was complete.</summary>
    Reset,

    /// <summary>The response is not valid HTTP/1.1.</summary>
    Invalid,

    /// <summary>The response has a status of 500 or more; 501 and 505 do not count, because they are about the
    /// request.</summary>
    Status,
}

/// <summary>Counts the results of requests to a backend. Each loop writes its own counts without a lock. Counts only
/// grow; for a period, take the difference of two readings. Only the errors in a row are shared by the loops, so that a
/// streak counts for the whole process and acts at once. Thread-safe, if each loop passes its own number.</summary>
internal sealed class BackendTraffic
{
    private readonly LoopTraffic[] _loops;
    private int _errorsInRow;
    private volatile int _maxErrorsInRow = int.MaxValue;

    public BackendTraffic(int loops) => _loops = [.. Enumerable.Range(0, loops).Select(static _ => new LoopTraffic())];

    /// <summary>After this many errors in a row, <see cref="TooManyErrors"/> is called.</summary>
    public int MaxErrorsInRow
    {
        get => _maxErrorsInRow;
        set => _maxErrorsInRow = value;
    }

    /// <summary>Called on a loop with the last error and its status (0: none), and again for each further error until
    /// <see cref="ForgetErrors"/>.</summary>
    public Action<BackendError, int>? TooManyErrors { get; set; }

    public int ErrorsInRow => Volatile.Read(ref _errorsInRow);

    /// <summary>Whether a response with this status counts as an error of the backend.</summary>
    public static bool IsError(int status) => status >= 500 && status != 501 && status != 505;

    /// <summary>Counts the latency of a response's head whose status is no error.</summary>
    public void Responded(int loop, long latencyNs) => _loops[loop].AddLatency(latencyNs);

    /// <summary>Counts a complete response whose status is no error. It ends a row of errors.</summary>
    public void Succeeded(int loop)
    {
        _loops[loop].AddSuccess();
        if (Volatile.Read(ref _errorsInRow) != 0)
        {
            Volatile.Write(ref _errorsInRow, 0);
        }
    }

    public void Failed(int loop, BackendError error, int status = 0)
    {
        _loops[loop].AddError();
        if (Interlocked.Increment(ref _errorsInRow) >= _maxErrorsInRow)
        {
            TooManyErrors?.Invoke(error, status);
        }
    }

    public void ForgetErrors() => Volatile.Write(ref _errorsInRow, 0);

    /// <summary>The counts since start, over all loops.</summary>
    public TrafficCounts Read()
    {
        var sum = new TrafficCounts();
        foreach (LoopTraffic loop in _loops)
        {
            loop.AddTo(sum);
        }
        return sum;
    }

    /// <summary>One loop's counts, on cache lines of their own.</summary>
    private sealed class LoopTraffic
    {
        private const int Successes = 16;
        private const int Errors = 17;
        private const int Latencies = 18;

        private readonly uint[] _counts = new uint[Latencies + LatencyHistogram.Buckets + 16];

        public void AddSuccess() => Add(Successes);

        public void AddError() => Add(Errors);

        public void AddLatency(long latencyNs) => Add(Latencies + LatencyHistogram.BucketOf(latencyNs));

        public void AddTo(TrafficCounts sum)
        {
            sum.Successes += Volatile.Read(ref _counts[Successes]);
            sum.Errors += Volatile.Read(ref _counts[Errors]);
            for (int i = 0; i < LatencyHistogram.Buckets; i++)
            {
                sum.Latencies.Add(i, Volatile.Read(ref _counts[Latencies + i]));
            }
        }

        // There is one writer, so a plain addition is enough; readers see its result.
        private void Add(int index) => Volatile.Write(ref _counts[index], _counts[index] + 1);
    }
}

/// <summary>Counts of requests, since start or in a period. Each has 32 bits and may wrap around; differences stay
/// right. Not thread-safe.</summary>
internal sealed class TrafficCounts
{
    public uint Successes { get; set; }
    public uint Errors { get; set; }
    public uint Total => Successes + Errors;
    public LatencyHistogram Latencies { get; } = new();

    public TrafficCounts Since(TrafficCounts before)
    {
        var difference = new TrafficCounts
        {
            Successes = unchecked(Successes - before.Successes),
            Errors = unchecked(Errors - before.Errors),
        };
        difference.Latencies.AddDifference(Latencies, before.Latencies);
        return difference;
    }
}

/// <summary>A histogram of latencies from 16 µs to two minutes, in buckets of a quarter octave: a result is exact to an
/// eighth. (The idea is HdrHistogram's.) Not thread-safe.</summary>
internal sealed class LatencyHistogram
{
    private const int FirstOctave = 14; // 2^14 ns
    private const int Octaves = 23;

    public const int Buckets = Octaves * 4;

    private readonly uint[] _counts = new uint[Buckets];

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

    public static int BucketOf(long latencyNs)
    {
        int octave = BitOperations.Log2((ulong)Math.Max(1, latencyNs));
        int quarter = octave < FirstOctave ? 0 : (int)(latencyNs >> (octave - 2)) & 3;
        return Math.Clamp(((octave - FirstOctave) * 4) + quarter, 0, Buckets - 1);
    }

    public void Add(int bucket, uint count) => _counts[bucket] = unchecked(_counts[bucket] + count);

    public void AddDifference(LatencyHistogram now, LatencyHistogram before)
    {
        for (int i = 0; i < Buckets; i++)
        {
            Add(i, unchecked(now._counts[i] - before._counts[i]));
        }
    }

    /// <summary>The median, as the middle of its bucket; 0 without latencies.</summary>
    public long MedianNs()
    {
        uint half = (Total + 1) / 2;
        uint seen = 0;
        for (int i = 0; i < Buckets && half > 0; i++)
        {
            seen += _counts[i];
            if (seen >= half)
            {
                long width = 1L << (FirstOctave + (i / 4) - 2);
                return (width * (4 + (i % 4))) + (width / 2);
            }
        }
        return 0;
    }
}
