using Microsoft.Extensions.Logging;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>Runs the health checks of one backend with one configuration, one after the other, until disposed.
/// Thread-safe.</summary>
internal sealed class BackendChecks : IAsyncDisposable
{
    /// <summary>Each wait is longer or shorter by up to this share, so that the checks of many backends spread
    /// out.</summary>
    private const double Jitter = 0.1;

    private readonly Lock _lock = new();
    private readonly Backend _backend;
    private readonly CheckTools _tools;
    private readonly CheckStreak _streak;
    private readonly CancellationTokenSource _stop = new();
    private readonly TimeSpan _fastInterval;
    private Task _running = Task.CompletedTask;
    private volatile Upstream _upstream;
    private bool _stopped;
    private bool _inconclusive;

    private BackendChecks(Upstream upstream, Backend backend, HealthCheckConfig config, CheckTools tools)
    {
        _upstream = upstream;
        _backend = backend;
        Config = config;
        _tools = tools;
        _streak = new CheckStreak(config.Rise, config.Fall);
        _fastInterval = config.FastInterval ?? config.Interval / 2;
    }

    public HealthCheckConfig Config { get; }

    /// <summary>The upstream that the backend belongs to now. Log lines count its backends.</summary>
    public Upstream Upstream
    {
        set => _upstream = value;
    }

    public static BackendChecks Start(Upstream upstream, Backend backend, HealthCheckConfig config, CheckTools tools)
    {
        var checks = new BackendChecks(upstream, backend, config, tools);
        checks._running = Task.Run(checks.RunAsync);
        return checks;
    }

    /// <summary>Stops the checks. From the moment this method returns, they no longer change the backend's health; the
    /// returned task ends later.</summary>
    public ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            _stopped = true;
        }
        return new ValueTask(EndAsync());

        async Task EndAsync()
        {
            await _stop.CancelAsync();
            await _running;
            _stop.Dispose();
        }
    }

    private async Task RunAsync()
    {
        try
        {
            var probe = new HealthProbe(_backend, Config, _tools.Time, _tools.SelfDelay);
            while (true)
            {
                long startedAt = _tools.Time.GetTimestamp();
                probe.ProxyProtocolVersion = _upstream.Config.SendProxyVersion;
                OnResult(await probe.RunAsync(_stop.Token));
                TimeSpan interval = _streak.IsUrgent(_backend.Health.Health) ? _fastInterval : Config.Interval;
                double factor = 1 + (Jitter * ((2 * Random.Shared.NextDouble()) - 1));
                TimeSpan wait = (interval * factor) - _tools.Time.GetElapsedTime(startedAt);
                // Wait also when a check took longer than its interval: backend and Penstock need some time in between.
                TimeSpan least = interval / 10;
                await Task.Delay(wait > least ? wait : least, _tools.Time, _stop.Token);
            }
        }
        catch (OperationCanceledException) when (_stop.IsCancellationRequested)
        {
            // Stopping.
        }
        catch (Exception bug)
        {
            _tools.Logger.LogError(Events.Bug, bug, 
                "bug in Penstock: checks of {Backend} ended with an unexpected exception; its health stays as it is",
                _backend);
        }
    }

    private void OnResult(CheckResult result)
    {
        lock (_lock)
        {
            if (_stopped)
            {
                return;
            }
            if (result.Verdict == CheckVerdict.Inconclusive)
            {
                if (!_inconclusive)
                {
                    _tools.Logger.LogWarning(Events.CheckInconclusive,
                        "backend {Backend} cannot be checked: {Cause}; its health stays as it is",
                        _backend, result.Cause);
                }
                _inconclusive = true;
                return;
            }
            _inconclusive = false;
            bool passed = result.Verdict == CheckVerdict.Passed;
            _backend.CountCheck(passed);
            if (!passed)
            {
                _tools.Logger.LogDebug(Events.CheckFailed, "a check of backend {Backend} failed: {Cause}", _backend,
                    result.Cause);
            }
            if (_streak.Add(passed, _backend.Health.Health) is { } health)
            {
                SetHealth(health, result.Cause);
            }
            _tools.Checked?.Invoke(_backend, passed, Config.Rise);
        }
    }

    private void SetHealth(BackendHealth health, string? fault)
    {
        (int count, int of) = _backend.Health.Health == BackendHealth.Unknown
            ? (1, 1) : (_streak.Length, _streak.Needed);
        _backend.Health = new HealthState(health, fault, _tools.Time.GetUtcNow());
        Upstream upstream = _upstream;
        int all = upstream.Backends.Count;
        int left = upstream.Backends.Count(static b => b.Health.Health != BackendHealth.Down);
        if (health == BackendHealth.Down)
        {
            _tools.Logger.LogWarning(Events.BackendDown,
                "backend {Backend} is DOWN: {Cause} ({Count} of {Of} checks failed); {Left} of {All} backends left",
                _backend, fault, count, of, left, all);
        }
        else
        {
            _tools.Logger.LogInformation(Events.BackendUp,
                "backend {Backend} is UP: {Count} of {Of} checks passed, {Left} of {All} backends in use",
                _backend, count, of, left, all);
        }
    }
}
