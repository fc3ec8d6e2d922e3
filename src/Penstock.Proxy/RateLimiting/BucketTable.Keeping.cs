namespace Penstock.Proxy.RateLimiting;

/// <content>What <see cref="KeptBuckets"/> needs to save buckets and to restore them after a restart.</content>
internal sealed unsafe partial class BucketTable
{
    /// <summary>Minimum number of entries of a table that is saved. With this many sets, a mark and its index together
    /// contain the whole hash.</summary>
    public const long MinKeptEntries = (1L << LimitBits) * Ways;

    /// <summary>Entries of one set; they are adjacent. A key has at most one entry, and it is in the key's
    /// set.</summary>
    public const int SetEntries = Ways;

    /// <summary>The limits by number. A limit that is no longer in force keeps its number until another limit needs
    /// it.</summary>
    public Limit[] Limits => _limits;

    /// <summary>Nothing was ever put into the table.</summary>
    public bool IsEmpty => Volatile.Read(ref _filled) == 0;

    /// <summary>Reads an entry without a lock, while loops may write it.</summary>
    /// <returns>False when the entry is empty or is being given to another key.</returns>
    public bool TryRead(long index, out ulong mark, out long state)
    {
        ref Entry entry = ref _entries[index];
        mark = Volatile.Read(ref entry.Mark);
        state = Volatile.Read(ref entry.State);
        return mark != 0 && Volatile.Read(ref entry.Mark) == mark; // the mark is cleared first and set last
    }

    /// <summary>The key's hash. In a table with fewer than <see cref="MinKeptEntries"/> some bits are 0, and it finds
    /// the bucket only in a table of the same size.</summary>
    public static ulong HashAt(long index, ulong mark) => (mark & ~LimitMask) | ((ulong)(index / Ways) & LimitMask);

    public static int LimitOf(ulong mark) => (int)(mark & LimitMask) - 1;

    /// <summary>Restores a bucket that was saved before the start. When its set is full, the bucket nearest to full is
    /// replaced.</summary>
    /// <param name="replaces">Also when the key has a bucket with fewer tokens already.</param>
    /// <param name="displaced">The mark of the replaced bucket; 0: none.</param>
    /// <returns>The entry's index; -1 when the key already has a bucket with fewer tokens.</returns>
    public long Restore(ulong hash, int limit, long state, long nowNs, bool replaces,
        out ulong displaced)
    {
        ulong mark = MarkOf(hash, limit);
        displaced = 0;
        lock (_locks[hash & _setMask & (Stripes - 1)])
        {
            Span<Entry> set = Set(hash);
            int way = Find(set, mark, Home(hash));
            if (way >= 0 && set[way].State >= state && !replaces)
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
