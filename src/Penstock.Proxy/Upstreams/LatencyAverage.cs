namespace Penstock.Proxy.Upstreams;

/// <summary>Time to first byte of late: an average that takes a slower sample at once and forgets it over ten seconds
/// (the "peak EWMA" of Finagle and linkerd, which react to trouble faster than a plain average). Without new samples it
/// shrinks, so that a backend that was slow is tried again. All loops write it without a lock: of two samples in the
/// same moment one may be lost.</summary>
internal sealed class LatencyAverage
{
    private const double DecayNs = 10e9;

    private double _averageNs;
    private long _atNs;

    /// <summary>Was there a sample yet?</summary>
    public bool IsKnown => Volatile.Read(ref _atNs) != 0;

    public void Add(long sampleNs, long nowNs)
    {
        long elapsed = Math.Max(0, nowNs - Volatile.Read(ref _atNs));
        double average = Volatile.Read(ref _averageNs);
        double keep = IsKnown ? Math.Exp(-elapsed / DecayNs) : 0;
        average = sampleNs > average ? sampleNs : (average * keep) + (sampleNs * (1 - keep));
        Volatile.Write(ref _averageNs, average);
        Volatile.Write(ref _atNs, Math.Max(1, nowNs));
    }

    /// <summary>Nanoseconds; less and less while nothing is heard. Not by the exponential: this is asked for every
    /// backend and pick.</summary>
    public double At(long nowNs) =>
        Volatile.Read(ref _averageNs) * DecayNs / (DecayNs + Math.Max(0, nowNs - Volatile.Read(ref _atNs)));
}
