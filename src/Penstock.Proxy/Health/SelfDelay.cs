namespace Penstock.Proxy.Health;

/// <summary>Measures how long this process was not running although it should have been: stopped by a signal, throttled
/// by a CPU quota, or with a busy thread pool. A timer that should fire every 50 ms shows it by firing late. What a
/// health check's timeout measured during such a time says nothing about the backend. Thread-safe. (Dadgar et al.,
/// "Lifeguard: Local Health Awareness for More Accurate Failure Detection", 2017, show the need: a starved node
/// declares all other nodes dead.)</summary>
internal sealed class SelfDelay : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromMilliseconds(50);

    /// <summary>Timers are late by up to this much on any machine.</summary>
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

    /// <summary>Time lost between the creation of this object and now.</summary>
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
            // Ticks that piled up while the pool was busy come all at once; the first one counts the whole delay.
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
