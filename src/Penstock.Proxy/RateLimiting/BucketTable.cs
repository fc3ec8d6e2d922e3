using System.Diagnostics.CodeAnalysis;
using System.Numerics;

namespace Penstock.Proxy.RateLimiting;

/// <summary>The buckets of clients without a setting of their own: a bounded, set-associative table of fingerprint and
/// state, 16 bytes an entry, allocated once. Thread-safe: taking from a bucket that is there is one compare-and-swap;
/// a new key takes a striped lock.
///
/// A set is two cache lines and a key is at home in one of them, where it is looked for first and put if there is
/// room: a bucket of a table that is far larger than the processor's caches usually costs one miss.
///
/// A bucket that is full again equals no bucket, so such entries are reused first, at no loss. When all of a set's
/// entries are in use, the one nearest to full, by its share, gives way: a flood of new keys washes out other keys of
/// the flood, and an exhausted client stays exhausted. (Measured against two others: ordering by the time until full
/// lets a flood under a slow limit wash out clients of a fast one; letting the new key inherit the old one's bucket
/// rejects newcomers in such a flood.)</summary>
[SuppressMessage("Design", "CA1001", Justification = "the memory goes back when no loop holds the table any more")]
internal sealed unsafe partial class BucketTable
{
    private const int Ways = 8;
    private const int LineWays = 4;
    private const int LimitBits = 12;
    private const ulong LimitMask = (1UL << LimitBits) - 1;
    private const int Stripes = 64;

    /// <summary>Entries for each bucket that is to be tracked: keys spread by chance, and with half of the entries in
    /// use one key in a hundred finds its set full, with nearly all in use it is one in eight.</summary>
    public const int EntriesPerBucket = 2;

    /// <summary>Entries in use after which small pages would save no memory any more.</summary>
    private const int ManyFilled = 8192;

    /// <summary>How many different limits may share the table.</summary>
    public const int MaxLimits = (int)LimitMask;

    private struct Entry
    {
        /// <summary>Upper bits of the key's hash, and the limit's number + 1; 0 means empty.</summary>
        public ulong Mark;
        public long State;

        /// <summary>Gives the entry to another key. Readers check the mark after they read the state, so they never
        /// take the new state for the old key's. Under the set's lock.</summary>
        public void Assign(ulong mark, long state)
        {
            Volatile.Write(ref Mark, 0);
            Interlocked.Exchange(ref State, state);
            Volatile.Write(ref Mark, mark);
        }

        /// <summary>Empties the entry. Under the set's lock.</summary>
        /// <returns>The state that it had at the end.</returns>
        public long Clear()
        {
            Volatile.Write(ref Mark, 0);
            return Interlocked.Exchange(ref State, 0);
        }
    }

    private readonly TableMemory _memory;
    private readonly Entry* _entries;
    private readonly ulong _setMask;
    private volatile Limit[] _limits;
    private long _displaced;
    private long _filled;
    private readonly Lock[] _locks = [.. Enumerable.Range(0, Stripes).Select(static _ => new Lock())];

    /// <param name="entries">Rounded up to 8 times a power of two.</param>
    /// <param name="limits">The limits, numbered from 0.</param>
    public BucketTable(long entries, IReadOnlyList<Limit> limits)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(limits.Count, MaxLimits, nameof(limits));
        ulong sets = BitOperations.RoundUpToPowerOf2((ulong)Math.Max(1, (entries + Ways - 1) / Ways));
        _memory = new TableMemory((nuint)sets * Ways * (nuint)sizeof(Entry));
        _entries = (Entry*)_memory.Start;
        Capacity = (long)sets * Ways;
        _setMask = sets - 1;
        _limits = [.. limits];
        Number(_limits);
    }

    public long Capacity { get; }

    /// <summary>Knows these limits from now on. A number that another limit had must be free: see
    /// <see cref="Settle(long)"/>.</summary>
    public void Apply(IReadOnlyList<Limit> limits)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(limits.Count, MaxLimits, nameof(limits));
        Limit[] all = [.. limits];
        Number(all);
        _limits = all;
    }

    private static void Number(Limit[] limits)
    {
        for (int i = 0; i < limits.Length; i++)
        {
            if (limits[i].ReplacedAtNs == long.MaxValue)
            {
                limits[i].Number = i;
            }
        }
    }

    /// <summary>How often a bucket in use gave way since start: more than 0 says that the table is too small.</summary>
    public long Displaced => Volatile.Read(ref _displaced);

    /// <summary>Takes <paramref name="cost"/> tokens from the key's bucket under that limit, or under the one that took
    /// its place.</summary>
    /// <param name="hash">Of the key, seeded.</param>
    /// <param name="limit">The limit; afterwards the one in force, on whose clock the state is.</param>
    /// <param name="state">The bucket's state afterwards.</param>
    public bool TryTake(ulong hash, ref Limit limit, long nowNs, int cost, out long state) =>
        Take(hash, ref limit, nowNs, cost, inAnyCase: false, out state);

    /// <summary>Takes tokens whether they are there or not; a negative cost gives back what was taken.</summary>
    /// <returns>The bucket's state afterwards.</returns>
    public long Debit(ulong hash, ref Limit limit, long nowNs, int cost)
    {
        Take(hash, ref limit, nowNs, cost, inAnyCase: true, out long state);
        return state;
    }

    private bool Take(ulong hash, ref Limit limit, long nowNs, int cost, bool inAnyCase, out long state)
    {
        while (true)
        {
            Limit rule = limit = limit.Current;
            if (rule.Number < 0)
            {
                state = 0; // gone for long: nobody is held to it any more
                return true;
            }
            if (TryTake(hash, rule, nowNs, cost, inAnyCase, out state, out bool taken))
            {
                return taken;
            }
        }
    }

    /// <summary>False when another limit took the place of this one meanwhile.</summary>
    private bool TryTake(ulong hash, Limit rule, long nowNs, int cost, bool inAnyCase, out long state, out bool taken)
    {
        ulong mark = MarkOf(hash, rule.Number);
        Span<Entry> set = Set(hash);
        int way = Find(set, mark, Home(hash));
        long clock = rule.Clock(nowNs);

        while (true)
        {
            if (way < 0 && cost < 0)
            {
                state = 0; // nothing is kept of what it would go back to
                return taken = true;
            }
            if (way < 0)
            {
                if (TryInsert(hash, mark, rule, nowNs, cost, inAnyCase, out state, out taken))
                {
                    return true;
                }
                if (rule.Successor is not null)
                {
                    return false;
                }
                way = Find(set, mark, Home(hash));
                continue;
            }

            ref Entry entry = ref set[way];
            long before = Volatile.Read(ref entry.State);
            if (Volatile.Read(ref entry.Mark) != mark)
            {
                way = Find(set, mark, Home(hash));
                continue; // given to another key meanwhile
            }
            state = before;
            if (!rule.TryTake(ref state, clock, cost, inAnyCase))
            {
                taken = false;
                return true;
            }
            if (Interlocked.CompareExchange(ref entry.State, state, before) == before)
            {
                return taken = true;
            }
        }
    }

    /// <summary>The state of the key's bucket without taking anything; 0 (full) when it is not tracked.</summary>
    public long Peek(ulong hash, ref Limit limit, long nowNs)
    {
        limit = limit.Current;
        if (limit.Number < 0)
        {
            return 0;
        }
        Span<Entry> set = Set(hash);
        int way = Find(set, MarkOf(hash, limit.Number), Home(hash));
        return way >= 0 ? Volatile.Read(ref set[way].State) : Inherited(set, hash, limit, nowNs, take: false);
    }

    internal static ulong MarkOf(ulong hash, int limit) => (hash & ~LimitMask) | (uint)(limit + 1);

    private Span<Entry> Set(ulong hash) => new(_entries + ((hash & _setMask) * Ways), Ways);

    /// <summary>The way at which the key's own line begins: 0 or 4. Bits that neither set nor stripe use.</summary>
    private static int Home(ulong hash) => (int)(hash >> 61) & LineWays;

    private static int Find(Span<Entry> set, ulong mark, int home)
    {
        for (int i = 0; i < Ways; i++)
        {
            int way = i ^ home;
            if (Volatile.Read(ref set[way].Mark) == mark)
            {
                return way;
            }
        }
        return -1;
    }

    /// <summary>Makes the bucket of a key that was not there; false when another thread just did, or when another limit
    /// took the place of this one: its bucket may have gone there, and a second one would be full.</summary>
    private bool TryInsert(ulong hash, ulong mark, Limit rule, long nowNs, int cost, bool inAnyCase, out long state,
        out bool taken)
    {
        long clock = rule.Clock(nowNs);
        state = 0;
        taken = false;
        lock (_locks[hash & _setMask & (Stripes - 1)])
        {
            Span<Entry> set = Set(hash);
            if (rule.Successor is not null || Find(set, mark, Home(hash)) >= 0)
            {
                return false;
            }
            state = Inherited(set, hash, rule, nowNs, take: true);
            bool inherited = state != 0;
            taken = rule.TryTake(ref state, clock, cost, inAnyCase);
            if (!taken && !inherited)
            {
                return true;
            }
            ref Entry entry = ref set[Victim(set, nowNs, Home(hash), out bool inUse)];
            bool empty = entry.Mark == 0;
            entry.Assign(mark, state);
            if (inUse)
            {
                Interlocked.Increment(ref _displaced);
            }
            if (empty && Interlocked.Increment(ref _filled) == ManyFilled)
            {
                ThreadPool.UnsafeQueueUserWorkItem(static memory => memory.UseHugePages(), _memory, preferLocal: false);
            }
            return true;
        }
    }

    /// <summary>What a bucket begins with: full (0), or with the tokens of the key's bucket under the limit that this
    /// one took the place of, unless that was so long ago that it would be full by now.</summary>
    private long Inherited(Span<Entry> set, ulong hash, Limit rule, long nowNs, bool take)
    {
        for (Limit? old = rule.Predecessor; old is not null; old = old.Predecessor)
        {
            if (IsPast(old, nowNs))
            {
                return 0;
            }
            int way = Find(set, MarkOf(hash, old.Number), Home(hash));
            if (way >= 0)
            {
                long state = take ? set[way].Clear() : Volatile.Read(ref set[way].State);
                return rule.StateOf(old.Tokens(state, old.Clock(nowNs)), rule.Clock(nowNs));
            }
        }
        return 0;
    }

    /// <summary>It was replaced so long ago that all of its buckets are full by now.</summary>
    private static bool IsPast(Limit old, long nowNs) =>
        (nowNs - old.ReplacedAtNs) / 1_000_000_000 > old.WindowSeconds;

    /// <summary>Moves every bucket of a limit that is not in force any more to the one that took its place, and forgets
    /// those of limits that are gone. Afterwards their numbers are free. It takes milliseconds, and one caller at a
    /// time; requests go on.</summary>
    public void Settle(long nowNs)
    {
        Limit[] limits = _limits;
        for (ulong set = 0; set <= _setMask; set++)
        {
            Span<Entry> entries = Set(set);
            lock (_locks[set & (Stripes - 1)])
            {
                foreach (ref Entry entry in entries)
                {
                    ulong mark = entry.Mark;
                    if (mark != 0 && limits[LimitOf(mark)] is { ReplacedAtNs: < long.MaxValue } old)
                    {
                        Move(entries, ref entry, mark, old, nowNs);
                    }
                }
            }
        }
        foreach (Limit limit in limits)
        {
            limit.Predecessor = null;
            if (limit.ReplacedAtNs < long.MaxValue)
            {
                limit.Number = -1;
            }
        }
    }

    private static void Move(Span<Entry> set, ref Entry entry, ulong mark, Limit old, long nowNs)
    {
        Limit rule = old.Current;
        ulong next = (mark & ~LimitMask) | (uint)(rule.Number + 1);
        long state = entry.Clear();
        if (rule == old || IsPast(old, nowNs) || Find(set, next, home: 0) >= 0)
        {
            return;
        }
        entry.Assign(next, rule.StateOf(old.Tokens(state, old.Clock(nowNs)), rule.Clock(nowNs)));
    }

    /// <summary>An empty entry or a full bucket, in the key's own line if there is one, else the bucket with the
    /// smallest share taken.</summary>
    private int Victim(Span<Entry> set, long nowNs, int home, out bool inUse)
    {
        int victim = home;
        double least = double.MaxValue;
        inUse = false;
        for (int i = 0; i < Ways; i++)
        {
            int way = i ^ home;
            ulong mark = set[way].Mark;
            if (mark == 0)
            {
                return way;
            }
            Limit rule = _limits[(int)(mark & LimitMask) - 1];
            double taken = (double)(set[way].State - rule.Clock(nowNs)) / rule.Full;
            if (taken <= 0)
            {
                return way;
            }
            if (taken < least)
            {
                least = taken;
                victim = way;
            }
        }
        inUse = true;
        return victim;
    }
}
