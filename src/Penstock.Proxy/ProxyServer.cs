using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Health;
using Penstock.Proxy.Observability;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy;

/// <summary>The operator asked for something that this machine does not give: the message says what and why.</summary>
public sealed class ProxyStartException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>The data plane: listeners, event loops, health checks and the limiter, from start to graceful stop. Its
/// public members are thread-safe.</summary>
public sealed class ProxyServer : IAsyncDisposable
{
    private readonly MonotonicClock _clock;
    private readonly Snapshot _snapshot;
    private readonly ConnectionBounds _bounds;
    private readonly ILogger _logger;
    private readonly HealthChecker _health;
    private readonly NameResolver _names;
    private readonly List<EndPoint> _endPoints = [];
    private readonly List<Worker> _workers = [];
    private AccessLog? _accessLog;
    private bool _stopped;
    private volatile bool _stopping;

    /// <param name="config">Valid, see the loader.</param>
    /// <param name="time">For tests; the system's by default.</param>
    public ProxyServer(ProxyConfig config, ILoggerFactory loggers, TimeProvider? time = null)
    {
        ArgumentNullException.ThrowIfNull(config);
        _clock = new MonotonicClock(time ?? TimeProvider.System);
        _logger = loggers.CreateLogger("penstock");
        Limiter = new Limiter(config, _clock);
        _snapshot = new Snapshot(config, Limiter);
        _bounds = new ConnectionBounds(config.Bounds.Connections, config.Bounds.ConnectionsPerAddress,
            () => _workers.Sum(static w => w.Loop.OpenSources - w.Loop.IdleSources));
        _health = new HealthChecker(_clock.Time, _logger);
        _names = new NameResolver(_clock.Time, _logger);
    }

    public ProxyConfig Config => _snapshot.Config;

    /// <summary>Every client's bucket; may be filled before the start.</summary>
    public Limiter Limiter { get; }

    /// <summary>Where it listens: as configured, with the real port where 0 was asked for.</summary>
    public IReadOnlyList<EndPoint> EndPoints => _endPoints;

    /// <summary>A graceful stop has begun.</summary>
    public bool Stopping => _stopping;

    internal IReadOnlyList<Worker> Workers => _workers;

    /// <summary>Client connections now open.</summary>
    public int OpenConnections => _workers.Sum(static w => w.Counters.OpenConnections);

    /// <summary>Requests answered since start.</summary>
    public long Requests => _workers.Sum(static w => w.Counters.Requests);

    /// <summary>Requests that a limit rejected since start.</summary>
    public long Rejected => _workers.Sum(static w => w.Counters.Rejected);

    /// <summary>Binds every listener and begins to serve.</summary>
    /// <exception cref="ProxyStartException">A listener's address or the access log cannot be had.</exception>
    public void Start()
    {
        int loops = Config.Loops > 0 ? Config.Loops : Environment.ProcessorCount;
        _accessLog = OpenAccessLog();
        List<Socket[]> sockets = BindAll(loops);
        _names.Start(_snapshot.Upstreams.SelectMany(static u => u.Backends));
        _health.Start(_snapshot.Upstreams);
        for (int i = 0; i < loops; i++)
        {
            var loop = new Loop(i, _clock, bug =>
                _logger.LogError(Events.Bug, bug, "an event loop met an error of our own"));
            var worker = new Worker(loop, _snapshot, _clock, _bounds, _accessLog, _logger)
            {
                CloseIdleEverywhere = () => _workers.ForEach(static w => w.Loop.Post(w.CloseIdle)),
            };
            foreach ((Socket[] perLoop, ListenerConfig listener) in sockets.Zip(Config.Listeners))
            {
                if (i < perLoop.Length)
                {
                    worker.Listen(perLoop[i], listener);
                }
            }
            _workers.Add(worker);
        }
        _workers.ForEach(static w => w.Loop.Start());
    }

    /// <summary>A picture of every upstream, taken now.</summary>
    public IReadOnlyList<UpstreamStatus> Upstreams() => [.. _snapshot.Upstreams.Select(u => new UpstreamStatus(
        u.Name, u.Config.Balance, [.. u.Backends.Select(b => new BackendStatus(
            b.Address, b.Weight, b.Config.Backup, b.Config.MaxConnections, b.Health.Health, b.Health.Cause,
            b.Health.ChangedAt, b.InFlight, _workers.Sum(w => w.PoolOf(b).Requests),
            _workers.Sum(w => w.PoolOf(b).Failures)))]))];

    /// <summary>Stops gracefully: closes the listeners and idle connections, lets exchanges under way end within
    /// <see cref="TimeoutsConfig.Shutdown"/>, then closes what is left.</summary>
    /// <param name="hardStop">Ends the waiting.</param>
    public async Task StopAsync(CancellationToken hardStop = default)
    {
        if (_stopped)
        {
            return;
        }
        _stopped = _stopping = true;
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
                    "{Count} connections are cut: still busy at the end of the drain", OpenConnections);
            }
        }

        foreach (Worker worker in _workers)
        {
            var aborted = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            worker.Loop.Post(() =>
            {
                worker.Abort();
                aborted.SetResult();
            });
            await aborted.Task;
            worker.Loop.Stop();
            worker.Loop.Dispose();
        }
        await _health.DisposeAsync();
        await _names.DisposeAsync();
        _accessLog?.Dispose();
    }

    public async ValueTask DisposeAsync() => await StopAsync(new CancellationToken(canceled: true));

    private List<Socket[]> BindAll(int loops)
    {
        List<Socket[]> sockets = [];
        foreach (ListenerConfig listener in Config.Listeners)
        {
            try
            {
                sockets.Add(Listener.BindEach(listener.Address, loops));
            }
            catch (SocketException e)
            {
                sockets.SelectMany(static s => s).ToList().ForEach(static s => s.Dispose());
                throw new ProxyStartException($"cannot listen on {listener.Text}: {e.Message}", e);
            }
            _endPoints.Add(sockets[^1][0].LocalEndPoint!);
        }
        return sockets;
    }

    private AccessLog? OpenAccessLog()
    {
        if (string.Equals(Config.AccessLog, "off", StringComparison.Ordinal))
        {
            return null;
        }
        try
        {
            return new AccessLog(Config.AccessLog, _logger);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ProxyStartException($"cannot write the access log {Config.AccessLog}: {e.Message}", e);
        }
    }
}
