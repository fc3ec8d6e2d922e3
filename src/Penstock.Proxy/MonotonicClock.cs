namespace Penstock.Proxy;

/// <summary>Nanoseconds since this object was made, on the monotonic clock. It never steps back, also when the time of
/// day is changed. Every bucket, timeout and duration uses it. Thread-safe.</summary>
internal sealed class MonotonicClock(TimeProvider time)
{
    private readonly long _start = time.GetTimestamp();
    private readonly double _nsPerTick = 1e9 / time.TimestampFrequency;

    public TimeProvider Time => time;

    public long NowNs
    {
        get
        {
            long ticks = time.GetTimestamp() - _start;
            return time.TimestampFrequency == 1_000_000_000 ? ticks : (long)(ticks * _nsPerTick);
        }
    }
}
