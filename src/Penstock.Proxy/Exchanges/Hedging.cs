using System.Net.Sockets;
using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>Sends a safe request that takes long to a second backend as well.</summary>
internal static class Hedging
{
    /// <summary>Sends the request to a second backend. The attempt that receives the first bytes of a response wins;
    /// the other one is canceled. Costs one retry of the budget.</summary>
    public static async ValueTask<Step> RaceAsync(Exchange exchange)
    {
        Upstream upstream = exchange.Route!.Upstream;
        Loop loop = exchange.Loop;
        Attempt first = exchange.Current;
        exchange.Hedged = true;
        first.Received.Release(loop.Buffers);
        first.Io.SetDeadline(Sending.TryTimeoutMs(exchange));
        if (!Picking.HasElsewhere(exchange) || !upstream.TryRetry()
            || Picking.PickRival(exchange) is not { } secondBackend)
        {
            return Step.AwaitResponse;
        }

        exchange.Retries++;
        Attempt second = exchange.BeginRival(secondBackend);
        var race = new Race(loop.Buffers);
        _ = race.RunAsync(first, () => ReceiveAsync(first, loop.Buffers));
        _ = race.RunAsync(second, () => AskAsync(exchange, second));
        (Attempt? winner, byte[]? bytes, int count) = await race.Outcome;
        if (winner == second)
        {
            // The first backend took at least this long. Without this count, nothing would be known about the slowest
            // backend.
            first.Backend!.Traffic.Responded(loop.Index, loop.NowNs - first.SentNs);
            exchange.SwapRival();
            Tracing.EndLoser(first);
            first.End(upstream, loop, keepMs: 0);
        }
        else
        {
            Tracing.EndLoser(second);
            second.End(upstream, loop, keepMs: 0);
        }
        if (bytes is null)
        {
            exchange.Tried.Add(secondBackend);
            return first.Io.WasCanceled ? Failing.ClientGone(exchange)
                : Failing.Failed(exchange, first.Io.HasExpired ? Failure.HeadTimedOut : Failure.Lost);
        }
        exchange.Current.Received.Adopt(bytes, count);
        return Responding.OnHead(exchange);
    }

    /// <summary>Sends the request to a second backend and waits for its response.</summary>
    private static async Task<(byte[]?, int)> AskAsync(Exchange exchange, Attempt attempt)
    {
        Worker worker = exchange.Worker;
        ConnectionPool pool = worker.PoolOf(attempt.Backend!);
        attempt.Connection = Picking.RentIdle(exchange, attempt.Backend!, mayBeClosed: false);
        if (attempt.Connection is null)
        {
            attempt.Connection = worker.Dial(pool, attempt.Backend!.AddressesToTry().First, out _);
            if (attempt.Connection is null)
            {
                return default;
            }
            attempt.Io.SetDeadline(exchange.ConnectTimeoutMs);
            Connection dialed = attempt.Io;
            if (await dialed.WaitForSpaceAsync() != WaitResult.Ready || dialed.ConnectError() != SocketError.Success)
            {
                return default;
            }
            if (attempt.Connection.Tls is { } tls && (!Sending.TrySendOrigin(exchange, attempt.Connection)
                || await attempt.Connection.SecureAsync(tls) is not null))
            {
                return default;
            }
        }
        int length = Sending.WriteHead(exchange, attempt.Connection, bodyBytes: 0);
        attempt.SentNs = exchange.Loop.NowNs;
        attempt.BeginLatency(exchange.Loop);
        attempt.Response.ToHead = exchange.Request.Method == Method.Head;
        pool.CountRequest();
        if (attempt.Io.TrySend(exchange.Loop.Scratch.AsSpan(0, length)) != length)
        {
            return default; // a new socket that does not accept a whole head is not worth a retry
        }
        attempt.IsSent = true;
        attempt.Io.SetDeadline(Sending.TryTimeoutMs(exchange));
        return await ReceiveAsync(attempt, exchange.Loop.Buffers);
    }

    /// <returns>The first bytes; null when the attempt has failed.</returns>
    private static async Task<(byte[]?, int)> ReceiveAsync(Attempt attempt, BufferPool buffers)
    {
        Connection backend = attempt.Io;
        while (await backend.WaitForDataAsync() == WaitResult.Ready)
        {
            byte[] buffer = buffers.Rent(BufferPool.Medium);
            int count = backend.TryReceive(buffer);
            if (count > 0)
            {
                return (buffer, count);
            }
            buffers.Return(buffer);
            if (count != Connection.WouldBlock)
            {
                break;
            }
        }
        return default;
    }

    /// <summary>A race of two attempts. The first that receives bytes wins; when both fail, there is no
    /// winner.</summary>
    private sealed class Race(BufferPool buffers)
    {
        // Completed inline, because both attempts run on this loop and the loser must see the result at once.
        private readonly TaskCompletionSource<(Attempt?, byte[]?, int)> _outcome = new();
        private int _left = 2;

        public Task<(Attempt? Winner, byte[]? Bytes, int Count)> Outcome => _outcome.Task;

        public async Task RunAsync(Attempt attempt, Func<Task<(byte[]? Bytes, int Count)>> run)
        {
            (byte[]? bytes, int count) = await run();
            if (bytes is not null)
            {
                if (!_outcome.TrySetResult((attempt, bytes, count)))
                {
                    buffers.Return(bytes);
                }
            }
            else if (--_left == 0)
            {
                _outcome.TrySetResult((null, null, 0));
            }
        }
    }
}
