namespace Penstock.Proxy.Observability;

/// <summary>Counts by a key, for combinations of which few occur: requests by method, status and reason. Allocates only
/// when a new combination needs room. One thread adds; other threads may read, and see each count whole but possibly a
/// moment old.</summary>
internal sealed class CountTable
{
    private const int FirstSize = 32;

    private Slots _slots = new(FirstSize);
    private int _used;

    /// <param name="key">Not 0.</param>
    public void Add(uint key)
    {
        Slots slots = _slots;
        int at = slots.IndexOf(key);
        if (slots.Keys[at] == 0)
        {
            at = Insert(key);
            slots = _slots;
        }
        Volatile.Write(ref slots.Counts[at], slots.Counts[at] + 1);
    }

    /// <summary>All keys and their counts.</summary>
    public IEnumerable<(uint Key, long Count)> Read()
    {
        Slots slots = Volatile.Read(ref _slots);
        for (int i = 0; i < slots.Keys.Length; i++)
        {
            if (Volatile.Read(ref slots.Keys[i]) is not 0 and var key)
            {
                yield return (key, Volatile.Read(ref slots.Counts[i]));
            }
        }
    }

    private int Insert(uint key)
    {
        if (++_used > _slots.Keys.Length / 2)
        {
            Volatile.Write(ref _slots, _slots.Doubled());
        }
        int at = _slots.IndexOf(key);
        Volatile.Write(ref _slots.Keys[at], key);
        return at;
    }

    /// <summary>A hash table with open addressing.</summary>
    /// <param name="size">A power of two.</param>
    private sealed class Slots(int size)
    {
        public uint[] Keys { get; } = new uint[size];
        public long[] Counts { get; } = new long[size];

        /// <summary>Where the key is, or where it can be inserted.</summary>
        public int IndexOf(uint key)
        {
            int mask = Keys.Length - 1;
            int at = (int)((key * 0x9E3779B1) >> 16) & mask; // Knuth's multiplicative hash
            while (Keys[at] != key && Keys[at] != 0)
            {
                at = (at + 1) & mask;
            }
            return at;
        }

        public Slots Doubled()
        {
            var doubled = new Slots(Keys.Length * 2);
            for (int i = 0; i < Keys.Length; i++)
            {
                if (Keys[i] != 0)
                {
                    int at = doubled.IndexOf(Keys[i]);
                    (doubled.Keys[at], doubled.Counts[at]) = (Keys[i], Counts[i]);
                }
            }
            return doubled;
        }
    }
}
