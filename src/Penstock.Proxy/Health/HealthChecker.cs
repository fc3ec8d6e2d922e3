using Microsoft.Extensions.Logging;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>Active health checks: asks every backend of an upstream at its interval and keeps
/// <see cref="Backend.Health"/>. Runs on the thread pool, never on a loop. What is checked may change at any time. A
/// change of health is logged once, with its cause. Each backend has one check under way at most, and waits for no
/// other one's: a bound on all of them would let those that hang delay the others. So checks never hold more
/// descriptors than there are backends, which are kept for them, and hardly any while those answer.
/// Thread-safe.</summary>
internal sealed class HealthChecker : IAsyncDisposable
{
    private readonly Lock _lock = new();
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly Dictionary<Backend, BackendChecks> _running = [];
    private readonly List<Task> _ending = [];
    private SelfDelay? _selfDelay;
    private int _expected;
    private bool _disposed;

    /// <summary>Told of every check that says something: passed or not, and how many passed in a row bring its
    /// backend up.</summary>
    public Action<Backend, bool, int>? Checked { get; init; }

    public HealthChecker(TimeProvider time, ILogger logger)
    {
        _time = time;
        _logger = logger;
    }

    /// <summary>From now on the backends of these upstreams are checked, and no others. A backend that was checked
    /// before, under equal settings, goes on with its streak; under new settings with its health only. One that is no
    /// longer checked loses the health that checks gave it: nothing would ever correct it.</summary>
    public void Apply(IEnumerable<Upstream> upstreams)
    {
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }
            var gone = new Dictionary<Backend, BackendChecks>(_running);
            foreach (Upstream upstream in upstreams)
            {
                foreach (Backend backend in upstream.Backends)
                {
                    gone.Remove(backend, out BackendChecks? checks);
                    Apply(upstream, backend, checks);
                }
            }
            foreach (Backend backend in gone.Keys)
            {
                Stop(backend);
            }
            KeepDescriptors();
        }
    }

    public async ValueTask DisposeAsync()
    {
        lock (_lock)
        {
            _disposed = true;
            foreach (Backend backend in _running.Keys.ToArray())
            {
                Stop(backend);
            }
            KeepDescriptors();
        }
        await Task.WhenAll(_ending);
        _selfDelay?.Dispose();
    }

    private void Apply(Upstream upstream, Backend backend, BackendChecks? checks)
    {
        if (checks is not null && checks.Config == upstream.Config.HealthCheck)
        {
            checks.Upstream = upstream;
            return;
        }
        if (checks is not null)
        {
            Stop(backend);
        }
        if (upstream.Config.HealthCheck is { } config)
        {
            if (backend.Health.Health == BackendHealth.Unknown && config.Initial != InitialHealth.Check)
            {
                backend.Health = config.Initial == InitialHealth.Up
                    ? new HealthState(BackendHealth.Up, null, _time.GetUtcNow())
                    : new HealthState(BackendHealth.Down, "not checked yet", _time.GetUtcNow());
            }
            _selfDelay ??= new SelfDelay(_time);
            _running[backend] = BackendChecks.Start(upstream, backend, config,
                new CheckTools(_time, _logger, _selfDelay, Checked));
        }
        else if (checks is not null && backend.Health.Health != BackendHealth.Unknown)
        {
            BackendHealth was = backend.Health.Health;
            backend.Health = new HealthState(BackendHealth.Unknown, null, _time.GetUtcNow());
            if (was == BackendHealth.Down)
            {
                _logger.LogInformation(Events.BackendUp,
                    "backend {Backend} may be used again: it is no longer checked", backend);
            }
        }
    }

    private void KeepDescriptors()
    {
        Descriptors.ExpectChecks(_running.Count - _expected);
        _expected = _running.Count;
    }

    private void Stop(Backend backend)
    {
        if (_running.Remove(backend, out BackendChecks? checks))
        {
            _ending.RemoveAll(static t => t.IsCompleted);
            _ending.Add(checks.DisposeAsync().AsTask());
        }
    }
}

/// <summary>What the checks of all backends share.</summary>
internal sealed record CheckTools(TimeProvider Time, ILogger Logger, SelfDelay SelfDelay,
    Action<Backend, bool, int>? Checked);
