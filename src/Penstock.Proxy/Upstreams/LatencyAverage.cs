namespace Penstock.Proxy.Upstreams;

/// <summary>A moving average of a backend's latency, for balancers. A response counts 1/32, or more when the previous
/// one is long ago (1/2 when that was a second ago), so the average follows both busy and quiet backends. One response
/// at most doubles it: a single slow response says little, but ten in a row multiply it by a thousand. Of a backend's
/// first responses the quickest counts, because caches, code and connections are cold.
///
/// Without responses the average shrinks by e^(-t/10 s). After a while a balancer may send one request to find out the
/// present latency (<see cref="TryClaim"/>); otherwise a backend that was slow once would never get another request.
/// (Finagle's and Envoy's "peak EWMA" take the slowest response at its full length; then one second instead of a
/// millisecond costs a backend all its traffic for most of a minute.)
///
/// All loops write without a lock: of two responses at the same moment one may be lost. Thread-safe.</summary>
internal sealed class LatencyAverage
{
    /// <summary>A backend with fewer responses is new.</summary>
    public const int NewAnswers = 5;

    private const double DecayNs = 10e9;
    private const double HalfLifeNs = 1e9;
    private const double MinShare = 1 / 32.0;

    /// <summary>Shorter latencies are noise of this process.</summary>
    private const double MinNs = 10_000;

    /// <summary>An average younger than this has shrunk by at most half a percent, so the exponential is not
    /// computed.</summary>
    private const long FreshNs = 50_000_000;

    // A backend without responses is due for a request after five times its latency, within these bounds.
    private const double DueAfterLatencies = 5;
    private const long DueMinNs = 1_000_000_000;
    private const long DueMaxNs = 10_000_000_000;

    private double _averageNs;
    private long _atNs;
    private long _dueNs;
    private int _answers;

    /// <summary>Whether there was a response yet.</summary>
    public bool IsKnown => Volatile.Read(ref _answers) > 0;

    /// <summary>It has sent fewer than <see cref="NewAnswers"/> responses, so it may get another request at
    /// once.</summary>
    public bool IsNew => Volatile.Read(ref _answers) < NewAnswers;

    /// <summary>Counts a good response that arrived after this time.</summary>
    public void Add(double sampleNs, long nowNs)
    {
        sampleNs = Math.Max(sampleNs, MinNs);
        int answers = Volatile.Read(ref _answers);
        double average = Volatile.Read(ref _averageNs);
        if (answers < NewAnswers)
        {
            average = answers == 0 ? sampleNs : Math.Min(average, sampleNs);
            Volatile.Write(ref _answers, answers + 1);
        }
        else
        {
            long elapsedNs = Math.Max(0, nowNs - Volatile.Read(ref _atNs));
            double share = Math.Max(MinShare,
                elapsedNs <= FreshNs ? 0 : 1 - Math.Pow(2, -elapsedNs / HalfLifeNs));
            average = Math.Min(average + (share * (sampleNs - average)), 2 * average);
        }
        Write(average, nowNs, mayAskAtOnce: IsNew);
    }

    /// <summary>Counts a request that ended after this time with an error or was given up. A good response would have
    /// taken at least as long; and a quick error does not mean a quick backend.</summary>
    public void AddFailure(double elapsedNs, long nowNs)
    {
        if (IsKnown)
        {
            Add(Math.Max(elapsedNs, Volatile.Read(ref _averageNs)), nowNs);
        }
    }

    /// <summary>Counts a failed connection attempt. Balancers prefer other backends, the more the longer it
    /// lasts.</summary>
    public void AddUnreachable(long nowNs)
    {
        if (IsKnown)
        {
            Write(Math.Min(2 * Volatile.Read(ref _averageNs), DueMaxNs), nowNs, mayAskAtOnce: false);
        }
    }

    /// <summary>The average in nanoseconds when the last response came. For display.</summary>
    public double LastNs => Volatile.Read(ref _averageNs);

    /// <summary>The average in nanoseconds at that time. It shrinks while there are no responses.</summary>
    public double At(long nowNs)
    {
        long elapsedNs = nowNs - Volatile.Read(ref _atNs);
        double average = Volatile.Read(ref _averageNs);
        return elapsedNs <= FreshNs ? average : average * Math.Exp(-elapsedNs / DecayNs);
    }

    /// <summary>Whether the last response is so long ago that a request should find out the present latency.</summary>
    public bool IsDue(long nowNs) => nowNs >= Volatile.Read(ref _dueNs);

    /// <summary>Claims the request that finds out the latency. For a second no other caller succeeds, with or without a
    /// response.</summary>
    public bool TryClaim(long nowNs)
    {
        long due = Volatile.Read(ref _dueNs);
        return nowNs >= due && Interlocked.CompareExchange(ref _dueNs, nowNs + DueMinNs, due) == due;
    }

    private void Write(double average, long nowNs, bool mayAskAtOnce)
    {
        Volatile.Write(ref _averageNs, average);
        Volatile.Write(ref _atNs, nowNs);
        Volatile.Write(ref _dueNs, mayAskAtOnce ? nowNs
            : nowNs + Math.Clamp((long)(DueAfterLatencies * average), DueMinNs, DueMaxNs));
    }
}
