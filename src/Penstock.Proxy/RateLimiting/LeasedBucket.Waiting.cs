namespace Penstock.Proxy.RateLimiting;

/// <content>Requests that wait for tokens of this bucket, in the order of their arrival. They wait only while this node
/// does not know that the shared bucket has too few tokens, and only as many as it can have tokens for.</content>
internal sealed partial class LeasedBucket
{
    /// <summary>After this time an answer of the shared bucket is stale, because other nodes may have given tokens
    /// back. A client in use gets an answer at least once a second.</summary>
    private const long StaleNs = 2_000_000_000;

    private TokenWaiter? _first;
    private TokenWaiter? _last;
    private int _waiters;
    private long _waitingCost;
    private long _toldNs;

    /// <summary>Tokens that requests wait for.</summary>
    public long WaitingCost => Volatile.Read(ref _waitingCost);

    public override LeasedBucket? Awaitable(long nowNs, int cost) => MayHold(nowNs, cost + WaitingCost) ? this : null;

    /// <summary>Takes tokens, or begins to wait for them.</summary>
    /// <returns>True: the tokens are taken. False: waiting cannot help. Null: the request waits, and
    /// <see cref="TokenWaiter.Answer"/> follows, maybe before this method returns, unless <see cref="Leave"/> is called
    /// first.</returns>
    public bool? Enter(TokenWaiter waiter, int cost, long nowNs)
    {
        lock (Gate)
        {
            if (_first is null && TryTakeHere(cost))
            {
                return true;
            }
            if (_closed || _waiters == Leases.MaxWaitersOfClient || !MayHold(nowNs, cost + _waitingCost)
                || !_leases.TryBeginWait())
            {
                Interlocked.Add(ref _missed, cost);
                return false;
            }
            waiter.StandBehind(_last, cost);
            _first ??= waiter;
            _last = waiter;
            _waiters++;
            Interlocked.Add(ref _waitingCost, cost); // a fence: a thread that gives tokens back from now on sees it
            Serve(nowNs);
        }
        MarkUsed(wake: true);
        return null;
    }

    /// <summary>Ends a request's wait.</summary>
    /// <returns>False when <see cref="TokenWaiter.Answer"/> has been or is being called.</returns>
    public bool Leave(TokenWaiter waiter)
    {
        lock (Gate)
        {
            if (!waiter.Stands)
            {
                return false;
            }
            StepOut(waiter);
        }
        return true;
    }

    /// <summary>Answers waiting requests in their order, up to the first one whose tokens may still come.</summary>
    public void Serve(long nowNs)
    {
        if (WaitingCost == 0)
        {
            return;
        }
        lock (Gate)
        {
            while (_first is { } first)
            {
                bool granted = TryTakeHere(first.Cost);
                if (!granted && !_closed && MayHold(nowNs, first.Cost))
                {
                    return;
                }
                StepOut(first);
                first.Answer(granted);
            }
        }
    }

    private void StepOut(TokenWaiter waiter)
    {
        _first = waiter == _first ? waiter.Next : _first;
        _last = waiter == _last ? waiter.Previous : _last;
        waiter.StepOut();
        _waiters--;
        Interlocked.Add(ref _waitingCost, -waiter.Cost);
        _leases.EndWait();
    }

    private bool TryTakeHere(int cost)
    {
        for (long before = Balance; before >= cost; before = Balance)
        {
            if (Interlocked.CompareExchange(ref _balance, before - cost, before) == before)
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>Whether this node and the shared bucket together may have this many tokens, as far as this node
    /// knows.</summary>
    private bool MayHold(long nowNs, long cost)
    {
        View view = Volatile.Read(ref _view);
        long here = Math.Max(0, Balance);
        if (!_leases.Answers || cost > view.Limit.Config.Capacity + here || nowNs < Volatile.Read(ref _emptyUntilNs))
        {
            return false;
        }
        return nowNs - Volatile.Read(ref _toldNs) > StaleNs
            || view.Limit.WholeTokens(Volatile.Read(ref view.SharedState), view.Limit.Clock(nowNs)) + here >= cost;
    }
}
