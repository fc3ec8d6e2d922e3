namespace Penstock.Proxy.RateLimiting;

/// <summary>This node's part of a client's bucket that several nodes share: a number of whole tokens, the balance,
/// which were deducted from the shared bucket when they were leased. A request takes a token by a compare-and-swap. If
/// there is none, the request waits for a lease, or is rejected if this node knows that the shared bucket has none
/// either. <see cref="Leases"/> keeps the balance high enough. Thread-safe; use <see cref="Account"/> only while
/// holding the <see cref="Gate"/>.</summary>
internal sealed partial class LeasedBucket : Bucket
{
    private readonly Leases _leases;
    private View _view;
    private long _balance;
    private long _missed;
    private int _active;

    /// <summary>Before this time the shared bucket is known to be empty: do not wake the lease thread.</summary>
    private long _emptyUntilNs;
    private long _lowWater;
    private volatile bool _closed;

    public LeasedBucket(Leases leases, in ClientState client, Limit limit, long nowNs)
    {
        _leases = leases;
        ClientId = client.ClientId;
        (Version, Epoch) = (client.Version, client.Epoch);
        _view = new View(limit, client.Tokens, nowNs);
        _toldNs = nowNs;
        Account = new LeaseAccount(client.Tokens, limit.Config.Capacity, nowNs);
    }

    public string ClientId { get; }

    /// <summary>Held for edits, plans and grants. A request that finds its tokens here does not take it.</summary>
    public Lock Gate { get; } = new();

    /// <summary>The limit, and the shared bucket's content by the database's last answer, as a state on the limit's
    /// clock.</summary>
    private sealed class View
    {
        public View(Limit limit, double sharedTokens, long nowNs)
        {
            Limit = limit;
            SharedState = Limit.StateOf(sharedTokens, Limit.Clock(nowNs));
        }

        public Limit Limit { get; }
        public long SharedState;
    }

    public override Limit Limit => Volatile.Read(ref _view).Limit;

    public long Version { get; private set; }
    public long Epoch { get; private set; }
    public bool Closed => _closed;

    /// <summary>Whole tokens that this node has leased and not yet used. Negative after a debit.</summary>
    public long Balance => Volatile.Read(ref _balance);

    public override long LeasedTokens => Balance;

    public LeaseAccount Account { get; }

    /// <summary>The next bucket in the stack of newly used buckets, which the lease thread has not yet seen.</summary>
    public LeasedBucket? Next { get; set; }

    public override bool TryTake(long nowNs, int cost, out Limit limit, out long state)
    {
        View view = Volatile.Read(ref _view);
        limit = view.Limit;
        long clock = limit.Clock(nowNs);
        long shared = Volatile.Read(ref view.SharedState);
        while (true)
        {
            long before = Volatile.Read(ref _balance);
            if (before < cost || Volatile.Read(ref _waitingCost) != 0) // a request must not overtake waiting ones
            {
                return !_leases.Answers && _leases.GiveShare(this, cost, nowNs) && TryTakeHere(cost)
                    ? Taken(limit, nowNs, out state) : Miss(limit, nowNs, cost, out state);
            }
            if (Interlocked.CompareExchange(ref _balance, before - cost, before) == before)
            {
                state = limit.Plus(shared, clock, before - cost);
                long low = Volatile.Read(ref _lowWater);
                MarkUsed(wake: low > 0 && before > low && before - cost <= low);
                return true;
            }
        }
    }

    private bool Taken(Limit limit, long nowNs, out long state)
    {
        state = limit.Plus(Volatile.Read(ref _view.SharedState), limit.Clock(nowNs), Balance);
        MarkUsed(wake: false);
        return true;
    }

    private bool Miss(Limit limit, long nowNs, int cost, out long state)
    {
        bool mayCome = MayHold(nowNs, cost + WaitingCost);
        if (!mayCome)
        {
            Interlocked.Add(ref _missed, cost);
        }
        long clock = limit.Clock(nowNs);
        state = mayCome ? limit.JustBelow(clock, cost) // the lease is on its way
            : limit.Plus(Volatile.Read(ref _view.SharedState), clock, Math.Max(0, Balance));
        MarkUsed(wake: mayCome);
        return false;
    }

    public override long Debit(long nowNs, int cost)
    {
        View view = Volatile.Read(ref _view);
        long balance = Interlocked.Add(ref _balance, -cost);
        if (cost < 0)
        {
            Serve(nowNs);
        }
        return view.Limit.Plus(Volatile.Read(ref view.SharedState), view.Limit.Clock(nowNs), balance);
    }

    public override Limit Peek(long nowNs, out long state)
    {
        View view = Volatile.Read(ref _view);
        state = view.Limit.Plus(Volatile.Read(ref view.SharedState), view.Limit.Clock(nowNs), Balance);
        return view.Limit;
    }

    /// <summary>The leased tokens stay, unless the edit has set the tokens; then they are void.</summary>
    public override bool TryApply(in ClientState client, Limit limit, bool keepsTokens, long nowNs, out Bucket after)
    {
        after = this;
        lock (Gate)
        {
            if (IsAsNewAs(client.Version))
            {
                return false;
            }
            Version = client.Version;
            if (client.Epoch != Epoch)
            {
                Epoch = client.Epoch;
                Interlocked.Exchange(ref _balance, 0);
                Account.Returned = 0;
                Account.Note(client.Tokens, limit.Config.Capacity);
            }
            Volatile.Write(ref _toldNs, nowNs);
            ReplaceLimit(limit, client.Tokens, nowNs);
        }
        return true;
    }

    /// <summary>The tokens stay, here and in the shared bucket, up to the new capacity.</summary>
    public override Bucket WithLimit(Limit limit, long nowNs)
    {
        lock (Gate)
        {
            View view = _view;
            double shared = view.Limit.Tokens(Volatile.Read(ref view.SharedState), view.Limit.Clock(nowNs));
            ReplaceLimit(limit, Math.Max(0, shared - Account.Returned), nowNs);
        }
        return this;
    }

    /// <summary>Replaces the limit. If the new capacity is smaller, the leased tokens go back
    /// (<see cref="LeaseAccount.ReturnOld"/>), because those of all nodes and the shared bucket together might exceed
    /// it.</summary>
    private void ReplaceLimit(Limit limit, double shared, long nowNs)
    {
        long capacity = limit.Config.Capacity;
        bool answered = capacity != Config.Capacity && capacity == Account.Capacity; // after the edit
        if (!answered)
        {
            Account.Note(shared, capacity);
        }
        if (capacity < Config.Capacity)
        {
            Account.ReturnOld(Reclaim());
        }
        Volatile.Write(ref _emptyUntilNs, 0);
        Volatile.Write(ref _view, new View(limit, Math.Min(shared + Account.Returned, capacity), nowNs));
        Serve(nowNs);
        if (Account.Returned > 0)
        {
            MarkUsed(wake: true);
        }
    }

    /// <summary>Adds granted tokens.</summary>
    public void Add(long granted)
    {
        Interlocked.Add(ref _balance, granted);
        Account.CountedBalance += granted;
    }

    /// <summary>Takes all leased tokens out of the bucket.</summary>
    public long Reclaim()
    {
        while (true)
        {
            long before = Volatile.Read(ref _balance);
            if (before <= 0)
            {
                return 0;
            }
            if (Interlocked.CompareExchange(ref _balance, 0, before) == before)
            {
                Account.CountedBalance -= before;
                return before;
            }
        }
    }

    /// <summary>Takes note of the shared bucket's content.</summary>
    /// <param name="emptyUntilNs">When the shared bucket can next have a token.</param>
    /// <param name="lowWater">The balance at which a request should wake the lease thread.</param>
    public void OnSharedState(double left, long emptyUntilNs, long lowWater, long nowNs)
    {
        View view = Volatile.Read(ref _view);
        Volatile.Write(ref view.SharedState, view.Limit.StateOf(left, view.Limit.Clock(nowNs)));
        Volatile.Write(ref _emptyUntilNs, emptyUntilNs);
        Volatile.Write(ref _toldNs, nowNs);
        Volatile.Write(ref _lowWater, lowWater);
    }

    /// <summary>How much the bucket was used since the last call.</summary>
    public BucketUse DrainUse()
    {
        long balance = Balance;
        long used = Math.Max(0, Account.CountedBalance - balance);
        Account.CountedBalance = balance;
        return new BucketUse(used, Interlocked.Exchange(ref _missed, 0), WaitingCost);
    }

    /// <summary>Takes an idle bucket away from the lease thread.</summary>
    /// <returns>False when the bucket was used at this very moment and stays active.</returns>
    public bool TryDeactivate()
    {
        Interlocked.Exchange(ref _active, 0);
        return (Balance == Account.CountedBalance && Volatile.Read(ref _missed) == 0 && WaitingCost == 0)
            || Interlocked.Exchange(ref _active, 1) == 1; // a request has put it on the stack itself
    }

    public override void AcceptAnyVersion() => Version = -1;

    public override bool IsAsNewAs(long version) => Version >= version;

    /// <summary>Waiting requests are decided again.</summary>
    public override void Close(long nowNs)
    {
        lock (Gate)
        {
            _closed = true;
            Serve(nowNs);
        }
    }

    /// <summary>Makes sure that the lease thread knows this bucket; wakes it if <paramref name="wake"/>.</summary>
    public void MarkUsed(bool wake)
    {
        if (Volatile.Read(ref _active) == 0 && Interlocked.Exchange(ref _active, 1) == 0)
        {
            _leases.Activate(this);
        }
        if (wake)
        {
            _leases.Wake();
        }
    }
}
