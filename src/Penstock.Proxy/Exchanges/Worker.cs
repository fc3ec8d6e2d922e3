using System.Buffers.Binary;
using System.Buffers.Text;
using System.Net.Sockets;
using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Penstock.Proxy.Balancing;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Observability;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>Everything that one event loop uses to serve requests. No loop shares it with another one. The control
/// plane may read the counters, which only the loop writes.</summary>
internal sealed class Worker
{
    private const int MaxSpareExchanges = 1024;

    private readonly Stack<Exchange> _spareExchanges = new();
    private readonly Stack<TokenWait> _spareTokenWaits = new();
    private readonly HashSet<ClientConnection> _clients = [];
    private readonly List<ListenerPort> _ports = [];
    private readonly MonotonicClock _clock;
    private readonly ulong _requestIdSeed;
    private readonly TaskCompletionSource _drained = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile ListenerCounters[] _counters = [];
    private ulong _requestCount;

    public Worker(Loop loop, Snapshot snapshot, MonotonicClock clock, ConnectionBounds bounds,
        AccessLog? accessLog, ILogger logger)
    {
        Loop = loop;
        Snapshot = snapshot;
        Access = new AccessRecorder(loop, clock.Time, snapshot, accessLog);
        _clock = clock;
        Bounds = bounds;
        Logger = logger;
        Span<byte> seed = stackalloc byte[8];
        RandomNumberGenerator.Fill(seed);
        _requestIdSeed = BinaryPrimitives.ReadUInt64LittleEndian(seed);
        Random = new PickRandom(_requestIdSeed);
        Rejections = new Rejections(clock.Time);
    }

    public Loop Loop { get; }

    /// <summary>The configuration for the next requests. Only the loop changes it.</summary>
    public Snapshot Snapshot { get; private set; }

    /// <summary>Random numbers for the balancers.</summary>
    public PickRandom Random { get; }
    public ILogger Logger { get; }
    public AccessRecorder Access { get; }
    public ConnectionBounds Bounds { get; }

    /// <summary>What this loop has counted, by listener, also for closed ones. Thread-safe.</summary>
    public IReadOnlyList<ListenerCounters> Counters => _counters;

    /// <summary>The time now. <see cref="EventLoop.Loop.NowNs"/> is the time at which the loop's round began.</summary>
    public long ExactNowNs => _clock.NowNs;

    public Rejections Rejections { get; }

    /// <summary>Penstock stops, or another process has taken over: every response is the last on its
    /// connection.</summary>
    public bool Draining { get; private set; }

    public ConnectionPool PoolOf(Backend backend) => backend.PoolOf(Loop);

    public void Listen(Socket socket, ListenerConfig config)
    {
        ListenerPort port = null!;
        port = new(CountersOf(config.Text), Snapshot.Listeners[config.Text])
        {
            Listener = new Listener(Loop, socket, client => Accept(client, port), WhyNotAccept, cause =>
                Logger.LogWarning(Events.AcceptPaused, "accepting pauses: {Cause}", cause)),
        };
        _ports.Add(port);
    }

    /// <summary>Starts to open a connection to a backend, if there is a file descriptor for it; see
    /// <see cref="ConnectionPool.Dial"/>.</summary>
    public BackendConnection? Dial(ConnectionPool pool, BackendAddress? address, out SocketError error)
    {
        if (HasRoom())
        {
            return pool.Dial(address, out error);
        }
        error = SocketError.TooManyOpenSockets;
        return null;
    }

    /// <summary>Logs, at most every ten seconds, why requests get no backend connection.</summary>
    public void TellShortage()
    {
        if (Bounds.MayTellShortage(Loop.NowMs))
        {
            Logger.LogWarning(Events.NoDescriptors,
                "no backend connection can be opened, requests are answered 503: {Cause}", Bounds.Shortage);
        }
    }

    /// <summary>Replaces the configuration. Exchanges in flight end with the one that they began with.</summary>
    public void Apply(Snapshot snapshot, AccessLog? accessLog)
    {
        Snapshot = snapshot;
        Access.Apply(snapshot, accessLog);
        foreach (ListenerPort port in _ports)
        {
            port.Settings = snapshot.Listeners.GetValueOrDefault(port.Counters.Listener, port.Settings);
        }
        _spareExchanges.Clear(); // they have the old bounds
    }

    /// <summary>Closes a listener. Open connections stay.</summary>
    public void CloseListener(string text)
    {
        foreach (ListenerPort port in _ports.Where(p => p.Counters.Listener == text))
        {
            port.Listener.Close();
        }
        _ports.RemoveAll(p => p.Counters.Listener == text);
    }

    public void Remove(ClientConnection client)
    {
        if (_clients.Remove(client))
        {
            client.Counters.CountClosed();
            Bounds.Leave();
            if (client.CountedAs is { } address)
            {
                Bounds.LeaveAddress(address);
            }
        }
        if (Draining && _clients.Count == 0)
        {
            _drained.TrySetResult();
        }
    }

    public Exchange RentExchange() => _spareExchanges.TryPop(out Exchange? exchange) ? exchange
        : new Exchange(Snapshot.HeadBounds);

    public void ReturnExchange(Exchange exchange)
    {
        exchange.Reset();
        if (_spareExchanges.Count < MaxSpareExchanges && exchange.Bounds == Snapshot.HeadBounds)
        {
            _spareExchanges.Push(exchange);
        }
    }

    public TokenWait RentTokenWait() => _spareTokenWaits.TryPop(out TokenWait? wait) ? wait : new TokenWait(Loop);

    public void ReturnTokenWait(TokenWait wait)
    {
        if (_spareTokenWaits.Count < MaxSpareExchanges)
        {
            _spareTokenWaits.Push(wait);
        }
    }

    /// <summary>A new X-Request-Id: 16 hex digits, unique in this process and unlikely to repeat elsewhere.</summary>
    public int NewRequestId(Span<byte> target)
    {
        ulong id = (_requestIdSeed ^ (++_requestCount * 0x9E3779B97F4A7C15)) + (ulong)Loop.Index;
        Utf8Formatter.TryFormat(id, target, out int written, new System.Buffers.StandardFormat('x', 16));
        return written;
    }

    /// <summary>Closes listeners and idle connections. Every other connection ends after its exchange.</summary>
    public void Drain()
    {
        _ports.ForEach(static p => p.Listener.Close());
        Draining = true; // also drains connections that Close still accepts
        foreach (ClientConnection client in _clients.ToArray())
        {
            client.Drain();
        }
        if (_clients.Count == 0)
        {
            _drained.TrySetResult();
        }
    }

    /// <summary>Leaves the listeners to another process. Every connection ends after its present or next exchange: a
    /// client that is about to send a request would lose it if an idle connection were closed.</summary>
    public void HandOver()
    {
        _ports.ForEach(static p => p.Listener.Release());
        _ports.Clear();
        Draining = true;
        if (_clients.Count == 0)
        {
            _drained.TrySetResult();
        }
    }

    /// <summary>Completes when the last client connection has ended after <see cref="Drain"/> or
    /// <see cref="HandOver"/>.</summary>
    public Task Drained => _drained.Task;

    /// <summary>Closes all connections at once.</summary>
    public void Abort()
    {
        foreach (ClientConnection client in _clients.ToArray())
        {
            client.Abort();
        }
        CloseIdle();
        Access.Flush();
    }

    /// <summary>Asks all loops to close their idle backend connections, because file descriptors are short.</summary>
    public required Action CloseIdleEverywhere { get; init; }

    /// <summary>Closes all idle backend connections.</summary>
    public void CloseIdle()
    {
        CloseIdle(Snapshot.Upstreams.SelectMany(static u => u.Backends));
    }

    /// <summary>Closes all idle connections to these backends.</summary>
    public void CloseIdle(IEnumerable<Backend> backends)
    {
        foreach (Backend backend in backends)
        {
            PoolOf(backend).CloseIdle();
        }
    }

    private string? WhyNotAccept() => Bounds.Obstacle ?? (HasRoom() ? null : Bounds.Shortage);

    /// <summary>Whether a socket may be opened. If not, idle connections are closed to make room.</summary>
    private bool HasRoom()
    {
        if (Bounds.HasRoom())
        {
            return true;
        }
        if (Loop.IdleSources > 0)
        {
            CloseIdle();
            if (Bounds.HasRoom())
            {
                return true;
            }
        }
        CloseIdleEverywhere();
        return false;
    }

    private ListenerCounters CountersOf(string listener)
    {
        if (Array.Find(_counters, one => one.Listener == listener) is { } known)
        {
            return known;
        }
        var added = new ListenerCounters(listener);
        _counters = [.. _counters, added];
        return added;
    }

    private void Accept(Socket socket, ListenerPort port)
    {
        ClientConnection client;
        try
        {
            if (socket.AddressFamily != AddressFamily.Unix)
            {
                socket.NoDelay = true;
            }
            client = new ClientConnection(this, socket, port);
            if (!client.MayConnect || !client.TryCount())
            {
                port.Counters.CountTurnedAway();
                client.CloseUnserved();
                return;
            }
        }
        catch (SocketException)
        {
            socket.Dispose(); // the client has left already
            return;
        }
        Bounds.Enter();
        _clients.Add(client);
        port.Counters.CountOpened();
        _ = client.ServeAsync();
    }
}
