using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Balancing;

/// <summary>Picks the same backend for the same key, by a Maglev table (Eisenbud et al., "Maglev", NSDI 2016, §3.4).
/// Shares are even to about one percent, a pick reads one entry, and when a backend joins or leaves, hardly more keys
/// move than necessary. The table depends only on addresses and weights, so every node picks alike.
///
/// A key whose backend cannot take the request goes along its own walk through the table. So the keys of an unavailable
/// backend spread over the others and return with it; all other keys stay. With a bound (Mirrokni, Thorup,
/// Zadimoghaddam, "Consistent Hashing with Bounded Loads", 2016) a backend with more than that multiple of its fair
/// share in flight passes keys on, too. During slow start a growing share of a backend's keys returns to it.</summary>
internal sealed class HashTable : Balancer
{
    /// <summary>Entries of the table: a prime, Envoy's default. With a hundred backends shares are even to about one
    /// percent.</summary>
    public const int Size = 65537;

    private const int MaxSteps = 64;

    private readonly ushort[] _table;
    private readonly double _bound;

    /// <param name="bound">How many exchanges may be in flight at a backend, as a multiple of its fair share; 0: no
    /// bound.</param>
    public HashTable(Backend[] backends, double bound = 0) : base(backends)
    {
        _bound = bound;
        _table = backends.Length == 0 ? [] : Fill(backends);
    }

    public override Backend? Pick(in PickRequest request)
    {
        if (_table.Length == 0)
        {
            return null;
        }
        double most = _bound > 0 ? MaxPerWeight() : 0;
        ulong walk = request.AffinityHash;
        Backend? last = null;
        for (int step = 0; step < MaxSteps; step++)
        {
            Backend backend = Backends[_table[(int)(walk % Size)]];
            walk = StableHash.Mix(walk + 0x9E3779B97F4A7C15);
            if (backend == last || !request.MayTake(backend))
            {
                continue;
            }
            if (HasRoom(backend, walk, most))
            {
                return backend;
            }
            last = backend;
        }

        return Best(request, most);
    }

    private bool HasRoom(Backend backend, ulong walk, double maxPerWeight) =>
        (backend.Ramp >= 1 || (walk >> 40) / (double)(1 << 24) < backend.Ramp)
        && IsBelow(backend, maxPerWeight);

    private static bool IsBelow(Backend backend, double maxPerWeight) =>
        maxPerWeight <= 0 || backend.InFlight < Math.Ceiling(maxPerWeight * backend.FullWeight);

    /// <summary>How many exchanges in flight, this request included, one unit of weight may have.</summary>
    private double MaxPerWeight()
    {
        int inFlight = 1;
        int weight = 0;
        foreach (Backend backend in Backends)
        {
            if (backend.IsUsable)
            {
                inFlight += backend.InFlight;
                weight += backend.FullWeight;
            }
        }
        return _bound * inFlight / Math.Max(1, weight);
    }

    /// <summary>Picks when the walk has found no backend, because most are down or start slowly, or all have their
    /// share. Each key has its own order of the available backends (rendezvous hashing: Thaler and Ravishankar, 1998),
    /// so it stays at one backend and the keys spread. Backends that have their share come last, the least busy
    /// first.</summary>
    private Backend? Best(in PickRequest request, double maxPerWeight)
    {
        Backend? best = null;
        bool bestHasRoom = false;
        ulong bestRank = 0;
        foreach (Backend backend in Backends)
        {
            if (!request.MayTake(backend))
            {
                continue;
            }
            bool hasRoom = IsBelow(backend, maxPerWeight);
            ulong rank = StableHash.Mix(StableHash.Of(backend.AddressBytes, 3) ^ request.AffinityHash);
            int load = best is null || hasRoom ? 0 : CompareLoad(backend, best);
            if (best is null || (hasRoom && !bestHasRoom)
                || (hasRoom == bestHasRoom && (load < 0 || (load == 0 && rank > bestRank))))
            {
                (best, bestHasRoom, bestRank) = (backend, hasRoom, rank);
            }
        }
        return best;
    }

    /// <summary>Fills the table: in turn, as often as its weight allows, each backend takes the next free entry of its
    /// own permutation.</summary>
    private static ushort[] Fill(Backend[] backends)
    {
        ushort[] table = new ushort[Size];
        Array.Fill(table, ushort.MaxValue);
        uint[] next = [.. backends.Select(static b => (uint)(StableHash.Of(b.AddressBytes, 1) % Size))];
        uint[] skip = [.. backends.Select(static b => (uint)((StableHash.Of(b.AddressBytes, 2) % (Size - 1)) + 1))];
        double[] due = new double[backends.Length];
        double largest = backends.Max(static b => b.FullWeight);

        // The backends are ordered by address, so that their order in the configuration file does not matter.
        int[] order = [.. Enumerable.Range(0, backends.Length)
            .OrderBy(i => backends[i].Address, StringComparer.Ordinal)];
        for (int filled = 0; filled < Size;)
        {
            foreach (int i in order)
            {
                due[i] += backends[i].FullWeight / largest;
                if (due[i] < 1)
                {
                    continue;
                }
                due[i]--;
                while (table[next[i]] != ushort.MaxValue)
                {
                    next[i] = (next[i] + skip[i]) % Size;
                }
                table[next[i]] = (ushort)i;
                if (++filled == Size)
                {
                    break;
                }
            }
        }
        return table;
    }
}
