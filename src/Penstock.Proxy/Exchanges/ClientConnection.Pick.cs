using Penstock.Proxy.Balancing;
using Penstock.Proxy.Connections;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>Which backend, or a place in the queue for one.</summary>
internal sealed partial class ClientConnection
{
    private SlotWait? _slot;
    private Pause? _pause;

    private Step Pick()
    {
        if (ClientHasLeft)
        {
            return ClientGone();
        }
        Exchange exchange = _exchange!;
        Upstream upstream = exchange.Route!.Upstream;
        bool first = exchange.Tried.Count == 0;
        if (first)
        {
            exchange.Upstream = upstream.Config;
            upstream.Budget.Deposit(exchange.Upstream.Retries.Share);
            (exchange.Key, exchange.Session) = Affinity.Of(
                exchange.Request, Head, exchange.Caller!, upstream, exchange.Upstream);
        }
        bool waits = first && Decider.StandsInLine(upstream, exchange.Session);
        Backend? backend = waits ? null : upstream.Pick(RequestFor(exchange));
        if (backend is null && _staleBackend is not null && _staleBackend.TryEnter())
        {
            // Only a kept connection of it was dead, and there is no other backend: a new connection may well work.
            backend = _staleBackend;
            _freshOnly = true;
        }
        _staleBackend = null;
        return backend is not null ? Take(backend)
            : first && Decider.Place(upstream, exchange.Upstream!, found: false, waits) == Placement.Queue ? Step.Wait
            : RefuseWithoutBackend();
    }

    /// <summary>Uses a backend that has counted us in.</summary>
    private Step Take(Backend backend)
    {
        Exchange exchange = _exchange!;
        exchange.Backend = backend;
        _entered = true;
        bool fresh = _freshOnly || exchange.Upstream!.ProxyProtocol > 0;
        _backend = fresh ? null
            : TakeIdle(_worker.PoolOf(backend), RetryPolicy.MayMeetClosed(exchange.Request, _sends));
        return _backend is null ? Step.Dial : Step.Send;
    }

    private PickRequest RequestFor(Exchange exchange, bool peek = false) => new()
    {
        Peek = peek,
        Tried = exchange.Tried,
        Random = _worker.Random,
        NowNs = _loop.NowNs,
        Key = exchange.Key,
        Session = exchange.Session,
    };

    private Step RefuseWithoutBackend()
    {
        Outcome outcome = _exchange!.Tried.Count == 0 ? Outcome.NoBackend : _exchange.Outcome;
        return Refuse(outcome, EndOf.Status(outcome));
    }

    private async ValueTask<Step> WaitToPickAsync()
    {
        if (_exchange!.Tried.Count == 0)
        {
            return await QueueAsync();
        }
        await PauseAsync(_backOffMs);
        return Step.Pick;
    }

    /// <summary>Waits for a time, or until the client has left.</summary>
    private ValueTask<WaitResult> PauseAsync(long ms) => (_pause ??= new Pause(_loop)).WaitAsync(ms);

    /// <summary>Waits for a place at a backend.</summary>
    private async ValueTask<Step> QueueAsync()
    {
        Exchange exchange = _exchange!;
        Upstream upstream = exchange.Route!.Upstream;
        _slot ??= new SlotWait(_loop);
        _slot.Begin(exchange.ClientName, exchange.Key);
        if (!upstream.Queue.TryEnter(_slot, exchange.Upstream!.Queue.Length))
        {
            return Refuse(Outcome.QueueFull, 503);
        }
        long beganNs = _loop.NowNs;
        long timeoutMs = (long)exchange.Upstream.Queue.Timeout.TotalMilliseconds;
        Backend? backend = await _slot.WaitAsync(upstream.Queue, timeoutMs);
        exchange.QueuedNs = _loop.NowNs - beganNs;
        if (_slot.Canceled || ClientHasLeft)
        {
            if (backend is not null)
            {
                upstream.Release(backend);
            }
            return ClientGone();
        }
        return backend is not null ? Take(backend)
            : Refuse(_slot.TimedOut ? Outcome.QueueTimeout : Outcome.QueueFull, 503);
    }

    /// <summary>A kept connection; for a request that must not, or may no longer, be sent twice, one looked at just
    /// now.</summary>
    private static BackendConnection? TakeIdle(ConnectionPool pool, bool mayRepeat)
    {
        while (pool.TryTake() is { } connection)
        {
            if (mayRepeat || !connection.Io.PollData())
            {
                return connection;
            }
            connection.Io.Close();
        }
        return null;
    }
}
