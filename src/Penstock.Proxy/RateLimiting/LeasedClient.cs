using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>A client whose bucket several nodes share: this node's part of it is a number of whole tokens that were
/// deducted from the shared bucket when they came. A request takes one by a compare-and-swap. When there is none it
/// waits for a lease, or is rejected if this node knows that the shared bucket has none either.
/// <see cref="Leases"/> sees to it that there are enough. Thread-safe; <see cref="Demand"/> is of whoever holds the
/// <see cref="Gate"/>.</summary>
internal sealed partial class LeasedClient : RegisteredClient
{
    private readonly Leases _leases;
    private View _view;
    private long _balance;
    private long _missed;
    private int _listed;

    /// <summary>No sooner than then can the shared bucket have a token.</summary>
    private long _dryUntilNs;
    private long _lowWater;
    private volatile bool _closed;

    public LeasedClient(Leases leases, in SharedClient state, Limit limit, long nowNs)
        : base(state.ClientId)
    {
        _leases = leases;
        (Version, Epoch) = (state.Version, state.Epoch);
        _view = new View(limit, state.Tokens, nowNs);
        _toldNs = nowNs;
        Demand = new LeaseDemand { Left = state.Tokens, PlannedNs = nowNs };
    }

    /// <summary>Held by who edits, plans or grants; never on the way of a request that finds its tokens here.</summary>
    public Lock Gate { get; } = new();

    /// <summary>The limit, and what the shared bucket held when it last told, as a word on that limit's clock.
    /// </summary>
    private sealed class View
    {
        public View(Limit limit, double sharedTokens, long nowNs)
        {
            Limit = limit;
            SharedWord = Limit.Word(sharedTokens, Limit.Clock(nowNs));
        }

        public Limit Limit { get; }
        public long SharedWord;
    }

    public override LimitConfig Config => Volatile.Read(ref _view).Limit.Config;

    public long Version { get; private set; }
    public long Epoch { get; private set; }
    public bool Closed => _closed;

    /// <summary>Whole tokens at hand.</summary>
    public long Balance => Volatile.Read(ref _balance);

    public LeaseDemand Demand { get; }

    /// <summary>The next in the stack of clients that were used and are not yet the lease thread's.</summary>
    public LeasedClient? Next { get; set; }

    public override bool TryTake(long nowNs, int cost, out Limit limit, out long word)
    {
        View view = Volatile.Read(ref _view);
        limit = view.Limit;
        long clock = limit.Clock(nowNs);
        long shared = Volatile.Read(ref view.SharedWord);
        while (true)
        {
            long before = Volatile.Read(ref _balance);
            if (before < cost || Volatile.Read(ref _waitingCost) != 0) // nobody overtakes who waits
            {
                return !_leases.Answers && _leases.GiveShare(this, cost, nowNs) && TryTakeHere(cost)
                    ? Taken(limit, nowNs, out word) : Miss(limit, nowNs, cost, out word);
            }
            if (Interlocked.CompareExchange(ref _balance, before - cost, before) == before)
            {
                word = limit.Plus(shared, clock, before - cost);
                long low = Volatile.Read(ref _lowWater);
                Touch(wake: low > 0 && before > low && before - cost <= low);
                return true;
            }
        }
    }

    private bool Taken(Limit limit, long nowNs, out long word)
    {
        word = limit.Plus(Volatile.Read(ref _view.SharedWord), limit.Clock(nowNs), Balance);
        Touch(wake: false);
        return true;
    }

    private bool Miss(Limit limit, long nowNs, int cost, out long word)
    {
        bool mayCome = MayCome(nowNs, cost);
        if (!mayCome)
        {
            Interlocked.Add(ref _missed, cost);
        }
        long clock = limit.Clock(nowNs);
        word = mayCome ? limit.Almost(clock, cost) // then they will be here at once
            : limit.Plus(Volatile.Read(ref _view.SharedWord), clock, Math.Max(0, Balance));
        Touch(wake: mayCome);
        return false;
    }

    public override long Charge(long nowNs, int cost)
    {
        View view = Volatile.Read(ref _view);
        long balance = Interlocked.Add(ref _balance, -cost);
        if (cost < 0)
        {
            Serve(nowNs);
        }
        return view.Limit.Plus(Volatile.Read(ref view.SharedWord), view.Limit.Clock(nowNs), balance);
    }

    public override Limit Look(long nowNs, out long word)
    {
        View view = Volatile.Read(ref _view);
        word = view.Limit.Plus(Volatile.Read(ref view.SharedWord), view.Limit.Clock(nowNs), Balance);
        return view.Limit;
    }

    /// <summary>Takes over an edit unless a newer one is known. Tokens at hand stay, unless the edit set the tokens:
    /// then they are void.</summary>
    /// <param name="limit">That of the state, compiled.</param>
    /// <returns>False when a newer one is known.</returns>
    public bool Change(in SharedClient state, Limit limit, long nowNs)
    {
        bool returns;
        lock (Gate)
        {
            if (state.Version <= Version)
            {
                return false;
            }
            Version = state.Version;
            if (state.Epoch != Epoch)
            {
                Epoch = state.Epoch;
                Interlocked.Exchange(ref _balance, 0);
                Demand.Returned = 0;
            }
            Demand.Left = state.Tokens;
            Volatile.Write(ref _toldNs, nowNs);
            returns = TakeOver(limit, state.Tokens, nowNs);
        }
        if (returns)
        {
            Touch(wake: true);
        }
        return true;
    }

    /// <summary>Takes over an edit of its plan. The tokens stay, here and in the shared bucket, as far as the capacity
    /// has room.</summary>
    public void Change(Limit limit, long nowNs)
    {
        bool returns;
        lock (Gate)
        {
            View view = _view;
            double shared = view.Limit.Tokens(Volatile.Read(ref view.SharedWord), view.Limit.Clock(nowNs));
            returns = TakeOver(limit, shared, nowNs);
        }
        if (returns)
        {
            Touch(wake: true);
        }
    }

    /// <summary>When the capacity has become less, the tokens at hand go back: what all nodes hold and the shared
    /// bucket might be more than it.</summary>
    /// <returns>Are there tokens to go back?</returns>
    private bool TakeOver(Limit limit, double shared, long nowNs)
    {
        long capacity = limit.Config.Capacity;
        if (capacity < Config.Capacity)
        {
            Demand.Returned += TakeAbove(0);
        }
        Demand.Left = Math.Min(Demand.Left, capacity);
        Volatile.Write(ref _dryUntilNs, 0);
        Volatile.Write(ref _view, new View(limit, Math.Min(shared, capacity), nowNs));
        Serve(nowNs);
        return Demand.Returned > 0;
    }

    /// <summary>Gives granted tokens, unless somebody set the tokens meanwhile: then they are void.</summary>
    public bool Add(long granted, long epoch)
    {
        lock (Gate)
        {
            if (epoch != Epoch)
            {
                return false;
            }
            Interlocked.Add(ref _balance, granted);
            Demand.Accounted += granted;
            return true;
        }
    }

    /// <summary>Takes back what is above <paramref name="keep"/>.</summary>
    public long TakeAbove(long keep)
    {
        while (true)
        {
            long before = Volatile.Read(ref _balance);
            if (before <= keep)
            {
                return 0;
            }
            if (Interlocked.CompareExchange(ref _balance, keep, before) == before)
            {
                Demand.Accounted -= before - keep;
                return before - keep;
            }
        }
    }

    /// <summary>Tells what the shared bucket holds, when it can next have a token, and at which balance a request
    /// should wake the lease thread.</summary>
    public void Inform(double left, long dryUntilNs, long lowWater, long nowNs)
    {
        View view = Volatile.Read(ref _view);
        Volatile.Write(ref view.SharedWord, view.Limit.Word(left, view.Limit.Clock(nowNs)));
        Volatile.Write(ref _dryUntilNs, dryUntilNs);
        Volatile.Write(ref _toldNs, nowNs);
        Volatile.Write(ref _lowWater, lowWater);
    }

    /// <summary>Tokens taken and tokens missed since the last call.</summary>
    public (long Used, long Missed) TakeUsage()
    {
        long balance = Balance;
        long used = Math.Max(0, Demand.Accounted - balance);
        Demand.Accounted = balance;
        return (used, Interlocked.Exchange(ref _missed, 0));
    }

    /// <summary>The lease thread lets go of an idle client.</summary>
    /// <returns>False when it was used in that very moment, and stays.</returns>
    public bool Unlist()
    {
        Interlocked.Exchange(ref _listed, 0);
        return (Balance == Demand.Accounted && Volatile.Read(ref _missed) == 0 && WaitingCost == 0)
            || Interlocked.Exchange(ref _listed, 1) == 1; // then a request has put it on the stack itself
    }

    public void DistrustVersion() => Version = -1;

    /// <summary>It is deleted: who waits is to be decided anew.</summary>
    public void Close(long nowNs)
    {
        lock (Gate)
        {
            _closed = true;
            Serve(nowNs);
        }
    }

    /// <summary>Sees to it that the lease thread knows of this client.</summary>
    public void Touch(bool wake)
    {
        if (Volatile.Read(ref _listed) == 0 && Interlocked.Exchange(ref _listed, 1) == 0)
        {
            _leases.Push(this);
        }
        if (wake)
        {
            _leases.Wake();
        }
    }
}

/// <summary>What the lease thread keeps of a client. Seconds, tokens, and nanoseconds of the monotonic clock.</summary>
internal sealed class LeaseDemand
{
    /// <summary>The balance up to which use is counted.</summary>
    public long Accounted;

    /// <summary>Requests per second at this node, rejected ones too, smoothed.</summary>
    public double PerSecond;
    public long PlannedNs;
    public long UsedNs;

    /// <summary>Tokens used since it was idle.</summary>
    public long UsedInARow;

    /// <summary>Not to be asked for before.</summary>
    public long NextAskNs;
    /// <summary>Tokens to be given back, besides those that are not used.</summary>
    public long Returned;

    /// <summary>What the last statement asked for, and the debt that it paid.</summary>
    public long AskedNeed;
    public long AskedOwed;

    /// <summary>Tokens left in the shared bucket when it last told.</summary>
    public double Left;

    /// <summary>Tokens leased by this node and by all, the older the less; and all that all ever leased.</summary>
    public double OwnRecent;
    public double AllRecent;
    public long LeasedByAll = -1;
    public long NotedNs;

    /// <summary>This node's share of the rate, from 0 to 1, while the bucket cannot be asked; -1: to be found.
    /// </summary>
    public double Share = -1;

    /// <summary>While the shared bucket cannot be asked: the tokens of this node's share, and what was given out of
    /// them and is owed.</summary>
    public double ShareTokens;
    public long SharedNs;
    public long Owed;
}
