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

/// <summary>The machine does not allow what the configuration asks for, for example a listener's address. The message
/// says what failed and why.</summary>
public sealed class ProxyStartException(string message, Exception? inner = null) : Exception(message, inner);

/// <summary>The data plane: listeners, event loops, health checks and the limiter, from start to graceful stop. Its
/// public members are thread-safe.</summary>
public sealed partial class ProxyServer : IAsyncDisposable
{
    /// <summary>How long <see cref="Apply"/> waits for the loops. A loop that is busy for longer uses the new
    /// configuration later.</summary>
    private static readonly TimeSpan LoopTimeout = TimeSpan.FromSeconds(5);

    /// <summary>Below this number of possible client connections a warning is logged at start.</summary>
    private const int FewClients = 256;

    private readonly MonotonicClock _clock;
    private readonly ConnectionBounds _bounds;
    private readonly ILogger _logger;
    private readonly int _loops;
    private readonly Topology _topology;
    private readonly RouteNumbers _routeNumbers = new();
    private readonly UpstreamHealth _health;
    private readonly Lock _applying = new();
    private readonly List<(ListenerConfig Config, EndPoint EndPoint, Socket[] Sockets)> _listeners = [];
    private readonly List<Worker> _workers = [];
    private volatile Snapshot _snapshot; // null only until the end of the constructor

    /// <param name="config">Valid, see the loader.</param>
    /// <param name="time">The clock; default: the system's.</param>
    /// <param name="sharesTokens">The tokens of registered clients are leased from buckets that nodes share.</param>
    /// <exception cref="ProxyStartException">A listener's TLS cannot be used.</exception>
    public ProxyServer(ProxyConfig config, ILoggerFactory loggers, TimeProvider? time = null, bool sharesTokens = false)
    {
        ArgumentNullException.ThrowIfNull(config);
        _clock = new MonotonicClock(time ?? TimeProvider.System);
        _logger = loggers.CreateLogger("penstock");
        _loops = config.LoopCount;
        Limiter = new Limiter(config, _clock, sharesTokens);
        _health = new UpstreamHealth(_clock, _logger);
        _topology = new Topology(_clock, _logger, _loops, OnBackendsChanged);
        _topology.Apply(config.Upstreams);
        _snapshot = new Snapshot(config, Limiter, _topology.Upstreams, SettingsOf(config), _routeNumbers);
        _bounds = new ConnectionBounds(CountSockets);
        _bounds.Apply(config.Bounds.Connections, config.Bounds.ConnectionsPerAddress);
    }

    /// <summary>The configuration in force.</summary>
    public ProxyConfig Config => _snapshot.Config;

    internal Topology Topology => _topology;

    /// <summary>The buckets of all clients. Clients may be registered before <see cref="Start"/>.</summary>
    public Limiter Limiter { get; }

    /// <summary>The addresses it listens on, as URLs: as configured, with the real port in place of port 0.</summary>
    public IReadOnlyList<string> Urls
    {
        get
        {
            lock (_applying)
            {
                return [.. _listeners.Select(static l => l.EndPoint is UnixDomainSocketEndPoint ? $"unix:{l.EndPoint}"
                    : $"{(l.Config.Tls is null ? "http" : "https")}://{l.EndPoint}")];
            }
        }
    }

    /// <summary>The addresses it listens on: as configured, with the real port in place of port 0.</summary>
    public IReadOnlyList<EndPoint> EndPoints
    {
        get
        {
            lock (_applying)
            {
                return [.. _listeners.Select(static l => l.EndPoint)];
            }
        }
    }

    internal IReadOnlyList<Worker> Workers => _workers;

    /// <summary>Client connections that are open now.</summary>
    public long OpenConnections => Counters.Sum(static c => c.Open);

    /// <summary>Requests that have ended since start.</summary>
    public long Requests => Counters.Sum(static c => c.Requests.Sum(static r => r.Count));

    private IEnumerable<ListenerCounters> Counters => _workers.SelectMany(static w => w.Counters);

    /// <summary>The last requests that limits rejected, the newest first; at most <paramref name="most"/>.</summary>
    public IReadOnlyList<Rejection> LastRejections(int most) =>
        [.. _workers.SelectMany(static w => w.Rejections.GetLast()).OrderByDescending(static r => r.Time).Take(most)];

    /// <summary>The clients with the most rejected requests since start, in descending order; at most
    /// <paramref name="most"/>.</summary>
    public IReadOnlyList<LimitedClient> MostLimited(int most) =>
    [
        .. _workers.SelectMany(w => w.Rejections.GetCounts(_clock.NowNs)).GroupBy(static c => c.Key)
            .Select(static same => same.First().Client with
            {
                Rejected = same.Sum(static c => c.Client.Rejected),
                Error = same.Sum(static c => c.Client.Error),
                Last = same.Max(static c => c.Client.Last),
            })
            .OrderByDescending(static c => c.Rejected).Take(most),
    ];

    /// <summary>Binds every listener and begins to serve. Call it once.</summary>
    /// <param name="beforeListening">Called when everything else is ready; its exceptions end the start.</param>
    /// <exception cref="ProxyStartException">A listener cannot be bound, or the access log cannot be
    /// opened.</exception>
    public void Start(Action? beforeListening = null)
    {
        _accessLog = OpenAccessLog(Config.AccessLog.To);
        List<(ListenerConfig Config, Socket[] Sockets)> bound = Bind(Config.Listeners);
        _topology.Resolve();
        _health.Apply(_topology.Upstreams);
        for (int i = 0; i < _loops; i++)
        {
            var loop = new Loop(i, _clock, bug =>
                _logger.LogError(Events.Bug, bug, "bug in Penstock: unexpected exception on an event loop"));
            _workers.Add(new Worker(loop, _snapshot, _clock, _bounds, _accessLog, _logger)
            {
                CloseIdleEverywhere = CloseIdle,
            });
        }
        _bounds.CountOwn(bound.Sum(static b => b.Sockets.Length));
        _workers.ForEach(static w => w.Loop.Start());
        beforeListening?.Invoke();
        Listen(bound);
    }

    /// <summary>Changes listeners, upstreams, backends, routes, limits, timeouts, bounds and the access log in place,
    /// while traffic flows. What stays configured keeps its health, connections, buckets and rotation; an exchange in
    /// flight ends with the configuration that it began with. Returns when every loop uses the new configuration, or
    /// after 5 seconds.</summary>
    /// <param name="config">Valid, see the loader.</param>
    /// <returns>Keys that did not take effect: <c>limits</c>, which stay as they are when there are thousands of them.
    /// Keys that are read at start only (<see cref="ProxyConfig.Loops"/>, <see cref="ClientsConfig.MaxTracked"/>,
    /// <see cref="ClientsConfig.SaveUnregistered"/>) are ignored.</returns>
    /// <exception cref="ProxyStartException">A new listener cannot be bound, the mode of a socket's file cannot be
    /// changed, the access log cannot be opened, or a stop has begun. No loop has the new configuration
    /// then.</exception>
    public IReadOnlyList<string> Apply(ProxyConfig config)
    {
        ArgumentNullException.ThrowIfNull(config);
        lock (_applying)
        {
            if (_stopping)
            {
                throw new ProxyStartException(StopsWord);
            }
            List<string> later = [];
            IReadOnlyDictionary<string, ListenerSettings> settings = SettingsOf(config);
            ApplyInPlace(config.Listeners);
            var added = config.Listeners.Where(n => !_listeners.Exists(l => l.Config == n)).ToList();
            var removed = _listeners.Where(l => !config.Listeners.Contains(l.Config)).ToList();
            (AccessLog? log, AccessLog? wasLog) = (AccessLogFor(config.AccessLog.To), _accessLog);
            List<(ListenerConfig Config, Socket[] Sockets)> bound;
            try
            {
                bound = Bind(added);
            }
            catch (ProxyStartException)
            {
                EndAccessLog(log, unless: wasLog);
                throw;
            }

            if (!Limiter.TryApply(config))
            {
                later.Add("limits");
            }
            _topology.Apply(config.Upstreams);
            _topology.Resolve();
            _snapshot = new Snapshot(config, Limiter, _topology.Upstreams, settings, _routeNumbers);
            _bounds.Apply(config.Bounds.Connections, config.Bounds.ConnectionsPerAddress);
            _accessLog = log;
            OnEachLoop(worker =>
            {
                worker.Apply(_snapshot, log);
                removed.ForEach(l => worker.CloseListener(l.Config.Text));
            });
            EndAccessLog(wasLog, unless: log);
            _listeners.RemoveAll(removed.Contains);
            Listen(bound);
            List<ListenerConfig> order = [.. config.Listeners];
            _listeners.Sort((one, other) => order.IndexOf(one.Config) - order.IndexOf(other.Config));
            _health.Apply(_topology.Upstreams);
            return later;
        }
    }

    /// <summary>Replaces the settings of listeners whose sockets stay; a path cannot be bound twice, so the mode of a
    /// socket's file is changed, too.</summary>
    private void ApplyInPlace(IReadOnlyList<ListenerConfig> wanted)
    {
        for (int i = 0; i < _listeners.Count; i++)
        {
            (ListenerConfig now, EndPoint endPoint, Socket[] sockets) = _listeners[i];
            if (wanted.FirstOrDefault(now.HasSocketOf) is not { } next)
            {
                continue;
            }
            try
            {
                if (next.Mode is { } mode && next.Mode != now.Mode)
                {
                    File.SetUnixFileMode(next.Address.ToString()!, mode);
                }
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new ProxyStartException($"cannot change the mode of {next.Text}: {e.Message}", e);
            }
            _listeners[i] = (next, endPoint, sockets);
        }
    }

    /// <summary>The state of every upstream and its backends now.</summary>
    public IReadOnlyList<UpstreamStatus> Upstreams() =>
        [.. _topology.Upstreams.Select(u => UpstreamStatus.Of(u, _clock))];

    /// <summary>What Penstock would do with a request now. Changes nothing. A pick that depends on random numbers is
    /// the one that the first loop would make.</summary>
    /// <exception cref="ProxyStartException">Penstock has stopped.</exception>
    public async Task<Explanation> ExplainAsync(HypotheticalRequest request)
    {
        var explained = new TaskCompletionSource<Explanation>(TaskCreationOptions.RunContinuationsAsynchronously);
        bool posted = _workers[0].Loop.Post(() =>
        {
            try
            {
                Worker worker = _workers[0];
                var context = new ExplainContext(worker.Snapshot, worker.Random, worker.Loop.NowNs);
                explained.SetResult(Explainer.Explain(context, request));
            }
            catch (Exception bug)
            {
                explained.SetException(bug);
            }
        });
        return posted ? await explained.Task : throw new ProxyStartException(StopsWord);
    }

    /// <summary>Binds all of the listeners or none.</summary>
    private List<(ListenerConfig Config, Socket[] Sockets)> Bind(IEnumerable<ListenerConfig> listeners)
    {
        List<(ListenerConfig Config, Socket[] Sockets)> bound = [];
        foreach (ListenerConfig listener in listeners)
        {
            if (!_bounds.HasRoom(bound.Sum(static b => b.Sockets.Length) + _loops))
            {
                bound.SelectMany(static b => b.Sockets).ToList().ForEach(static s => s.Dispose());
                throw new ProxyStartException($"cannot listen on {listener.Text}: {_bounds.Shortage}");
            }
            try
            {
                bound.Add((listener, Listener.BindEach(
                    listener.Address, _loops, listener.Mode, inherited: TakeInherited(listener.Address))));
            }
            catch (Exception e) when (e is SocketException or IOException or UnauthorizedAccessException)
            {
                bound.SelectMany(static b => b.Sockets).ToList().ForEach(static s => s.Dispose());
                throw new ProxyStartException(
                    $"cannot listen on {listener.Text}: {ListenFault.Explain(e, listener.Address)}", e);
            }
        }
        return bound;
    }

    /// <summary>Runs an action on every loop. Returns when all have run it, or after
    /// <see cref="LoopTimeout"/>.</summary>
    private void OnEachLoop(Action<Worker> action)
    {
        var left = new CountdownEvent(_workers.Count);
        foreach (Worker worker in _workers)
        {
            bool posted = worker.Loop.Post(() =>
            {
                action(worker);
                left.Signal();
            });
            if (!posted)
            {
                left.Signal();
            }
        }
        left.Wait(LoopTimeout);
    }

    private void Listen(List<(ListenerConfig Config, Socket[] Sockets)> bound)
    {
        foreach ((ListenerConfig config, Socket[] sockets) in bound)
        {
            _listeners.Add((config, sockets[0].LocalEndPoint!, sockets));
            for (int i = 0; i < sockets.Length; i++)
            {
                (Worker worker, Socket socket) = (_workers[i % _workers.Count], sockets[i]);
                if (!worker.Loop.Post(() => worker.Listen(socket, config)))
                {
                    socket.Dispose();
                }
            }
        }
    }

    private void CloseIdle()
    {
        foreach (Worker worker in _workers.Where(static w => w.Loop.IdleSources > 0))
        {
            worker.Loop.Post(worker.CloseIdle);
        }
    }

    private int CountSockets()
    {
        int count = 0;
        foreach (Worker worker in _workers)
        {
            count += worker.Loop.OpenSources;
        }
        return count;
    }

    /// <summary>Counts the file descriptors that the program itself needs, and logs a warning when few are left for
    /// clients. Call it when everything else has been started.</summary>
    public void CountDescriptors()
    {
        _bounds.CountOwn(CountSockets());
        if (_bounds.Share / 2 < FewClients)
        {
            _logger.LogWarning(Events.FewDescriptors,
                "only {Clients} client connections can be open: the process may have {Descriptors} descriptors, "
                + "raise LimitNOFILE for more", _bounds.Share / 2, Descriptors.Limit);
        }
    }

    private void OnBackendsChanged(IReadOnlyList<Backend> gone)
    {
        if (gone.Count > 0)
        {
            _workers.ForEach(w => w.Loop.Post(() => w.CloseIdle(gone)));
        }
        if (_workers.Count > 0)
        {
            _health.Apply(_topology.Upstreams);
        }
    }
}
