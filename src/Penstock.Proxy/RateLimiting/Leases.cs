namespace Penstock.Proxy.RateLimiting;

/// <summary>This node's part of the buckets that several nodes share. Every tick one thread, the lease thread, asks
/// (<see cref="Plan"/>) for tokens for the clients that were used, and hands out the answer (<see cref="Grant"/>). What
/// it gets is deducted from the shared bucket at that moment, so that all nodes together never admit more than the
/// capacity and what came back since; a node that dies takes its unused tokens with it.
///
/// How many: as many as this node's traffic needs for some ticks, and, while the bucket is rich, for up to a second,
/// so that a steady client costs one row a second. The nearer the bucket is to empty, the smaller the chunks (guided
/// self-scheduling, Polychronopoulos and Kuck 1987): the last tokens go where they are used.
///
/// A first request cannot wait for a lease. So each node has a standing credit of a 32nd of each bucket, which the
/// shared bucket leaves room for: a full bucket and all nodes' credits together make the capacity.</summary>
public sealed class Leases
{
    /// <summary>Clients in one statement; the others' turn is the next tick.</summary>
    public const int MaxAsks = 2000;

    private const double NeedSeconds = 0.15;
    private const double WantSeconds = 1;
    private const double SmoothSeconds = 0.5;
    private const double ShareSeconds = 5;

    /// <summary>The nodes find their shares at different moments: together they must not be more than all. What is held
    /// back stays in the shared bucket for afterwards.</summary>
    private const double ShareCaution = 0.85;
    private const long IdleNs = 1_000_000_000;
    private const double MaxDrySeconds = 1;
    private const int MaxVainAsks = 3;

    private readonly Limiter _limiter;
    private readonly MonotonicClock _clock;
    private readonly object _waiting = new();
    private readonly List<LeasedClient> _active = [];
    private readonly Dictionary<string, LeasedClient> _asked = [];
    private LeasedClient? _touched;
    private int _woken;
    private int _cursor;
    private volatile int _rank = 1;

    internal Leases(Limiter limiter, MonotonicClock clock)
    {
        _limiter = limiter;
        _clock = clock;
    }

    /// <summary>Clients that the lease thread looks after now.</summary>
    public int ActiveClients => _active.Count;

    /// <summary>This node's place among those that are there, the eldest first, from 1: small buckets have credit for
    /// the first ones only. Thread-safe.</summary>
    public int Rank
    {
        get => _rank;
        set => _rank = value;
    }

    /// <summary>A node's standing credit of a bucket: the same in <c>penstock_credit</c> of the database.</summary>
    public static long StandingCredit(long capacity, int rank)
    {
        long credit = Math.Clamp(capacity / 32, 1, 64);
        return rank * credit <= capacity / 2 ? credit : 0;
    }

    /// <summary>Registers a client, or takes over an edit of one; an older state than the known one changes nothing.
    /// Thread-safe.</summary>
    public void Apply(SharedClient client) =>
        _limiter.Apply(client, client.Full ? StandingCredit(client.Limit.Capacity, _rank) : 0);

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
        long now = _clock.NowNs;
        foreach (LeasedClient client in Round())
        {
            bool busy = !client.Closed && Ask(client, now, asks);
            if (busy || !(client.Closed || now - client.Demand.UsedNs > IdleNs) || !Forget(client))
            {
                _cursor++;
            }
            if (asks.Count == MaxAsks)
            {
                break;
            }
        }
    }

    /// <summary>Adds what this node gave out while it was alone, to be taken from the shared buckets, and asks for
    /// nothing: when the database is back, all nodes pay before any takes what has come back meanwhile.</summary>
    public void PlanDebts(List<LeaseAsk> asks)
    {
        ArgumentNullException.ThrowIfNull(asks);
        _asked.Clear();
        foreach (LeasedClient client in Round())
        {
            LeaseDemand demand = client.Demand;
            if (demand.Owed > 0)
            {
                (demand.AskedNeed, demand.AskedOwed) = (0, demand.Owed);
                _asked[client.Id] = client;
                asks.Add(new LeaseAsk(client.Id, client.Epoch, 0, 0, -demand.Owed));
            }
            _cursor++;
            if (asks.Count == MaxAsks)
            {
                break;
            }
        }
    }

    private bool Ask(LeasedClient client, long now, List<LeaseAsk> asks)
    {
        LeaseDemand demand = client.Demand;
        (long need, long want, bool idle) = Foresee(client, now);
        (demand.Share, demand.ShareTokens) = (-1, 0); // it is not alone, or no more
        double back = -demand.Owed;
        if (idle)
        {
            back += client.TakeAbove(need);
        }
        long balance = demand.Accounted;
        bool asking = balance < need && now >= demand.NextAskNs && !(idle && demand.VainAsks >= MaxVainAsks);
        if (!asking && back == 0)
        {
            return idle && balance < need && demand.VainAsks < MaxVainAsks; // asks again soon
        }
        demand.AskedNeed = asking ? need - balance : 0;
        demand.AskedOwed = demand.Owed;
        _asked[client.Id] = client;
        asks.Add(new LeaseAsk(client.Id, client.Epoch, demand.AskedNeed, asking ? want - balance : 0, back));
        return true;
    }

    /// <summary>Hands out what was granted for the last asks, less what was given out of this node's share while the
    /// answer was late.</summary>
    public void Grant(IReadOnlyList<LeaseGrant> grants)
    {
        ArgumentNullException.ThrowIfNull(grants);
        long now = _clock.NowNs;
        foreach (LeaseGrant grant in grants)
        {
            if (!_asked.Remove(grant.ClientId, out LeasedClient? client))
            {
                continue;
            }
            LeaseDemand demand = client.Demand;
            long sinceAsked = demand.Owed - demand.AskedOwed;
            long paid = Math.Min(grant.Granted, sinceAsked);
            if (!client.Add(grant.Granted - paid, grant.Epoch))
            {
                continue;
            }
            demand.Owed = sinceAsked - paid;
            demand.Left = grant.Left;
            NoteShare(demand, grant, now);
            long dryUntil = 0;
            if (grant.Granted < demand.AskedNeed)
            {
                demand.VainAsks = grant.Granted == 0 ? demand.VainAsks + 1 : 0;
                double toNext = (Math.Floor(grant.Left) + 1 - grant.Left) / client.Config.RatePerSecond;
                dryUntil = now + (long)(Math.Min(MaxDrySeconds, toNext) * 1e9);
            }
            demand.NextAskNs = dryUntil;
            client.Inform(grant.Left, dryUntil, LowWater(demand), now);
        }
        NoAnswer();
    }

    /// <summary>The last asks were not answered, or not all: whatever was granted is lost, never given twice. Debts
    /// stay.</summary>
    public void NoAnswer()
    {
        foreach (LeasedClient client in _asked.Values)
        {
            if (client.Demand.AskedNeed > 0)
            {
                client.Demand.NextAskNs = _clock.NowNs + (long)(NeedSeconds * 1e9); // deleted, or just edited
            }
        }
        _asked.Clear();
    }

    /// <summary>While the shared buckets are out of reach: gives each active client tokens at this node's share of its
    /// rate, and notes them as a debt. The share is that of the tokens leased lately; where none were, an equal
    /// one.</summary>
    /// <param name="nodes">How many nodes there were, this one included.</param>
    public void GrantShare(int nodes)
    {
        long now = _clock.NowNs;
        foreach (LeasedClient client in Round())
        {
            LeaseDemand demand = client.Demand;
            double seconds = (now - demand.PlannedNs) / 1e9;
            (_, long want, _) = Foresee(client, now);
            // first its share of what was left, then that of what comes back from now on
            bool first = demand.Share < 0;
            double share = ShareOf(demand, nodes, now);
            demand.ShareTokens += share * (first ? Math.Max(0, demand.Left) : seconds * client.Config.RatePerSecond);
            demand.ShareTokens = Math.Min(demand.ShareTokens, Math.Max(1, client.Config.Capacity * share));
            if (demand.Accounted < want && demand.ShareTokens >= 1)
            {
                long granted = Math.Min(want - demand.Accounted, (long)demand.ShareTokens);
                if (client.Add(granted, client.Epoch))
                {
                    demand.ShareTokens -= granted;
                    demand.Owed += granted;
                }
            }
            client.Inform(demand.ShareTokens, now, 0, now);
            if (!client.Closed || !Forget(client))
            {
                _cursor++;
            }
        }
    }

    /// <summary>Takes the unused tokens of all active clients, to be given back because this node stops.</summary>
    public void TakeAll(List<LeaseAsk> asks)
    {
        ArgumentNullException.ThrowIfNull(asks);
        foreach (LeasedClient client in Round())
        {
            double back = client.TakeAbove(0) - client.Demand.Owed;
            if (back != 0)
            {
                asks.Add(new LeaseAsk(client.Id, client.Epoch, 0, 0, back));
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

    /// <summary>Measures how much the client was used since the last look, and what that makes it need: never less
    /// than the standing credit, for which a request need not wait.</summary>
    private (long Need, long Want, bool Idle) Foresee(LeasedClient client, long now)
    {
        LeaseDemand demand = client.Demand;
        (long used, long missed) = client.TakeUsage();
        double seconds = Math.Max(1e-3, (now - demand.PlannedNs) / 1e9);
        demand.PlannedNs = now;
        double perSecond = (used + missed) / seconds;
        demand.PerSecond += (perSecond - demand.PerSecond) * (1 - Math.Exp(-seconds / SmoothSeconds));
        if (used + missed > 0)
        {
            demand.UsedNs = now;
            demand.VainAsks = 0;
        }
        long capacity = client.Config.Capacity;
        long standing = Math.Max(1, StandingCredit(capacity, _rank));
        if (now - demand.UsedNs > IdleNs)
        {
            return (standing, standing, true);
        }
        // a burst that has just begun counts for more than the smoothed past
        double soon = (demand.PerSecond * NeedSeconds) + used + missed;
        long need = (long)Math.Clamp(Math.Ceiling(soon), standing, capacity);
        long want = (long)Math.Clamp(Math.Ceiling(demand.PerSecond * WantSeconds), need, capacity);
        return (need, want, false);
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

    private static void NoteShare(LeaseDemand demand, in LeaseGrant grant, long now)
    {
        double fade = Math.Exp(-(now - demand.NotedNs) / 1e9 / ShareSeconds);
        if (demand.LeasedByAll >= 0) // the first grant says nothing of the others
        {
            demand.OwnRecent = (demand.OwnRecent * fade) + grant.Granted;
            demand.AllRecent = (demand.AllRecent * fade)
                + Math.Max(grant.Granted, grant.LeasedByAll - demand.LeasedByAll);
        }
        demand.LeasedByAll = grant.LeasedByAll;
        demand.NotedNs = now;
    }

    /// <summary>Fixed when the shared buckets go out of reach.</summary>
    private static double ShareOf(LeaseDemand demand, int nodes, long now)
    {
        if (demand.Share < 0)
        {
            bool lately = demand.AllRecent >= 1 && now - demand.NotedNs < ShareSeconds * 2e9;
            demand.Share = ShareCaution
                * (lately ? Math.Min(1, demand.OwnRecent / demand.AllRecent) : 1.0 / Math.Max(1, nodes));
        }
        return demand.Share;
    }
}
