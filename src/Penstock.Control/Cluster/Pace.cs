namespace Penstock.Control.Cluster;

/// <summary>Lets things happen every so often on average, and a few at once. Not thread-safe.</summary>
/// <param name="frequency">Of the timestamps, per second.</param>
internal sealed class Pace(int intervalMs, int atOnce, long frequency)
{
    private readonly long _interval = intervalMs * frequency / 1000;
    private long _freeAt = long.MinValue / 2;

    /// <summary>Milliseconds until the next one may happen, rounded up.</summary>
    public int WaitMs(long timestamp)
    {
        long early = _freeAt - timestamp - ((atOnce - 1) * _interval);
        return early <= 0 ? 0 : (int)(((early * 1000) + frequency - 1) / frequency);
    }

    /// <summary>One happens.</summary>
    public void Take(long timestamp) => _freeAt = Math.Max(_freeAt, timestamp) + _interval;
}
