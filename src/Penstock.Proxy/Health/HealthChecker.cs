using Microsoft.Extensions.Logging;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>Active health checks: sends every backend a request (or connects to it) at the upstream's interval and sets
/// <see cref="Backend.Health"/>. It runs on the thread pool, never on a loop. A change of health is logged once, with
/// its cause. A backend has at most one check in flight, and its checks do not wait for those of other backends: a
/// common bound would let backends that hang delay the others. So checks use at most one file descriptor per backend,
/// which <see cref="Descriptors"/> reserves. Thread-safe.</summary>
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

    /// <summary>Called after every check that passed or failed: the backend, whether it passed, and how many passes in
    /// a row bring the backend up.</summary>
    public Action<Backend, bool, int>? Checked { get; init; }

    public HealthChecker(TimeProvider time, ILogger logger)
    {
        _time = time;
        _logger = logger;
    }

    /// <summary>Checks the backends of these upstreams from now on, and no others. With an unchanged configuration a
    /// backend keeps its streak; with a changed one it keeps only its health. A backend that is no longer checked
    /// becomes Unknown, because nothing would ever correct its health.</summary>
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
                    "backend {Backend} is used again: it is no longer checked", backend);
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

/// <summary>What the checks of all backends have in common.</summary>
internal sealed record CheckTools(TimeProvider Time, ILogger Logger, SelfDelay SelfDelay,
    Action<Backend, bool, int>? Checked);
