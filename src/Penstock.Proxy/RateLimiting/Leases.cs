namespace Penstock.Proxy.RateLimiting;

/// <summary>This node's part of the buckets that several nodes share. The lease thread asks (<see cref="Plan"/>) for
/// tokens for the clients that were used, and hands out the answer (<see cref="Grant"/>). What it gets is deducted from
/// the shared bucket at that moment, so that all nodes together never admit more than the capacity and what came back
/// since; a node that dies takes its unused tokens with it.
///
/// How many: those that requests wait for; and, while the bucket is rich, as many as this node's traffic needs for up
/// to a second, so that a steady client costs one row a second. The nearer the bucket is to empty, the smaller the
/// chunks (guided self-scheduling, Polychronopoulos and Kuck 1987): the last tokens go where they are used.
///
/// A node holds nothing of a client that is not used. So the first request waits for a lease, some milliseconds, as
/// does any request that finds no token here while nobody here knows that the shared bucket has none. A node that
/// knows, and one that cannot ask, decide at once.</summary>
public sealed partial class Leases
{
    /// <summary>Clients in one statement; the others' turn is the next tick.</summary>
    public const int MaxAsks = 2000;

    private const double NeedSeconds = 0.15;
    private const double WantSeconds = 1;
    private const double SmoothSeconds = 0.5;
    private const long IdleNs = 1_000_000_000;
    private const double MaxDrySeconds = 1;

    /// <summary>Tokens in the shared bucket below which nothing is asked for but what requests wait for.</summary>
    private const double LeastLeftToLeaseAhead = 2;

    private readonly Limiter _limiter;
    private readonly MonotonicClock _clock;
    private readonly object _waiting = new();
    private readonly List<LeasedClient> _active = [];
    private readonly Dictionary<string, LeasedClient> _asked = [];
    private LeasedClient? _touched;
    private int _woken;
    private int _cursor;

    internal Leases(Limiter limiter, MonotonicClock clock)
    {
        _limiter = limiter;
        _clock = clock;
    }

    /// <summary>Clients that the lease thread looks after now.</summary>
    public int ActiveClients => _active.Count;

    /// <summary>Registers a client, or takes over an edit of one; an older state than the known one changes nothing.
    /// Thread-safe.</summary>
    public void Apply(SharedClient client) => _limiter.Apply(client);

    /// <summary>Forgets a client that was deleted in that version. Thread-safe.</summary>
    public void Remove(string clientId, long version) => _limiter.Remove(clientId, version);

    /// <summary>Whole tokens of a client at this node; 0 for one that is not registered. Thread-safe.</summary>
    public long BalanceOf(string clientId) => _limiter.FindLeased(clientId)?.Balance ?? 0;

    /// <summary>Lets the next state of every client count as newer. Thread-safe.</summary>
    public void DistrustVersions() => _limiter.DistrustVersions();

    /// <summary>Waits for a tick's time, or until a client is out of tokens.</summary>
    public void WaitForNeed(TimeSpan atMost)
    {
        lock (_waiting)
        {
            if (Volatile.Read(ref _woken) == 0)
            {
                Monitor.Wait(_waiting, atMost);
            }
            Volatile.Write(ref _woken, 0);
        }
    }

    /// <summary>Ends the waiting. Thread-safe.</summary>
    public void Wake()
    {
        if (Volatile.Read(ref _woken) == 0 && Interlocked.Exchange(ref _woken, 1) == 0)
        {
            lock (_waiting)
            {
                Monitor.Pulse(_waiting);
            }
        }
    }

    internal void Push(LeasedClient client)
    {
        LeasedClient? head = Volatile.Read(ref _touched);
        while (true)
        {
            client.Next = head;
            LeasedClient? seen = Interlocked.CompareExchange(ref _touched, client, head);
            if (seen == head)
            {
                Wake();
                return;
            }
            head = seen;
        }
    }

    /// <summary>Looks at the active clients and adds what to ask for. The lease thread's, like all below.</summary>
    public void Plan(List<LeaseAsk> asks)
    {
        ArgumentNullException.ThrowIfNull(asks);
        _asked.Clear();
        _sharing = _overdue = false; // nothing that was asked is without an answer
        long now = _clock.NowNs;
        foreach (LeasedClient client in Round())
        {
            lock (client.Gate)
            {
                bool busy = !client.Closed && Ask(client, now, asks);
                if (busy || !(client.Closed || now - client.Demand.UsedNs > IdleNs) || !Forget(client))
                {
                    _cursor++;
                }
            }
            if (asks.Count == MaxAsks)
            {
                break;
            }
        }
        Interlocked.Exchange(ref _askedNs, asks.Count > 0 ? now : long.MaxValue);
    }

    /// <summary>Adds what this node gave out while it was alone, to be taken from the shared buckets, and asks for
    /// nothing: when the database is back, all nodes pay before any takes what has come back meanwhile.</summary>
    public void PlanDebts(List<LeaseAsk> asks)
    {
        ArgumentNullException.ThrowIfNull(asks);
        _asked.Clear();
        foreach (LeasedClient client in Round())
        {
            lock (client.Gate)
            {
                LeaseDemand demand = client.Demand;
                if (demand.Owed > 0)
                {
                    (demand.AskedNeed, demand.AskedOwed) = (0, demand.Owed);
                    _asked[client.Id] = client;
                    asks.Add(new LeaseAsk(client.Id, client.Epoch, 0, 0, -demand.Owed));
                }
            }
            _cursor++;
            if (asks.Count == MaxAsks)
            {
                break;
            }
        }
    }

    /// <returns>Is there something to ask?</returns>
    private bool Ask(LeasedClient client, long now, List<LeaseAsk> asks)
    {
        LeaseDemand demand = client.Demand;
        (long low, long want, bool idle) = Foresee(client, now);
        (demand.Share, demand.ShareTokens) = (-1, 0); // it is not alone, or no more
        double back = demand.Returned - demand.Owed;
        demand.Returned = 0;
        if (idle)
        {
            back += client.TakeAbove(0);
        }
        long balance = demand.Accounted;
        long waiting = client.WaitingCost;
        // The last token is for whoever comes first, at any node. One that this node took for who comes next would be
        // missed elsewhere, and lost to a bucket that is full again when it comes back unused.
        bool mayAskAhead = !Waits || demand.Left >= LeastLeftToLeaseAhead;
        bool asking = balance < waiting || (mayAskAhead && balance < low && now >= demand.NextAskNs);
        if (!asking && back == 0)
        {
            return false;
        }
        // Who waits, and a token for who comes next: more only as far as others would not miss it.
        long need = Waits ? Math.Max(waiting, 1) : low;
        demand.AskedNeed = asking ? Math.Max(0, need - balance) : 0;
        demand.AskedOwed = demand.Owed;
        _asked[client.Id] = client;
        asks.Add(new LeaseAsk(client.Id, client.Epoch, demand.AskedNeed,
            asking ? Math.Max(want, need) - balance : 0, back));
        return true;
    }

    /// <summary>Hands out what was granted for the last asks, less what was given out of this node's share while the
    /// answer was late.</summary>
    public void Grant(IReadOnlyList<LeaseGrant> grants)
    {
        ArgumentNullException.ThrowIfNull(grants);
        _overdue = false;
        Interlocked.Exchange(ref _askedNs, long.MaxValue);
        long now = _clock.NowNs;
        foreach (LeaseGrant grant in grants)
        {
            if (_asked.Remove(grant.ClientId, out LeasedClient? client))
            {
                lock (client.Gate)
                {
                    HandOut(client, grant, now);
                }
            }
        }
        NoAnswer();
    }

    private static void HandOut(LeasedClient client, in LeaseGrant grant, long now)
    {
        LeaseDemand demand = client.Demand;
        long sinceAsked = demand.Owed - demand.AskedOwed;
        long paid = Math.Min(grant.Granted, sinceAsked);
        if (!client.Add(grant.Granted - paid, grant.Epoch))
        {
            return;
        }
        demand.Owed = sinceAsked - paid;
        demand.Left = grant.Left;
        NoteShare(demand, grant, now);
        long dryUntil = 0;
        if (grant.Left < 1)
        {
            double toNext = (grant.Left < 0 ? 1 : Math.Floor(grant.Left) + 1) - grant.Left;
            dryUntil = now + (long)(Math.Min(MaxDrySeconds, toNext / client.Config.RatePerSecond) * 1e9);
        }
        demand.NextAskNs = dryUntil;
        client.Inform(grant.Left, dryUntil, LowWater(demand), now);
        client.Serve(now);
    }

    /// <summary>The last asks were not answered, or not all: whatever was granted is lost, never given twice. Debts
    /// stay.</summary>
    public void NoAnswer()
    {
        foreach (LeasedClient client in _asked.Values)
        {
            lock (client.Gate)
            {
                if (client.Demand.AskedNeed > 0)
                {
                    client.Demand.NextAskNs = _clock.NowNs + (long)(NeedSeconds * 1e9); // deleted, or just edited
                }
            }
        }
        _asked.Clear();
    }

    /// <summary>Takes the unused tokens of all active clients, to be given back because this node stops.</summary>
    public void TakeAll(List<LeaseAsk> asks)
    {
        ArgumentNullException.ThrowIfNull(asks);
        foreach (LeasedClient client in Round())
        {
            lock (client.Gate)
            {
                double back = client.TakeAbove(0) + client.Demand.Returned - client.Demand.Owed;
                if (back != 0)
                {
                    asks.Add(new LeaseAsk(client.Id, client.Epoch, 0, 0, back));
                }
            }
            _cursor++;
        }
    }

    /// <summary>The active clients, from where the last round ended, those just touched included. The loop's body
    /// moves the cursor on, or removes the client at it.</summary>
    private IEnumerable<LeasedClient> Round()
    {
        LeasedClient? touched = Interlocked.Exchange(ref _touched, null);
        while (touched is not null)
        {
            _active.Add(touched);
            (LeasedClient client, touched) = (touched, touched.Next);
            client.Next = null;
        }
        for (int left = _active.Count; left > 0; left--)
        {
            if (_cursor >= _active.Count)
            {
                _cursor = 0;
            }
            yield return _active[_cursor];
        }
    }

    /// <summary>Measures how much the client was used since the last look, and what that makes it need: below the
    /// low mark more is asked for, up to what it wants.</summary>
    private static (long Low, long Want, bool Idle) Foresee(LeasedClient client, long now)
    {
        LeaseDemand demand = client.Demand;
        (long used, long missed) = client.TakeUsage();
        double seconds = Math.Max(1e-3, (now - demand.PlannedNs) / 1e9);
        demand.PlannedNs = now;
        double perSecond = (used + missed) / seconds;
        demand.PerSecond += (perSecond - demand.PerSecond) * (1 - Math.Exp(-seconds / SmoothSeconds));
        long waiting = client.WaitingCost;
        demand.UsedInARow += used;
        if (used + missed + waiting > 0)
        {
            demand.UsedNs = now;
        }
        if (now - demand.UsedNs > IdleNs)
        {
            demand.UsedInARow = 0;
            return (0, 0, true);
        }
        long capacity = client.Config.Capacity;
        // a burst that has just begun counts for more than the smoothed past
        double soon = (demand.PerSecond * NeedSeconds) + used + missed + waiting;
        // and a request that came alone for none: a second one may never come
        long low = demand.UsedInARow < 2 && missed == 0 ? waiting : (long)Math.Clamp(Math.Ceiling(soon), 1, capacity);
        long want = (long)Math.Clamp(Math.Ceiling(demand.PerSecond * WantSeconds), low, capacity);
        return (low, want, false);
    }

    private static long LowWater(LeaseDemand demand) => (long)(demand.PerSecond * NeedSeconds / 2);

    private bool Forget(LeasedClient client)
    {
        if (!client.Unlist())
        {
            return false;
        }
        _active[_cursor] = _active[^1];
        _active.RemoveAt(_active.Count - 1);
        return true;
    }
}
