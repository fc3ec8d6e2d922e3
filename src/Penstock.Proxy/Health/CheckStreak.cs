using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>Counts check results in a row and tells when they change a backend's health. Pure.</summary>
internal sealed class CheckStreak(int rise, int fall)
{
    private bool _passing;

    /// <summary>Equal results in a row so far.</summary>
    public int Length { get; private set; }

    /// <summary>How many of the current kind change the health.</summary>
    public int Needed => _passing ? rise : fall;

    /// <returns>The new health, or null when it stays.</returns>
    public BackendHealth? Add(bool passed, BackendHealth now)
    {
        Length = passed == _passing ? Math.Min(Length + 1, int.MaxValue - 1) : 1;
        _passing = passed;
        BackendHealth seen = passed ? BackendHealth.Up : BackendHealth.Down;
        return now != seen && (now == BackendHealth.Unknown || Length >= Needed) ? seen : null;
    }

    /// <summary>Is it worth while to check more often: is the backend down, or do the last results speak against what
    /// is taken for true?</summary>
    public bool IsUrgent(BackendHealth now) => now == BackendHealth.Down || (now == BackendHealth.Up && !_passing);
}
