using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>Active health checks: asks every backend of an upstream at its interval and keeps
/// <see cref="Backend.Health"/>. Runs on the thread pool, never on a loop. A backend's first check decides at once,
/// later ones by <c>rise</c> and <c>fall</c>. A change is logged once, with its cause.</summary>
internal sealed class HealthChecker : IAsyncDisposable
{
    /// <summary>Checks under way at once, so that a thousand backends do not mean a thousand sockets.</summary>
    private const int MaxParallel = 32;

    /// <summary>Each wait is longer or shorter by up to this share, so that checks spread out.</summary>
    private const double Jitter = 0.1;

    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly CancellationTokenSource _stop = new();
    private readonly SemaphoreSlim _slots = new(MaxParallel);
    private readonly List<Task> _tasks = [];

    public HealthChecker(TimeProvider time, ILogger logger)
    {
        _time = time;
        _logger = logger;
    }

    public void Apply(IEnumerable<Upstream> upstreams)
    {
        if (_tasks.Count > 0)
        {
            return;
        }
        foreach (Upstream upstream in upstreams)
        {
            if (upstream.Config.HealthCheck is not { } check)
            {
                continue;
            }
            foreach (Backend backend in upstream.Backends)
            {
                _tasks.Add(Task.Run(() => RunAsync(upstream, backend, check)));
            }
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_tasks);
        _stop.Dispose();
        _slots.Dispose();
    }

    private async Task RunAsync(Upstream upstream, Backend backend, HealthCheckConfig check)
    {
        using var probe = new HealthProbe(backend, check, _time);
        var streak = new CheckStreak(check.Rise, check.Fall);
        try
        {
            while (true)
            {
                await _slots.WaitAsync(_stop.Token);
                string? fault;
                try
                {
                    fault = await probe.RunAsync(_stop.Token);
                }
                finally
                {
                    _slots.Release();
                }
                if (streak.Add(fault is null, backend.Health.Health) is { } health)
                {
                    Change(upstream, backend, health, fault, streak);
                }
                double factor = 1 + (Jitter * ((2 * Random.Shared.NextDouble()) - 1));
                await Task.Delay(check.Interval * factor, _time, _stop.Token);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Stopping.
        }
        catch (Exception bug)
        {
            _logger.LogError(Events.Bug, bug, "health checks of {Backend} ended by an error of our own", backend);
        }
    }

    private void Change(Upstream upstream, Backend backend, BackendHealth health, string? fault, CheckStreak streak)
    {
        (int count, int of) = backend.Health.Health == BackendHealth.Unknown ? (1, 1) : (streak.Length, streak.Needed);
        backend.Health = new HealthState(health, fault, _time.GetUtcNow());
        int all = upstream.Backends.Count;
        int left = upstream.Backends.Count(static b => b.Health.Health != BackendHealth.Down);
        if (health == BackendHealth.Down)
        {
            _logger.LogWarning(Events.BackendDown,
                "backend {Backend} is DOWN: {Cause} ({Count} of {Of} checks), {Left} of {All} backends left",
                backend, fault, count, of, left, all);
        }
        else
        {
            _logger.LogInformation(Events.BackendUp,
                "backend {Backend} is UP: {Count} of {Of} checks passed, {Left} of {All} backends in use",
                backend, count, of, left, all);
        }
    }
}

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
}
