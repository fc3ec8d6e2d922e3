using Penstock.Proxy.Observability;

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

        private readonly uint[] _counts = new uint[Errors + 16];
        private readonly LatencyCounts _latencies = new();

        public void AddSuccess() => Add(Successes);

        public void AddError() => Add(Errors);

        public void AddLatency(long latencyNs) => _latencies.Add(latencyNs);

        public void AddTo(TrafficCounts sum)
        {
            sum.Successes += Volatile.Read(ref _counts[Successes]);
            sum.Errors += Volatile.Read(ref _counts[Errors]);
            _latencies.AddTo(sum.Latencies);
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
    public LatencyHistogram Latencies { get; private init; } = new();

    public TrafficCounts Since(TrafficCounts before) => new()
    {
        Successes = unchecked(Successes - before.Successes),
        Errors = unchecked(Errors - before.Errors),
        Latencies = Latencies.Since(before.Latencies),
    };
}
