using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>The name and numbers of a limit whose buckets are saved.</summary>
public sealed record KeptLimit(string Name, long Capacity, double RatePerSecond)
{
    internal LimitConfig Config => new(Capacity, RatePerSecond);
}

/// <summary>A bucket to save or to forget.</summary>
/// <param name="Hash">The hash of the client's key.</param>
/// <param name="Limit">The limit's number; see <see cref="KeptBuckets.LimitAt"/>.</param>
/// <param name="FullAtUnixNs">When the bucket will be full, in nanoseconds since 1970 (UTC). This determines the tokens
/// in it at any time. 0: forget the bucket.</param>
public readonly record struct BucketChange(ulong Hash, int Limit, long FullAtUnixNs)
{
    /// <summary>The index of the entry; -1: none.</summary>
    internal long Index { get; init; }

    /// <summary>The state that was read there.</summary>
    internal long State { get; init; }

    /// <summary>Orders by key; forgetting comes first, so that a key that has moved within the table stays
    /// saved.</summary>
    public static int ByKey(BucketChange one, BucketChange other) =>
        one.Limit != other.Limit ? one.Limit.CompareTo(other.Limit)
        : one.Hash != other.Hash ? ((long)one.Hash).CompareTo((long)other.Hash)
        : one.FullAtUnixNs.CompareTo(other.FullAtUnixNs);
}

/// <summary>Finds the buckets of unregistered clients that must be saved, so that they survive a restart. It remembers
/// what is saved of each entry (16 bytes) and compares: the loops do nothing for it, and it takes no lock. One caller
/// at a time.</summary>
public sealed unsafe class KeptBuckets
{
    private struct Saved
    {
        /// <summary>0: nothing.</summary>
        public ulong Mark;
        public long State;
    }

    private readonly LimitTable _limits;
    private readonly MonotonicClock _clock;
    private readonly long _minWallNs;
    private readonly Dictionary<KeptLimit, Limit> _before = [];
    private readonly List<BucketChange> _gone = [];
    private BucketTable _table;
    private TableMemory _memory;
    private Saved* _saved;
    private long _next;

    /// <param name="savedAtUnixNs">When the last bucket was saved, in nanoseconds since 1970 (UTC). With it, no tokens
    /// are lost when the time of day was set back since.</param>
    internal KeptBuckets(LimitTable limits, MonotonicClock clock, long savedAtUnixNs)
    {
        (_limits, _clock, _minWallNs) = (limits, clock, savedAtUnixNs);
        (_table, _memory) = Remember(limits.Table);
    }

    private long WallNs =>
        Math.Max(_minWallNs, (_clock.Time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * 100);

    /// <summary>The limit with this number.</summary>
    public KeptLimit LimitAt(int number) => Kept(_table.Limits[number]);

    /// <summary>Whether a limit with this name and these numbers is in force.</summary>
    public bool Knows(KeptLimit limit) => _limits.Find(limit.Name) is { } known && Kept(known) == limit;

    /// <summary>Restores a saved bucket. Call it before the first request. If the limit's numbers have changed since,
    /// the client keeps its tokens, up to the new capacity.</summary>
    /// <param name="isSaved">It comes from the store. Otherwise it is saved soon, and replaces what was restored
    /// before.</param>
    /// <returns>False when the limit no longer exists or the bucket is full.</returns>
    public bool Restore(KeptLimit limit, ulong hash, long fullAtUnixNs, bool isSaved = true)
    {
        long fullInNs = fullAtUnixNs - WallNs;
        if (_limits.Find(limit.Name) is not { } rule || fullInNs <= 0)
        {
            return false;
        }
        if (!_before.TryGetValue(limit, out Limit? before))
        {
            _before[limit] = before = new Limit(limit.Name, limit.Config);
        }
        long now = _clock.NowNs;
        bool same = Kept(rule) == limit;
        long state = Math.Min(before.Clock(now + fullInNs), before.Clock(now) + (2 * before.Full)); // with its debt
        if (!same)
        {
            state = rule.StateOf(before.Tokens(state, before.Clock(now)), rule.Clock(now));
        }
        long index = _table.Restore(hash, rule.Number, state, now, replaces: !isSaved, out ulong displaced);
        if (index < 0)
        {
            return true;
        }
        if (displaced != 0)
        {
            Forget(index, displaced, _gone);
        }
        if (!isSaved)
        {
            return true;
        }
        _saved[index] = same ? new Saved { Mark = Mark(hash, rule.Number), State = state } : default;
        return true;
    }

    /// <summary>Adds the buckets in which the table differs from what is saved. Each call continues where the last one
    /// stopped, so that one collection need not hold them all.</summary>
    /// <param name="most">Stop after about this many.</param>
    /// <returns>False at the end of the table; the next call starts from the beginning.</returns>
    public bool Collect(List<BucketChange> into, int most)
    {
        ArgumentNullException.ThrowIfNull(into);
        if (_table != _limits.Table)
        {
            (_table, _memory) = Remember(_limits.Table); // the first limit was added; the old table was empty
        }
        if (_table.IsEmpty)
        {
            return false;
        }
        into.AddRange(_gone);
        _gone.Clear();
        Limit[] limits = _table.Limits;
        (long now, long wall) = (_clock.NowNs, WallNs);
        long[] clocks = [.. limits.Select(l => l.Clock(now))];
        for (; _next < _table.Capacity && (into.Count < most || _next % BucketTable.SetEntries != 0); _next++)
        {
            ulong saved = _saved[_next].Mark;
            if (!_table.TryRead(_next, out ulong mark, out long state))
            {
                if (saved != 0 && mark == 0)
                {
                    Forget(_next, saved, into); // it belongs to the replacing limit now
                }
                continue;
            }
            if (saved == mark && _saved[_next].State == state && state > clocks[BucketTable.LimitOf(mark)])
            {
                continue;
            }
            int number = BucketTable.LimitOf(mark);
            if (number >= limits.Length)
            {
                continue; // of a limit that was added during this collection
            }
            bool full = state <= clocks[number];
            if (saved != 0 && (saved != mark || full))
            {
                Forget(_next, saved, into);
            }
            if (!full)
            {
                long fullAt = limits[number].AdmitsAtNs(state, now, (int)limits[number].Config.Capacity);
                into.Add(new BucketChange(BucketTable.HashAt(_next, mark), number, wall + (fullAt - now))
                {
                    Index = _next,
                    State = state,
                });
            }
        }
        bool more = _next < _table.Capacity;
        _next = more ? _next : 0;
        return more;
    }

    /// <summary>Marks these changes as saved. Changes without this call are collected again.</summary>
    public void Commit(ReadOnlySpan<BucketChange> changes)
    {
        foreach (BucketChange change in changes)
        {
            if (change.Index < 0)
            {
                continue;
            }
            ref Saved saved = ref _saved[change.Index];
            ulong mark = Mark(change.Hash, change.Limit);
            if (change.FullAtUnixNs != 0)
            {
                saved = new Saved { Mark = mark, State = change.State };
            }
            else if (saved.Mark == mark)
            {
                saved = default;
            }
        }
    }

    private static KeptLimit Kept(Limit limit) => new(limit.Name, limit.Config.Capacity, limit.Config.RatePerSecond);

    private static ulong Mark(ulong hash, int limit) => BucketTable.MarkOf(hash, limit);

    private static void Forget(long index, ulong mark, List<BucketChange> into) => into.Add(
        new BucketChange(BucketTable.HashAt(index, mark), BucketTable.LimitOf(mark), 0) { Index = index });

    private (BucketTable Table, TableMemory Memory) Remember(BucketTable table)
    {
        var memory = new TableMemory((nuint)table.Capacity * (nuint)sizeof(Saved));
        _saved = (Saved*)memory.Start;
        _next = 0;
        return (table, memory);
    }
}
