namespace Penstock.Proxy.Health;

/// <summary>How long this process has not been running when it wanted to: stopped by a signal, throttled by a CPU
/// quota, or with a thread pool that is busy. A timer that ought to fire every 50 ms tells by how much it comes late.
/// What a check's timeout measured in such a time says nothing about the backend. Thread-safe.
/// (The need for it: Dadgar et al., "Lifeguard: Local Health Awareness for More Accurate Failure Detection", 2017: a
/// starved node declares all the others dead.)</summary>
internal sealed class SelfDelay : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(50);

    /// <summary>Timers are late by so much on any machine.</summary>
    private static readonly TimeSpan Tolerance = TimeSpan.FromMilliseconds(10);

    private readonly Lock _lock = new();
    private readonly TimeProvider _time;
    private readonly ITimer _timer;
    private long _lastTick;
    private TimeSpan _lost;

    public SelfDelay(TimeProvider time)
    {
        _time = time;
        _lastTick = time.GetTimestamp();
        _timer = time.CreateTimer(static self => ((SelfDelay)self!).Tick(), this, Period, Period);
    }

    /// <summary>Time lost since this watch was made, up to now.</summary>
    public TimeSpan Lost
    {
        get
        {
            lock (_lock)
            {
                return _lost + Lateness();
            }
        }
    }

    public void Dispose() => _timer.Dispose();

    private void Tick()
    {
        lock (_lock)
        {
            // Ticks that piled up while the pool was busy come all at once: the first counts the whole delay.
            _lost += Lateness();
            _lastTick = _time.GetTimestamp();
        }
    }

    private TimeSpan Lateness()
    {
        TimeSpan late = _time.GetElapsedTime(_lastTick) - Period;
        return late > Tolerance ? late : TimeSpan.Zero;
    }
}
