using Microsoft.Extensions.Logging;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Upstreams;

/// <summary>All live upstreams. A reload changes them in place. Also runs their timer, for slow start, and the look-ups
/// of names. <see cref="Apply"/> has one caller at a time; the other members are thread-safe.</summary>
internal sealed class Topology : IAsyncDisposable
{
    private static readonly TimeSpan TickInterval = TimeSpan.FromMilliseconds(100);

    private readonly MonotonicClock _clock;
    private readonly int _loops;
    private readonly NameResolver _names;
    private readonly Action<IReadOnlyList<Backend>> _changed;
    private readonly ITimer _ticker;
    private volatile IReadOnlyList<Upstream> _upstreams = [];

    /// <param name="changed">Called after backends were added or removed, with the removed ones.</param>
    public Topology(MonotonicClock clock, ILogger logger, int loops, Action<IReadOnlyList<Backend>> changed)
    {
        (_clock, _loops, _changed) = (clock, loops, changed);
        _names = new NameResolver(clock.Time, logger);
        _ticker = clock.Time.CreateTimer(_ => Tick(), null, TickInterval, TickInterval);
    }

    public IReadOnlyList<Upstream> Upstreams => _upstreams;

    /// <summary>Makes the upstreams match the configuration. Those that stay keep their state.</summary>
    public void Apply(IReadOnlyList<UpstreamConfig> configs)
    {
        IReadOnlyList<Upstream> before = _upstreams;
        var after = new List<Upstream>();
        var removed = before.ToDictionary(static u => u.Name, StringComparer.Ordinal);
        foreach (UpstreamConfig config in configs)
        {
            if (removed.Remove(config.Name, out Upstream? known))
            {
                known.Apply(config);
                after.Add(known);
            }
            else
            {
                after.Add(new Upstream(config, _clock, _loops) { MembersChanged = _changed });
            }
        }
        _upstreams = after;
        foreach (Backend backend in removed.Values.SelectMany(static u => u.Backends))
        {
            backend.Retire();
        }
        _changed([.. removed.Values.SelectMany(static u => u.Backends)]);
    }

    /// <summary>Looks up the names of backends, now and every 10 seconds from now on.</summary>
    public void Resolve() => _names.Apply(_upstreams);

    public async ValueTask DisposeAsync()
    {
        await _ticker.DisposeAsync();
        await _names.DisposeAsync();
    }

    private void Tick()
    {
        long now = _clock.NowNs;
        foreach (Upstream upstream in _upstreams)
        {
            upstream.Tick(now);
        }
    }
}
