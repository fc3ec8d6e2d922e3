using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>Counts equal check results in a row and decides when they change a backend's health. No I/O; not
/// thread-safe.</summary>
internal sealed class CheckStreak(int rise, int fall)
{
    private bool _passing;

    /// <summary>Equal results in a row so far.</summary>
    public int Length { get; private set; }

    /// <summary>How many results of the current kind in a row change the health.</summary>
    public int Needed => _passing ? rise : fall;

    /// <returns>The new health; null when it does not change.</returns>
    public BackendHealth? Add(bool passed, BackendHealth now)
    {
        Length = passed == _passing ? Math.Min(Length + 1, int.MaxValue - 1) : 1;
        _passing = passed;
        BackendHealth seen = passed ? BackendHealth.Up : BackendHealth.Down;
        return now != seen && (now == BackendHealth.Unknown || Length >= Needed) ? seen : null;
    }

    /// <summary>Whether to check at the fast interval: the backend is down, or the last result contradicts its
    /// health.</summary>
    public bool IsUrgent(BackendHealth now) => now == BackendHealth.Down || (now == BackendHealth.Up && !_passing);
}
