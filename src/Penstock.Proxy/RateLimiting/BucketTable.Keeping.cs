namespace Penstock.Proxy.RateLimiting;

/// <content>What <see cref="KeptBuckets"/> needs to carry buckets over a restart.</content>
internal sealed unsafe partial class BucketTable
{
    /// <summary>Least entries of a table that is kept: with so many sets, a mark and its place make the whole hash.
    /// </summary>
    public const long MinKeptEntries = (1L << LimitBits) * Ways;

    /// <summary>Entries of a set stand together: no key has two at once, and none outside its set.</summary>
    public const int SetEntries = Ways;

    /// <summary>The limits by number; one that is not in force keeps its place until another needs it.</summary>
    public Limit[] Limits => _limits;

    /// <summary>Nothing was ever put into it.</summary>
    public bool IsEmpty => Volatile.Read(ref _filled) == 0;

    /// <summary>Reads an entry while loops may write it, without a lock.</summary>
    /// <returns>False when it is empty or changing hands.</returns>
    public bool TryRead(long index, out ulong mark, out long state)
    {
        ref Entry entry = ref _entries[index];
        mark = Volatile.Read(ref entry.Mark);
        state = Volatile.Read(ref entry.State);
        return mark != 0 && Volatile.Read(ref entry.Mark) == mark; // the mark is the first to go and the last to come
    }

    /// <summary>The key's hash, of a table of <see cref="MinKeptEntries"/> or more.</summary>
    public static ulong HashAt(long index, ulong mark) => (mark & ~LimitMask) | ((ulong)(index / Ways) & LimitMask);

    public static int LimitOf(ulong mark) => (int)(mark & LimitMask) - 1;

    /// <summary>Puts a bucket of before the start. Where its set is full, the one nearest to full gives way.</summary>
    /// <param name="displaced">The mark that gave way; 0: none did.</param>
    /// <returns>The entry's index; -1 when the key has a bucket with fewer tokens there.</returns>
    public long Restore(ulong hash, int limit, long state, long nowNs, out ulong displaced)
    {
        ulong mark = MarkOf(hash, limit);
        displaced = 0;
        lock (_locks[hash & _setMask & (Stripes - 1)])
        {
            Span<Entry> set = Set(hash);
            int way = Find(set, mark, Home(hash));
            if (way >= 0 && set[way].State >= state)
            {
                return -1;
            }
            if (way < 0)
            {
                way = Victim(set, nowNs, Home(hash), out bool inUse);
                displaced = inUse ? set[way].Mark : 0;
            }
            if (set[way].Mark == 0)
            {
                Interlocked.Increment(ref _filled);
            }
            set[way].Assign(mark, state);
            return ((long)(hash & _setMask) * Ways) + way;
        }
    }
}
