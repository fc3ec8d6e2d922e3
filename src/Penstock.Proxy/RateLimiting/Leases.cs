namespace Penstock.Proxy.RateLimiting;

/// <summary>This node's part of the buckets that several nodes share. The lease thread asks for tokens for the clients
/// in use (<see cref="Plan"/>) and hands out the answer (<see cref="Grant"/>). Granted tokens are deducted from the
/// shared bucket at that moment, so all nodes together never admit more than the capacity and what was refilled since;
/// the unused tokens of a node that dies are lost. <see cref="LeasePlanner"/> decides how many to ask for.
///
/// A node holds no tokens of a client that is not in use. So the first request waits some milliseconds for a lease. So
/// does any request that finds no token here while this node does not know that the shared bucket has none. A node that
/// knows it, or that cannot ask, decides at once.
///
/// Only the lease thread may call the members, except those that say "Thread-safe".</summary>
public sealed partial class Leases
{
    /// <summary>Maximum number of clients in one statement. The others follow in the next one.</summary>
    public const int MaxAsks = 2000;

    /// <summary>When a statement has granted nothing, the need is asked for again after this time.</summary>
    private const long AskAgainNs = 150_000_000;
    private const double MaxEmptySeconds = 1;

    private readonly MonotonicClock _clock;
    private readonly object _sleeping = new();
    private readonly Dictionary<string, LeasedBucket> _asked = [];

    /// <summary>The buckets in use. They take turns: a bucket that was planned goes to the end.</summary>
    private readonly Queue<LeasedBucket> _active = [];

    /// <summary>A stack of newly used buckets, which are not in the queue yet.</summary>
    private LeasedBucket? _newlyUsed;
    private int _woken;

    internal Leases(MonotonicClock clock) => _clock = clock;

    /// <summary>The number of buckets in use that the lease thread knows.</summary>
    public int ActiveClients => _active.Count;

    /// <summary>Waits until <see cref="Wake"/> is called, at most for this time.</summary>
    public void WaitForNeed(TimeSpan atMost)
    {
        lock (_sleeping)
        {
            if (Volatile.Read(ref _woken) == 0)
            {
                Monitor.Wait(_sleeping, atMost);
            }
            Volatile.Write(ref _woken, 0);
        }
    }

    /// <summary>Ends the wait of <see cref="WaitForNeed"/>. Thread-safe.</summary>
    public void Wake()
    {
        if (Volatile.Read(ref _woken) == 0 && Interlocked.Exchange(ref _woken, 1) == 0)
        {
            lock (_sleeping)
            {
                Monitor.Pulse(_sleeping);
            }
        }
    }

    /// <summary>Adds a bucket that is in use from now on. Thread-safe.</summary>
    internal void Activate(LeasedBucket bucket)
    {
        LeasedBucket? head = Volatile.Read(ref _newlyUsed);
        while (true)
        {
            bucket.Next = head;
            LeasedBucket? seen = Interlocked.CompareExchange(ref _newlyUsed, bucket, head);
            if (seen == head)
            {
                Wake();
                return;
            }
            head = seen;
        }
    }

    /// <summary>Adds what to ask for, for the active buckets: at most <see cref="MaxAsks"/>. Send all of it in one
    /// statement, then call <see cref="Grant"/> or <see cref="NoAnswer"/>. Ends the use of shares
    /// (<see cref="GrantShare"/>).</summary>
    public void Plan(List<LeaseAsk> asks)
    {
        ArgumentNullException.ThrowIfNull(asks);
        _asked.Clear();
        _sharing = _overdue = false; // every statement so far was answered
        long now = _clock.NowNs;
        QueueNewlyUsed();
        for (int left = _active.Count; left > 0 && asks.Count < MaxAsks; left--)
        {
            LeasedBucket bucket = _active.Dequeue();
            lock (bucket.Gate)
            {
                bool idle = bucket.Closed || (!Ask(bucket, now, asks) && bucket.Account.Traffic.IsIdle(now));
                KeepActive(bucket, unless: idle);
            }
        }
        Interlocked.Exchange(ref _askedNs, asks.Count > 0 ? now : long.MaxValue);
    }

    /// <summary>Adds the debts of an outage, to be taken from the shared buckets, and asks for no tokens: after an
    /// outage all nodes repay before any of them leases again.</summary>
    public void PlanDebts(List<LeaseAsk> asks)
    {
        ArgumentNullException.ThrowIfNull(asks);
        _asked.Clear();
        QueueNewlyUsed();
        for (int left = _active.Count; left > 0 && asks.Count < MaxAsks; left--)
        {
            LeasedBucket bucket = _active.Dequeue();
            lock (bucket.Gate)
            {
                if (bucket.Account.Debt > 0)
                {
                    AddAsk(bucket, new LeaseAmounts(0, 0, -bucket.Account.Debt), asks);
                }
            }
            _active.Enqueue(bucket);
        }
    }

    /// <returns>Whether there is something to ask.</returns>
    private bool Ask(LeasedBucket bucket, long now, List<LeaseAsk> asks)
    {
        LeaseAccount account = bucket.Account;
        BucketUse use = Measure(bucket, now);
        account.Share.End(); // there is no outage
        double back = account.Returned - account.Debt;
        account.Returned = 0;
        bool idle = account.Traffic.IsIdle(now);
        if (idle)
        {
            back += bucket.Reclaim();
        }
        var situation = new LeaseSituation
        {
            Capacity = bucket.Config.Capacity,
            Balance = account.CountedBalance,
            Use = use,
            Left = account.Left,
            Traffic = account.Traffic,
            Idle = idle,
            MayAsk = now >= account.NextAskNs,
            RequestsWait = RequestsWait,
        };
        LeaseAmounts amounts = LeasePlanner.Ask(situation, back);
        if (!amounts.Any)
        {
            return false;
        }
        AddAsk(bucket, amounts, asks);
        return true;
    }

    private static BucketUse Measure(LeasedBucket bucket, long now)
    {
        BucketUse use = bucket.DrainUse();
        bucket.Account.Traffic.Measure(use, now);
        return use;
    }

    private void AddAsk(LeasedBucket bucket, LeaseAmounts amounts, List<LeaseAsk> asks)
    {
        (bucket.Account.AskedNeed, bucket.Account.AskedOwed) = (amounts.Need, bucket.Account.Debt);
        bucket.Account.AskedCapacity = bucket.Config.Capacity;
        _asked[bucket.ClientId] = bucket;
        asks.Add(new LeaseAsk(bucket.ClientId, bucket.Epoch, amounts.Need, amounts.Want, amounts.Back));
    }

    /// <summary>Hands out what the last asks were granted, minus what this node has granted from its share while the
    /// answer was late.</summary>
    public void Grant(IReadOnlyList<LeaseGrant> grants)
    {
        ArgumentNullException.ThrowIfNull(grants);
        _overdue = false;
        Interlocked.Exchange(ref _askedNs, long.MaxValue);
        long now = _clock.NowNs;
        foreach (LeaseGrant grant in grants)
        {
            if (_asked.Remove(grant.ClientId, out LeasedBucket? bucket))
            {
                lock (bucket.Gate)
                {
                    HandOut(bucket, grant, now);
                }
            }
        }
        NoAnswer();
    }

    private static void HandOut(LeasedBucket bucket, in LeaseGrant grant, long now)
    {
        if (grant.Epoch != bucket.Epoch)
        {
            return; // the client's tokens were set in between, so the granted ones are void
        }
        LeaseAccount account = bucket.Account;
        long owedSince = account.Debt - account.AskedOwed;
        long paid = Math.Min(grant.Granted, owedSince);
        account.Debt = owedSince - paid;
        account.Share.Note(grant, now);
        long capacity = bucket.Config.Capacity;
        if (capacity < account.AskedCapacity && capacity < grant.Capacity)
        {
            account.ReturnOld(grant.Granted - paid); // granted before the edit that lowered the capacity
            bucket.MarkUsed(wake: true);
            return;
        }
        bucket.Add(grant.Granted - paid);
        account.Note(grant.Left, grant.Capacity);
        long emptyUntil = 0;
        if (grant.Left < 1)
        {
            double toNext = (grant.Left < 0 ? 1 : Math.Floor(grant.Left) + 1) - grant.Left;
            emptyUntil = now + (long)(Math.Min(MaxEmptySeconds, toNext / bucket.Config.RatePerSecond) * 1e9);
        }
        account.NextAskNs = emptyUntil;
        bucket.OnSharedState(grant.Left, emptyUntil, LeasePlanner.LowWater(account.Traffic), now);
        bucket.Serve(now);
    }

    /// <summary>Call it when the last asks were not answered, or not all. Tokens that were granted without an answer
    /// are lost, so they are never handed out twice. Debts stay.</summary>
    public void NoAnswer()
    {
        foreach (LeasedBucket bucket in _asked.Values)
        {
            lock (bucket.Gate)
            {
                if (bucket.Account.AskedNeed > 0)
                {
                    bucket.Account.NextAskNs = _clock.NowNs + AskAgainNs; // the client was deleted, or edited just now
                }
            }
        }
        _asked.Clear();
    }

    /// <summary>Takes the unused tokens out of all active buckets and adds them to be given back. Call it when this
    /// node stops.</summary>
    public void ReclaimAll(List<LeaseAsk> asks)
    {
        ArgumentNullException.ThrowIfNull(asks);
        QueueNewlyUsed();
        foreach (LeasedBucket bucket in _active)
        {
            lock (bucket.Gate)
            {
                double back = bucket.Reclaim() + bucket.Account.Returned - bucket.Account.Debt;
                if (back != 0)
                {
                    asks.Add(new LeaseAsk(bucket.ClientId, bucket.Epoch, 0, 0, back));
                }
            }
        }
    }

    private void QueueNewlyUsed()
    {
        LeasedBucket? bucket = Interlocked.Exchange(ref _newlyUsed, null);
        while (bucket is not null)
        {
            _active.Enqueue(bucket);
            (LeasedBucket queued, bucket) = (bucket, bucket.Next);
            queued.Next = null;
        }
    }

    /// <summary>Puts a bucket at the end of the queue, unless it is idle and no request uses it at this very
    /// moment.</summary>
    private void KeepActive(LeasedBucket bucket, bool unless)
    {
        if (!unless || !bucket.TryDeactivate())
        {
            _active.Enqueue(bucket);
        }
    }
}
