using System.Numerics;

namespace Penstock.Proxy.RateLimiting;

/// <summary>The buckets of clients without a setting of their own: a bounded, set-associative table of fingerprint and
/// word, 16 octets an entry, allocated once. Thread-safe: taking from a bucket that is there is one compare-and-swap;
/// a new key takes a striped lock.
///
/// A bucket that is full again equals no bucket, so such entries are reused first, at no loss. When all of a set's
/// entries are in use, the one nearest to full gives way: a flood of new keys washes out other keys of the flood, and
/// an exhausted client stays exhausted.</summary>
internal sealed class BucketTable
{
    private const int Ways = 8;
    private const int LimitBits = 12;
    private const ulong LimitMask = (1UL << LimitBits) - 1;
    private const int Stripes = 64;

    /// <summary>How many different limits may share the table.</summary>
    public const int MaxLimits = (int)LimitMask;

    private struct Entry
    {
        /// <summary>Upper bits of the key's hash, and the limit's number + 1; 0 means empty.</summary>
        public ulong Mark;
        public long Word;
    }

    private readonly Entry[] _entries;
    private readonly ulong _setMask;
    private volatile Limit[] _limits;
    private readonly Lock[] _locks = [.. Enumerable.Range(0, Stripes).Select(static _ => new Lock())];

    /// <param name="maxTracked">Most buckets; rounded up to 8 times a power of two.</param>
    /// <param name="limits">The limits, numbered from 0.</param>
    public BucketTable(int maxTracked, IReadOnlyList<Limit> limits)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(limits.Count, MaxLimits, nameof(limits));
        uint sets = BitOperations.RoundUpToPowerOf2((uint)Math.Max(1, (maxTracked + Ways - 1) / Ways));
        _entries = new Entry[sets * Ways];
        _setMask = sets - 1;
        _limits = [.. limits];
    }

    public int Capacity => _entries.Length;

    /// <summary>Knows these limits from now on; the first of them are those that it knew.</summary>
    public void Apply(IReadOnlyList<Limit> limits)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(limits.Count, MaxLimits, nameof(limits));
        _limits = [.. limits];
    }

    /// <summary>Takes <paramref name="cost"/> tokens from the key's bucket under that limit.</summary>
    /// <param name="hash">Of the key, seeded.</param>
    /// <param name="limit">The limit's number.</param>
    /// <param name="word">The bucket's word afterwards.</param>
    public bool TryTake(ulong hash, int limit, long nowNs, int cost, out long word)
    {
        Limit rule = _limits[limit];
        long clock = rule.Clock(nowNs);
        ulong mark = (hash & ~LimitMask) | (uint)(limit + 1);
        Span<Entry> set = Set(hash);

        while (true)
        {
            int way = Find(set, mark);
            if (way < 0)
            {
                if (TryInsert(hash, mark, rule, nowNs, cost, out word, out bool taken))
                {
                    return taken;
                }
                continue;
            }

            ref Entry entry = ref set[way];
            long before = Volatile.Read(ref entry.Word);
            if (Volatile.Read(ref entry.Mark) != mark)
            {
                continue; // given to another key meanwhile
            }
            word = before;
            if (!rule.TryTake(ref word, clock, cost))
            {
                return false;
            }
            if (Interlocked.CompareExchange(ref entry.Word, word, before) == before)
            {
                return true;
            }
        }
    }

    /// <summary>The key's word without taking anything; 0 (full) when it is not tracked.</summary>
    public long Peek(ulong hash, int limit, long nowNs)
    {
        Span<Entry> set = Set(hash);
        int way = Find(set, (hash & ~LimitMask) | (uint)(limit + 1));
        return way >= 0 ? Volatile.Read(ref set[way].Word) : Inherited(set, hash, _limits[limit], nowNs, take: false);
    }

    private Span<Entry> Set(ulong hash) => _entries.AsSpan((int)(hash & _setMask) * Ways, Ways);

    private static int Find(Span<Entry> set, ulong mark)
    {
        for (int way = 0; way < set.Length; way++)
        {
            if (Volatile.Read(ref set[way].Mark) == mark)
            {
                return way;
            }
        }
        return -1;
    }

    /// <summary>Makes the bucket of a key that was not there; false when another thread just did.</summary>
    private bool TryInsert(ulong hash, ulong mark, Limit rule, long nowNs, int cost, out long word, out bool taken)
    {
        lock (_locks[hash & _setMask & (Stripes - 1)])
        {
            Span<Entry> set = Set(hash);
            word = 0;
            taken = false;
            if (Find(set, mark) >= 0)
            {
                return false;
            }
            word = Inherited(set, hash, rule, nowNs, take: true);
            bool inherited = word != 0;
            taken = rule.TryTake(ref word, rule.Clock(nowNs), cost);
            if (taken || inherited)
            {
                // Others check the mark after reading the word, so they never take the new word for the old key's.
                ref Entry entry = ref set[Victim(set, nowNs)];
                Volatile.Write(ref entry.Mark, 0);
                Interlocked.Exchange(ref entry.Word, word);
                Volatile.Write(ref entry.Mark, mark);
            }
            return true;
        }
    }

    /// <summary>What a bucket begins with: full (0), or with the tokens of the key's bucket under the limit that this
    /// one took the place of, unless that was so long ago that it would be full by now.</summary>
    private long Inherited(Span<Entry> set, ulong hash, Limit rule, long nowNs, bool take)
    {
        for (int number = rule.Before; number >= 0; number = _limits[number].Before)
        {
            Limit old = _limits[number];
            if ((nowNs - old.ReplacedAtNs) / 1_000_000_000 > old.WindowSeconds)
            {
                return 0;
            }
            int way = Find(set, (hash & ~LimitMask) | (uint)(number + 1));
            if (way >= 0)
            {
                long word = Volatile.Read(ref set[way].Word);
                if (take)
                {
                    Volatile.Write(ref set[way].Mark, 0);
                    word = Interlocked.Exchange(ref set[way].Word, 0);
                }
                return rule.Word(old.Tokens(word, old.Clock(nowNs)), rule.Clock(nowNs));
            }
        }
        return 0;
    }

    /// <summary>An empty entry, else a full bucket, else the one with the smallest share taken.</summary>
    private int Victim(Span<Entry> set, long nowNs)
    {
        int victim = 0;
        double least = double.MaxValue;
        for (int way = 0; way < set.Length; way++)
        {
            ulong mark = set[way].Mark;
            if (mark == 0)
            {
                return way;
            }
            Limit rule = _limits[(int)(mark & LimitMask) - 1];
            double taken = (double)(set[way].Word - rule.Clock(nowNs)) / rule.Full;
            if (taken < least)
            {
                least = taken;
                victim = way;
            }
        }
        return victim;
    }
}
