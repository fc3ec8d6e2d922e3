using Microsoft.Extensions.Logging;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>Finds out which backends are healthy, by active checks and by live traffic. Thread-safe.</summary>
internal sealed class UpstreamHealth : IAsyncDisposable
{
    private readonly PassiveHealth _passive;
    private readonly HealthChecker _checker;

    public UpstreamHealth(MonotonicClock clock, ILogger logger)
    {
        _passive = new PassiveHealth(clock, logger);
        _checker = new HealthChecker(clock.Time, logger) { Checked = _passive.OnChecked };
    }

    /// <summary>Watches these upstreams from now on, and no others.</summary>
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
