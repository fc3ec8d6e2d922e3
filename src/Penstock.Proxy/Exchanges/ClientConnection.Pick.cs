using Penstock.Proxy.Balancing;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Connections;
using Penstock.Proxy.Http1;
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
            upstream.Budget.Deposit(upstream.Config.Retries.Share);
            LookUp(exchange, upstream);
        }

        // Who comes now must not overtake who waits.
        bool waits = first && exchange.Session is null && upstream.Queue.Count > 0;
        Backend? backend = waits ? null : upstream.Pick(RequestFor(exchange));
        if (backend is null && _staleBackend is not null && _staleBackend.TryEnter())
        {
            // Only a kept connection of it was dead, and there is no other backend: a new connection may well work.
            backend = _staleBackend;
            _freshOnly = true;
        }
        _staleBackend = null;
        return backend is not null ? Take(backend)
            : first && upstream.Config.Queue.Length > 0 && (waits || upstream.IsFull()) ? Step.Wait
            : RefuseWithoutBackend();
    }

    /// <summary>Uses a backend that has counted us in.</summary>
    private Step Take(Backend backend)
    {
        Exchange exchange = _exchange!;
        exchange.Backend = backend;
        _entered = true;
        bool fresh = _freshOnly || exchange.Route!.Upstream.Config.ProxyProtocol > 0;
        bool mayRepeat = exchange.Request is { IsIdempotent: true, Framing: BodyFraming.None } && _sends == 0;
        _backend = fresh ? null : TakeIdle(_worker.PoolOf(backend), mayRepeat);
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

    private Step RefuseWithoutBackend() => _exchange!.Tried.Count == 0 ? Refuse(Reason.NoBackend, 503)
        : _exchange.Reason switch
        {
            Reason.UpstreamTimeout => Refuse(Reason.UpstreamTimeout, 504),
            Reason.ConnectFailed => Refuse(Reason.ConnectFailed, 503),
            var reason => Refuse(reason, 502),
        };

    /// <summary>What the balancer goes by that is in the request.</summary>
    private void LookUp(Exchange exchange, Upstream upstream)
    {
        UpstreamConfig config = upstream.Config;
        if (config.Balance == BalanceAlgorithm.Hash)
        {
            exchange.Key = Affinity.KeyOf(
                config.Hash.Source, upstream.HashName, exchange.Request, Head, exchange.Caller!);
        }
        if (config.Sticky is not null)
        {
            exchange.Session = Affinity.Session(exchange.Request, Head, upstream);
        }
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
        _slot.Begin(StableHash.Of(exchange.ClientName), exchange.Key);
        if (!upstream.Queue.TryEnter(_slot, upstream.Config.Queue.Length))
        {
            return Refuse(Reason.QueueFull, 503);
        }
        long beganNs = _loop.NowNs;
        Backend? backend = await _slot.WaitAsync(upstream.Queue, (long)upstream.Config.Queue.Timeout.TotalMilliseconds);
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
            : Refuse(_slot.TimedOut ? Reason.QueueTimeout : Reason.QueueFull, 503);
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
