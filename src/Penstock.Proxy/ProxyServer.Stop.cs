using Microsoft.Extensions.Logging;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Observability;

namespace Penstock.Proxy;

/// <summary>The graceful stop.</summary>
public sealed partial class ProxyServer
{
    private const string StopsWord = "Penstock is stopping";

    private Task? _stopped;
    private volatile bool _stopping;

    /// <summary>A graceful stop has begun.</summary>
    public bool Stopping => _stopping;

    /// <summary>Stops gracefully: serves on for <see cref="TimeoutsConfig.DrainDelay"/>, closes the listeners and idle
    /// connections, waits up to <see cref="TimeoutsConfig.Shutdown"/> for exchanges in flight, then closes the
    /// remaining connections. A second call waits for the first. Thread-safe.</summary>
    /// <param name="hardStop">Ends the waits at once; only the first call's token counts.</param>
    public Task StopAsync(CancellationToken hardStop = default)
    {
        lock (_applying)
        {
            return _stopped ??= StopOnceAsync(hardStop);
        }
    }

    private async Task StopOnceAsync(CancellationToken hardStop)
    {
        _stopping = true;
        await DelayDrainAsync(hardStop);
        _workers.ForEach(static w => w.Loop.Post(w.Drain));
        Task drained = Task.WhenAll(_workers.Select(static w => w.Drained));
        try
        {
            await drained.WaitAsync(Config.Timeouts.Shutdown, _clock.Time, hardStop);
        }
        catch (Exception e) when (e is TimeoutException or OperationCanceledException)
        {
            if (OpenConnections > 0)
            {
                _logger.LogWarning(Events.DrainEnded,
                    "shutdown timeout reached: closing busy connections: {Count}", OpenConnections);
            }
        }

        foreach (Worker worker in _workers)
        {
            var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            if (worker.Loop.Post(() =>
            {
                worker.Abort();
                aborted.SetResult();
            }))
            {
                await aborted.Task;
            }
            worker.Loop.Stop();
            worker.Loop.Dispose();
        }
        await _health.DisposeAsync();
        await _topology.DisposeAsync();
        _accessLog?.Dispose();
    }

    /// <summary>Load balancers in front poll /readyz. Until they have seen that it fails, they still open connections,
    /// which must be served.</summary>
    private async Task DelayDrainAsync(CancellationToken hardStop)
    {
        if (_workers.Count > 0 && Config.Timeouts.DrainDelay > TimeSpan.Zero)
        {
            await Task.Delay(Config.Timeouts.DrainDelay, _clock.Time, hardStop)
                .ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Stops without waiting for exchanges in flight; does nothing after a stop.</summary>
    public async ValueTask DisposeAsync() => await StopAsync(new CancellationToken(canceled: true));
}
