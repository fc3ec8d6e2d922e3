using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>The effect of the lease statement on the shared buckets, in memory and in virtual time.
/// <see cref="SimulationTests"/> checks that it equals that of the real statement.</summary>
internal sealed class SimulatedBuckets
{
    private const ulong FnvPrime = 0x100000001b3;

    private readonly Dictionary<string, Bucket> _buckets = [];

    private sealed class Bucket
    {
        public required LimitConfig Limit;
        public double Tokens;
        public long AtNs;
        public long Leased;
    }

    /// <summary>Lease statements so far, and the rows they changed.</summary>
    public long Statements { get; private set; }

    public long Rows { get; private set; }

    /// <summary>A hash of all asks and grants so far, whatever the order of the clients in a statement: an equal one
    /// means equal decisions.</summary>
    public ulong Digest { get; private set; }

    public void Add(string id, LimitConfig limit, double tokens) =>
        _buckets[id] = new() { Limit = limit, Tokens = tokens };

    /// <summary>Tokens in the shared bucket when it last changed.</summary>
    public double TokensOf(string id) => _buckets[id].Tokens;

    /// <summary>One statement of a node.</summary>
    /// <param name="nodes">How many nodes are alive.</param>
    public void Lease(List<LeaseAsk> asks, List<LeaseGrant> grants, int nodes, long nowNs)
    {
        Statements++;
        Rows += asks.Count;
        ulong rows = 0;
        foreach (LeaseAsk ask in asks)
        {
            Bucket bucket = _buckets[ask.ClientId];
            (long capacity, double rate) = (bucket.Limit.Capacity, bucket.Limit.RatePerSecond);
            double refilled = bucket.Tokens + (rate * Math.Max(0, nowNs - bucket.AtNs) / 1e9);
            double have = Math.Max(-capacity, Math.Min(capacity, refilled + ask.Back));
            long chunk = Math.Max(ask.Need, (long)Math.Floor(have / (nodes == 1 ? 2 : 8 * nodes)));
            long grant = Math.Max(0, Math.Min(Math.Min(ask.Want, (long)Math.Floor(have)), chunk));
            (bucket.Tokens, bucket.AtNs, bucket.Leased) = (have - grant, nowNs, bucket.Leased + grant);
            grants.Add(new(ask.ClientId, ask.Epoch, grant, bucket.Tokens, capacity, bucket.Leased));
            rows += Hash(ask, grant);
        }
        Digest = (Digest ^ rows ^ (ulong)nowNs) * FnvPrime;
    }

    /// <summary>FNV-1a, 64 bits.</summary>
    private static ulong Hash(in LeaseAsk ask, long granted)
    {
        ulong hash = 0xcbf29ce484222325;
        foreach (char letter in ask.ClientId)
        {
            hash = (hash ^ letter) * FnvPrime;
        }

        foreach (long value in (ReadOnlySpan<long>)[ask.Need, ask.Want, (long)ask.Back, granted])
        {
            hash = (hash ^ (ulong)value) * FnvPrime;
        }

        return hash;
    }
}
