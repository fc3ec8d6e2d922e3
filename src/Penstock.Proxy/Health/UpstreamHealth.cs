using Microsoft.Extensions.Logging;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>All that is done to know how backends are: active checks, and ejection by live traffic. Thread-safe.
/// </summary>
internal sealed class UpstreamHealth : IAsyncDisposable
{
    private readonly PassiveHealth _passive;
    private readonly HealthChecker _checker;

    public UpstreamHealth(MonotonicClock clock, ILogger logger)
    {
        _passive = new PassiveHealth(clock, logger);
        _checker = new HealthChecker(clock.Time, logger) { Checked = _passive.OnChecked };
    }

    /// <summary>From now on these upstreams are looked after, and no others; see the two.</summary>
    public void Apply(IReadOnlyList<Upstream> upstreams)
    {
        _passive.Apply(upstreams);
        _checker.Apply(upstreams);
    }

    public async ValueTask DisposeAsync()
    {
        await _checker.DisposeAsync();
        await _passive.DisposeAsync();
    }
}
