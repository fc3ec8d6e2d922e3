using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>A limit by the name and with the settings under which buckets are kept.</summary>
public sealed record KeptLimit(string Name, long Capacity, double RatePerSecond)
{
    internal LimitConfig Config => new(Capacity, RatePerSecond);
}

/// <summary>What is to be done with a kept bucket.</summary>
/// <param name="Hash">Of the client's key.</param>
/// <param name="Limit">The limit's number, see <see cref="KeptBuckets.LimitAt"/>.</param>
/// <param name="FullAtUnixNs">When the bucket will be full, in nanoseconds of wall time: that says how many tokens are
/// in it at any time. 0: forget it.</param>
public readonly record struct BucketChange(ulong Hash, int Limit, long FullAtUnixNs)
{
    /// <summary>The entry it is about; -1: none.</summary>
    internal long Index { get; init; }

    /// <summary>What was read there.</summary>
    internal long State { get; init; }

    /// <summary>By key, and forgetting comes first: a key that moved within the table is kept.</summary>
    public static int ByKey(BucketChange one, BucketChange other) =>
        one.Limit != other.Limit ? one.Limit.CompareTo(other.Limit)
        : one.Hash != other.Hash ? ((long)one.Hash).CompareTo((long)other.Hash)
        : one.FullAtUnixNs.CompareTo(other.FullAtUnixNs);
}

/// <summary>Tells which buckets of clients without a setting of their own must be saved, so that they outlive the
/// process. It remembers what is saved of each entry of the table, 16 bytes, and compares: the loops do nothing for
/// it, and it takes no lock. For one caller at a time.</summary>
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

    /// <param name="savedAtUnixNs">When the last of them was saved: tokens are not taken away when the time of day was
    /// set back since.</param>
    internal KeptBuckets(LimitTable limits, MonotonicClock clock, long savedAtUnixNs)
    {
        (_limits, _clock, _minWallNs) = (limits, clock, savedAtUnixNs);
        (_table, _memory) = Remember(limits.Table);
    }

    private long WallNs =>
        Math.Max(_minWallNs, (_clock.Time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * 100);

    /// <summary>The limit of that number.</summary>
    public KeptLimit LimitAt(int number) => Kept(_table.Limits[number]);

    /// <summary>Is a limit of that name and with those settings in force?</summary>
    public bool Knows(KeptLimit limit) => _limits.Find(limit.Name) is { } known && Kept(known) == limit;

    /// <summary>Takes over what was saved, before the first request. Under a limit whose settings changed since, the
    /// client has the tokens that it had, as far as there is room.</summary>
    /// <returns>False when there is no such limit any more or the bucket is full.</returns>
    public bool Restore(KeptLimit limit, ulong hash, long fullAtUnixNs)
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
        long index = _table.Restore(hash, rule.Number, state, now, out ulong displaced);
        if (index < 0)
        {
            return true;
        }
        if (displaced != 0)
        {
            Forget(index, displaced, _gone);
        }
        _saved[index] = same ? new Saved { Mark = Mark(hash, rule.Number), State = state } : default;
        return true;
    }

    /// <summary>Adds what is to be saved or forgotten, as far as the table differs from what is saved. It goes on where
    /// it stopped, so that one collection need not hold all.</summary>
    /// <param name="most">About so many.</param>
    /// <returns>False at the end of the table; the next call begins anew.</returns>
    public bool Collect(List<BucketChange> into, int most)
    {
        ArgumentNullException.ThrowIfNull(into);
        if (_table != _limits.Table)
        {
            (_table, _memory) = Remember(_limits.Table); // the first limit came; the table before was empty
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
                    Forget(_next, saved, into); // it went to the limit that took the place of its own
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
                continue; // of a configuration that came this instant
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

    /// <summary>These are saved. What is not told so is collected again.</summary>
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
