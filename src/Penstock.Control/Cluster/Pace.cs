namespace Penstock.Control.Cluster;

/// <summary>Limits how often something happens: every <paramref name="intervalMs"/> on average, and up to
/// <paramref name="atOnce"/> times without a pause. Not thread-safe.</summary>
/// <param name="intervalMs">The average time between two.</param>
/// <param name="atOnce">How many may follow each other without a pause.</param>
/// <param name="frequency">Timestamp units per second.</param>
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

    /// <summary>Counts one.</summary>
    public void Take(long timestamp) => _freeAt = Math.Max(_freeAt, timestamp) + _interval;
}
