namespace Penstock.Proxy.Upstreams;

/// <summary>A backend's latency of late, for balancers that go by it. An answer counts a thirty-second, or more when
/// the one before it is long ago (half when that was a second), so the average follows both busy and quiet backends.
/// One answer at most doubles it: a single slow one says little, ten in a row multiply it by a thousand. The first
/// answers of a backend count by the quickest of them, because caches, code and connections are cold.
///
/// Without answers the average shrinks by e^(-t/10 s), and after a while the backend is due for a request that finds
/// out how it is now (<see cref="TryClaim"/>); otherwise one that was slow once would never get another request.
/// (Finagle's and Envoy's "peak EWMA" take the slowest answer at its full length; then one second instead of a
/// millisecond costs a backend all its traffic for the better part of a minute.)
///
/// All loops write it without a lock: of two answers in the same moment one may be lost.</summary>
internal sealed class LatencyAverage
{
    /// <summary>Answers until a backend is no longer new.</summary>
    public const int NewAnswers = 5;

    private const double DecayNs = 10e9;
    private const double HalfLifeNs = 1e9;
    private const double MinShare = 1 / 32.0;

    /// <summary>Less than this is noise of our own.</summary>
    private const double MinNs = 10_000;

    /// <summary>Below this age the average has shrunk by half a percent at most: not worth an exponential.</summary>
    private const long FreshNs = 50_000_000;

    // A backend without answers is tried after five times its latency, within these bounds.
    private const double DueAfterLatencies = 5;
    private const long DueMinNs = 1_000_000_000;
    private const long DueMaxNs = 10_000_000_000;

    private double _averageNs;
    private long _atNs;
    private long _dueNs;
    private int _answers;

    /// <summary>Was there an answer yet?</summary>
    public bool IsKnown => Volatile.Read(ref _answers) > 0;

    /// <summary>It has answered a few times at most: it may be tried again at once.</summary>
    public bool IsNew => Volatile.Read(ref _answers) < NewAnswers;

    /// <summary>A good answer came after that time.</summary>
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

    /// <summary>A request ended after that time without a good answer: with an error, or given up. A good answer would
    /// have taken at least that long, and a quick error is no sign of a quick backend.</summary>
    public void AddFailure(double elapsedNs, long nowNs)
    {
        if (IsKnown)
        {
            Add(Math.Max(elapsedNs, Volatile.Read(ref _averageNs)), nowNs);
        }
    }

    /// <summary>It could not be connected to: balancers should prefer others, the more the longer that lasts.</summary>
    public void AddUnreachable(long nowNs)
    {
        if (IsKnown)
        {
            Write(Math.Min(2 * Volatile.Read(ref _averageNs), DueMaxNs), nowNs, mayAskAtOnce: false);
        }
    }

    /// <summary>Nanoseconds; less and less while nothing is heard.</summary>
    public double At(long nowNs)
    {
        long elapsedNs = nowNs - Volatile.Read(ref _atNs);
        double average = Volatile.Read(ref _averageNs);
        return elapsedNs <= FreshNs ? average : average * Math.Exp(-elapsedNs / DecayNs);
    }

    /// <summary>Has nothing been heard of it for so long that it is worth a request to ask?</summary>
    public bool IsDue(long nowNs) => nowNs >= Volatile.Read(ref _dueNs);

    /// <summary>Takes on to ask it; nobody else is to do so for a second, whether or not there is an answer.</summary>
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
