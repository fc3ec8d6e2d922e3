using Penstock.Proxy.Balancing;
using Penstock.Proxy.Connections;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>Second phase of an exchange: picks a backend and a connection, or waits for a slot at one.</summary>
internal static class Picking
{
    public static Step Pick(Exchange exchange)
    {
        if (exchange.Client.HasLeft)
        {
            return Failing.ClientGone(exchange);
        }
        Upstream upstream = exchange.Route!.Upstream;
        bool first = exchange.Tried.Count == 0;
        if (first)
        {
            exchange.FixUpstreamConfig();
            upstream.Budget.Deposit(exchange.UpstreamConfig.Retries.BudgetRatio);
            (exchange.AffinityHash, exchange.StickyBackend) = Affinity.Of(
                exchange.Request, exchange.Head, exchange.Caller!, upstream, exchange.UpstreamConfig);
        }
        bool standsInLine = first && Decider.StandsInLine(upstream, exchange.StickyBackend);
        Backend? backend = standsInLine ? null : upstream.Pick(RequestFor(exchange));
        if (backend is null && exchange.StaleBackend is { } stale && stale.TryEnter())
        {
            // Only a pooled connection of this backend was dead, and no other backend is left, so try a new connection.
            backend = stale;
            exchange.FreshOnly = true;
        }
        exchange.StaleBackend = null;
        return backend is not null ? Begin(exchange, backend)
            : first && Decider.Place(upstream, exchange.UpstreamConfig, found: false, standsInLine) == Placement.Queue
                ? Step.Queue : Failing.NoBackendLeft(exchange);
    }

    /// <summary>Whether there is a backend at which the request was not tried.</summary>
    public static bool HasElsewhere(Exchange exchange)
    {
        exchange.Tried.Add(exchange.Backend!);
        bool elsewhere = exchange.Route!.Upstream.Peek(RequestFor(exchange, peek: true)) is not null;
        exchange.Tried.RemoveAt(exchange.Tried.Count - 1);
        return elsewhere;
    }

    /// <summary>Picks a second backend for a hedge.</summary>
    public static Backend? PickRival(Exchange exchange)
    {
        exchange.Tried.Add(exchange.Backend!);
        Backend? rival = exchange.Route!.Upstream.Pick(RequestFor(exchange));
        exchange.Tried.RemoveAt(exchange.Tried.Count - 1);
        return rival;
    }

    /// <summary>Takes an idle connection to the backend from the pool; null when there is none.</summary>
    /// <param name="mayBeClosed">False: first ask the kernel whether the backend has closed it.</param>
    public static BackendConnection? RentIdle(Exchange exchange, Backend backend, bool mayBeClosed)
    {
        if (exchange.FreshOnly || exchange.UpstreamConfig.SendProxyVersion > 0)
        {
            return null;
        }
        ConnectionPool pool = exchange.Worker.PoolOf(backend);
        while (pool.TryRent() is { } connection)
        {
            if (mayBeClosed || !connection.Io.PollData())
            {
                return connection;
            }
            connection.Io.Close();
        }
        return null;
    }

    /// <summary>Waits for a slot at a backend.</summary>
    public static async ValueTask<Step> QueueAsync(Exchange exchange)
    {
        Upstream upstream = exchange.Route!.Upstream;
        SlotWait slot = exchange.Slot;
        slot.Begin(exchange.ClientName, exchange.AffinityHash);
        if (!upstream.Queue.TryEnter(slot, exchange.UpstreamConfig.Queue.Length))
        {
            return Answering.AnswerWith(exchange, Outcome.QueueFull, 503);
        }
        long beganNs = exchange.Loop.NowNs;
        long timeoutMs = (long)exchange.UpstreamConfig.Queue.Timeout.TotalMilliseconds;
        Backend? backend = await slot.WaitAsync(upstream.Queue, timeoutMs);
        exchange.QueuedNs = exchange.Loop.NowNs - beganNs;
        if (slot.Canceled || exchange.Client.HasLeft)
        {
            if (backend is not null)
            {
                upstream.Release(backend);
            }
            return Failing.ClientGone(exchange);
        }
        return backend is not null ? Begin(exchange, backend)
            : Answering.AnswerWith(exchange, slot.TimedOut ? Outcome.QueueTimeout : Outcome.QueueFull, 503);
    }

    /// <summary>Waits for a random time, so that requests that failed together are not retried together.</summary>
    public static async ValueTask<Step> PauseAsync(Exchange exchange)
    {
        await exchange.Pause.WaitAsync(exchange.Worker.Random.Next(exchange.MaxWaitMs + 1));
        return Step.Pick;
    }

    /// <summary>Begins an attempt at a backend that has counted the request in.</summary>
    private static Step Begin(Exchange exchange, Backend backend)
    {
        exchange.Current.Begin(backend);
        Tracing.BeginAttempt(exchange, exchange.Current);
        exchange.Current.Connection = RentIdle(
            exchange, backend, RetryPolicy.MayMeetClosed(exchange.Request, exchange.Sends));
        return exchange.Current.Connection is null ? Step.Dial : Step.Send;
    }

    private static PickRequest RequestFor(Exchange exchange, bool peek = false) => new()
    {
        Peek = peek,
        Tried = exchange.Tried,
        Random = exchange.Worker.Random,
        NowNs = exchange.Loop.NowNs,
        AffinityHash = exchange.AffinityHash,
        StickyBackend = exchange.StickyBackend,
    };
}
