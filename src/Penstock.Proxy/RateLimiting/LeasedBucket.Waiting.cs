namespace Penstock.Proxy.RateLimiting;

/// <content>Requests that wait for tokens of this bucket. They wait in the order in which they came, only while nobody
/// here knows that the shared bucket has too few, and not more of them than it can have tokens for.</content>
internal sealed partial class LeasedBucket
{
    /// <summary>What the shared bucket told is worth nothing after so long: other nodes may have given tokens back. A
    /// client that is used is told of at least once a second.</summary>
    private const long StaleNs = 2_000_000_000;

    private TokenWaiter? _first;
    private TokenWaiter? _last;
    private int _waiters;
    private long _waitingCost;
    private long _toldNs;

    /// <summary>Tokens that requests wait for.</summary>
    public long WaitingCost => Volatile.Read(ref _waitingCost);

    public override LeasedBucket? Awaitable(long nowNs, int cost) => MayHold(nowNs, cost + WaitingCost) ? this : null;

    /// <summary>Stands in line for tokens.</summary>
    /// <returns>True: they are here and taken. False: they will not come. Null: <see cref="TokenWaiter.Answer"/>
    /// follows, maybe before this returns, unless <see cref="Leave"/> is called before.</returns>
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
            Interlocked.Add(ref _waitingCost, cost); // a fence: who gives tokens back from now on sees it
            Serve(nowNs);
        }
        MarkUsed(wake: true);
        return null;
    }

    /// <summary>Does not wait any more.</summary>
    /// <returns>False when it has been, or is being, answered.</returns>
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

    /// <summary>Answers those who wait, in their order, until there is one whose tokens may still come.</summary>
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

    /// <summary>So many tokens may be here or in the shared bucket, as far as this node knows.</summary>
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
