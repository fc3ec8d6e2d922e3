using Microsoft.Extensions.Logging;
using Penstock.Proxy.Observability;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>Ejects backends by live traffic, in all upstreams. Its timer runs on the thread pool.
/// Thread-safe.</summary>
internal sealed class PassiveHealth : IAsyncDisposable
{
    private static readonly TimeSpan TickInterval = TimeSpan.FromMilliseconds(100);

    private readonly Lock _lock = new();
    private readonly MonotonicClock _clock;
    private readonly ILogger _logger;
    private readonly ITimer _ticker;
    private volatile Dictionary<string, OutlierDetector> _detectors = [];
    private Upstream[] _upstreams = [];

    public PassiveHealth(MonotonicClock clock, ILogger logger)
    {
        (_clock, _logger) = (clock, logger);
        _ticker = clock.Time.CreateTimer(static self => ((PassiveHealth)self!).Tick(), this, TickInterval,
            TickInterval);
    }

    /// <summary>Watches these upstreams from now on, and no others. Upstreams that stay keep their records.</summary>
    public void Apply(IEnumerable<Upstream> upstreams)
    {
        lock (_lock)
        {
            Dictionary<string, OutlierDetector> before = _detectors;
            Upstream[] after = [.. upstreams];
            var detectors = new Dictionary<string, OutlierDetector>(StringComparer.Ordinal);
            foreach (Upstream upstream in after)
            {
                bool stays = _upstreams.Contains(upstream);
                detectors[upstream.Name] = stays ? before[upstream.Name]
                    : new OutlierDetector(upstream, _clock, _logger);
                detectors[upstream.Name].Sync();
            }
            foreach (Upstream gone in _upstreams.Except(after))
            {
                before[gone.Name].Stop();
            }
            (_upstreams, _detectors) = (after, detectors);
        }
    }

    /// <summary>Takes note of an active check; <paramref name="rise"/> passes in a row bring a backend up.</summary>
    public void OnChecked(Backend backend, bool passed, int rise)
    {
        if (_detectors.TryGetValue(backend.Upstream, out OutlierDetector? detector))
        {
            detector.OnChecked(backend, passed, rise);
        }
    }

    public async ValueTask DisposeAsync() => await _ticker.DisposeAsync();

    private void Tick()
    {
        try
        {
            foreach (OutlierDetector detector in _detectors.Values)
            {
                detector.Tick();
            }
        }
        catch (Exception bug)
        {
            _logger.LogError(Events.Bug, bug, "bug in Penstock: the outlier check failed with an unexpected exception");
        }
    }
}
