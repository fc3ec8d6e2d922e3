using System.Diagnostics.CodeAnalysis;
using System.Numerics;

namespace Penstock.Proxy.RateLimiting;

/// <summary>The buckets of unregistered clients: a bounded, set-associative table of fingerprint and state, 16 bytes
/// per entry, allocated once. Thread-safe: taking from an existing bucket is one compare-and-swap; a new key takes a
/// striped lock.
///
/// A set is two cache lines. A key has a home line in its set, where it is looked for first and stored if there is
/// room. So a bucket in a table that is far larger than the processor's caches usually costs one cache miss.
///
/// A bucket that is full again equals no bucket, so such entries are reused first, without loss. When all entries of a
/// set are in use, the bucket that is nearest to full, by its share, is replaced: a flood of new keys replaces other
/// keys of the flood, and an exhausted client stays exhausted. (Measured against two alternatives: ordering by the time
/// until full lets a flood under a slow limit replace clients of a fast one; letting the new key inherit the old bucket
/// rejects newcomers in such a flood.)</summary>
[SuppressMessage("Design", "CA1001", Justification = "the memory is released when no loop refers to the table")]
internal sealed unsafe partial class BucketTable
{
    private const int Ways = 8;
    private const int LineWays = 4;
    private const int LimitBits = 12;
    private const ulong LimitMask = (1UL << LimitBits) - 1;
    private const int Stripes = 64;

    /// <summary>Entries per tracked bucket. Keys are spread randomly: with half of the entries in use, one key in a
    /// hundred finds its set full; with nearly all in use, one in eight.</summary>
    public const int EntriesPerBucket = 2;

    /// <summary>With this many entries in use, small memory pages no longer save memory.</summary>
    private const int ManyFilled = 8192;

    /// <summary>Maximum number of limits that share the table.</summary>
    public const int MaxLimits = (int)LimitMask;

    /// <param name="State">Of the bucket, afterwards.</param>
    /// <param name="Taken">Were the tokens there?</param>
    private readonly record struct Taking(long State, bool Taken);

    private struct Entry
    {
        /// <summary>The upper bits of the key's hash, and the limit's number + 1; 0: empty.</summary>
        public ulong Mark;
        public long State;

        /// <summary>Gives the entry to another key. Call it under the set's lock. Readers check the mark after they
        /// have read the state, so they never take the new state for the old key's.</summary>
        public void Assign(ulong mark, long state)
        {
            Volatile.Write(ref Mark, 0);
            Interlocked.Exchange(ref State, state);
            Volatile.Write(ref Mark, mark);
        }

        /// <summary>Empties the entry. Call it under the set's lock.</summary>
        /// <returns>The last state.</returns>
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
    private long _emptied;
    private readonly Lock[] _locks = [.. Enumerable.Range(0, Stripes).Select(static _ => new Lock())];

    /// <param name="entries">The number of entries, rounded up to 8 times a power of two.</param>
    /// <param name="limits">The limits; their numbers start at 0.</param>
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

    /// <summary>Replaces the limits. A number that belonged to another limit must be free; see
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

    /// <summary>Entries that hold a bucket. A bucket that is full again stays until another key needs its
    /// entry.</summary>
    public long Count => Volatile.Read(ref _filled) - Volatile.Read(ref _emptied);

    /// <summary>How often a bucket in use was replaced since start. More than 0 means that the table is too
    /// small.</summary>
    public long Displaced => Volatile.Read(ref _displaced);

    /// <summary>Takes <paramref name="cost"/> tokens from the key's bucket under this limit, or under the limit that
    /// has replaced it.</summary>
    /// <param name="hash">The key's seeded hash.</param>
    /// <param name="limit">The limit; afterwards the limit in force, whose clock the state uses.</param>
    /// <param name="state">The bucket's state afterwards.</param>
    public bool TryTake(ulong hash, ref Limit limit, long nowNs, int cost, out long state) =>
        Take(hash, ref limit, nowNs, cost, inAnyCase: false, out state);

    /// <summary>Takes tokens even if the bucket has too few. A negative cost gives tokens back.</summary>
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
                state = 0; // the limit was removed long ago, so it admits everything
                return true;
            }
            if (TryTake(hash, rule, nowNs, cost, inAnyCase, out Taking taking))
            {
                state = taking.State;
                return taking.Taken;
            }
        }
    }

    /// <summary>False when another limit has replaced this one in between.</summary>
    private bool TryTake(ulong hash, Limit rule, long nowNs, int cost, bool inAnyCase, out Taking taking)
    {
        ulong mark = MarkOf(hash, rule.Number);
        Span<Entry> set = Set(hash);
        int way = Find(set, mark, Home(hash));
        long clock = rule.Clock(nowNs);

        while (true)
        {
            if (way < 0 && cost < 0)
            {
                taking = new(0, true); // the bucket is gone, so there is nothing to give back to
                return true;
            }
            if (way < 0)
            {
                if (TryInsert(hash, rule, nowNs, cost, inAnyCase, out taking))
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
                continue; // the entry was given to another key in between
            }
            long state = before;
            if (!rule.TryTake(ref state, clock, cost, inAnyCase))
            {
                taking = new(state, false);
                return true;
            }
            if (Interlocked.CompareExchange(ref entry.State, state, before) == before)
            {
                taking = new(state, true);
                return true;
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

    /// <summary>The way at which the key's home line begins: 0 or 4. It comes from bits that neither set nor stripe
    /// use.</summary>
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

    /// <summary>Creates the bucket of a new key. False when another thread has just created it, or when another limit
    /// has replaced this one: the bucket may have moved there, and a second one would be full.</summary>
    private bool TryInsert(ulong hash, Limit rule, long nowNs, int cost, bool inAnyCase, out Taking taking)
    {
        ulong mark = MarkOf(hash, rule.Number);
        long clock = rule.Clock(nowNs);
        taking = default;
        lock (_locks[hash & _setMask & (Stripes - 1)])
        {
            Span<Entry> set = Set(hash);
            if (rule.Successor is not null || Find(set, mark, Home(hash)) >= 0)
            {
                return false;
            }
            long state = Inherited(set, hash, rule, nowNs, take: true);
            bool inherited = state != 0;
            bool taken = rule.TryTake(ref state, clock, cost, inAnyCase);
            taking = new(state, taken);
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

    /// <summary>The first state of a bucket: full (0), or the tokens of the key's bucket under the limit that this one
    /// has replaced, unless that was so long ago that it would be full by now.</summary>
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
                if (take)
                {
                    Interlocked.Increment(ref _emptied);
                }
                return rule.StateOf(old.Tokens(state, old.Clock(nowNs)), rule.Clock(nowNs));
            }
        }
        return 0;
    }

    /// <summary>Whether the limit was replaced so long ago that all of its buckets are full by now.</summary>
    private static bool IsPast(Limit old, long nowNs) =>
        (nowNs - old.ReplacedAtNs) / 1_000_000_000 > old.WindowSeconds;

    /// <summary>Moves the buckets of limits that are no longer in force to the limits that replaced them, and deletes
    /// those of removed limits. Afterwards their numbers are free. It takes milliseconds, during which requests
    /// continue. One caller at a time.</summary>
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

    private void Move(Span<Entry> set, ref Entry entry, ulong mark, Limit old, long nowNs)
    {
        Limit rule = old.Current;
        ulong next = (mark & ~LimitMask) | (uint)(rule.Number + 1);
        long state = entry.Clear();
        if (rule == old || IsPast(old, nowNs) || Find(set, next, home: 0) >= 0)
        {
            Interlocked.Increment(ref _emptied);
            return;
        }
        entry.Assign(next, rule.StateOf(old.Tokens(state, old.Clock(nowNs)), rule.Clock(nowNs)));
    }

    /// <summary>The entry to use for a new key: an empty entry or a full bucket, in the home line if possible; else the
    /// bucket with the smallest share taken.</summary>
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
