using System.Net.Sockets;
using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>Hedging: a safe request that takes long is asked of a second backend, too.</summary>
internal sealed partial class ClientConnection
{
    private BackendConnection? _second;
    private bool _hedged;
    private long _secondSentNs;
    private long _secondStalledNs;

    /// <summary>How long the first backend has the request to itself; 0 when it is not to be asked twice.</summary>
    private long HedgeAfterMs() =>
        _exchange!.Upstream!.Hedge is { } hedge && !_hedged && RetryPolicy.MayHedge(_exchange.Request, RetryState)
            ? Math.Max(1, (long)hedge.After.TotalMilliseconds) : 0;

    /// <summary>Asks a second backend; the first octets of a response, from whichever, decide, and the other one is let
    /// go. Costs one retry of the budget.</summary>
    private async ValueTask<Step> HedgeAsync()
    {
        Exchange exchange = _exchange!;
        Upstream upstream = exchange.Route!.Upstream;
        BackendConnection first = _backend!;
        Backend firstBackend = exchange.Backend!;
        _hedged = true;
        ReleaseResponse();
        first.Io.SetDeadline(TryTimeoutMs());
        if (PickSecond(exchange, upstream) is not { } secondBackend)
        {
            return Step.AwaitResponse;
        }

        exchange.Retries++;
        _secondSentNs = 0;
        var race = new Race(_loop.Buffers);
        _ = race.RunAsync(0, () => ReceiveAsync(first));
        _ = race.RunAsync(1, () => AskAsync(secondBackend));
        (int winner, byte[]? octets, int count) = await race.Outcome;
        BackendConnection? second = _second;
        _second = null;
        if (winner == 1)
        {
            first.Io.Close();
            upstream.Release(firstBackend);
            // It took at least so long; without this, the slowest would be the one that nothing is known of.
            firstBackend.Traffic.Responded(_loop.Index, _loop.NowNs - exchange.SentNs);
            CountLatency(firstBackend, isGood: false);
            exchange.SentNs = exchange.AskedNs = _secondSentNs;
            exchange.AskedStalledNs = _secondStalledNs;
            (_backend, exchange.Backend) = (second, secondBackend);
        }
        else
        {
            second?.Io.Close();
            upstream.Release(secondBackend);
            if (_secondSentNs > 0)
            {
                secondBackend.Latency.AddFailure(_loop.NowNs - _secondSentNs, _loop.NowNs);
            }
        }
        if (octets is null)
        {
            exchange.Tried.Add(secondBackend);
            return first.Io.WasCanceled ? ClientGone()
                : Failed(first.Io.HasExpired ? Failure.HeadTimedOut : Failure.Lost);
        }
        (_response, _responseEnd) = (octets, count);
        exchange.Response.ToHead = exchange.Request.Method == Method.Head;
        return ParseResponse();
    }

    private Backend? PickSecond(Exchange exchange, Upstream upstream)
    {
        if (!HasElsewhere() || !upstream.TryRetry())
        {
            return null;
        }
        exchange.Tried.Add(exchange.Backend!);
        Backend? second = upstream.Pick(RequestFor(exchange));
        exchange.Tried.RemoveAt(exchange.Tried.Count - 1);
        return second;
    }

    /// <summary>Sends the request to a second backend and waits for its response.</summary>
    private async Task<(byte[]?, int)> AskAsync(Backend backend)
    {
        ConnectionPool pool = _worker.PoolOf(backend);
        bool fresh = _exchange!.Upstream!.ProxyProtocol > 0;
        BackendConnection? connection = fresh ? null : TakeIdle(pool, mayRepeat: false);
        if (connection is null)
        {
            connection = _worker.Dial(pool, backend.AddressesToTry().First, out _);
            if (connection is null)
            {
                return default;
            }
            _second = connection;
            connection.Io.SetDeadline(ConnectTimeoutMs);
            if (await connection.Io.WaitForSpaceAsync() != WaitResult.Ready
                || connection.Io.ConnectError() != SocketError.Success)
            {
                return default;
            }
        }
        _second = connection;
        int length = WriteRequestHead(connection, bodyBytes: 0);
        (_secondSentNs, _secondStalledNs) = (_loop.NowNs, _loop.StalledNs);
        pool.CountRequest();
        if (connection.Io.TrySend(_loop.Scratch.AsSpan(0, length)) != length)
        {
            return default; // a head that a fresh socket does not take is not worth a second try
        }
        connection.Io.SetDeadline(TryTimeoutMs());
        return await ReceiveAsync(connection);
    }

    /// <returns>The first octets; null when there will be none.</returns>
    private async Task<(byte[]?, int)> ReceiveAsync(BackendConnection connection)
    {
        while (await connection.Io.WaitForDataAsync() == WaitResult.Ready)
        {
            byte[] buffer = _loop.Buffers.Rent(BufferPool.Medium);
            int count = connection.Io.TryReceive(buffer);
            if (count > 0)
            {
                return (buffer, count);
            }
            _loop.Buffers.Return(buffer);
            if (count != Connection.WouldBlock)
            {
                break;
            }
        }
        return default;
    }

    /// <summary>Two tries; the first that brings octets wins, and when neither does, the first of both.</summary>
    private sealed class Race(BufferPool buffers)
    {
        private readonly TaskCompletionSource<(int, byte[]?, int)> _outcome = new();
        private int _left = 2;

        public Task<(int Winner, byte[]? Octets, int Count)> Outcome => _outcome.Task;

        public async Task RunAsync(int index, Func<Task<(byte[]? Octets, int Count)>> run)
        {
            (byte[]? octets, int count) = await run();
            if (octets is not null)
            {
                if (!_outcome.TrySetResult((index, octets, count)))
                {
                    buffers.Return(octets);
                }
            }
            else if (--_left == 0)
            {
                _outcome.TrySetResult((0, null, 0));
            }
        }
    }
}
