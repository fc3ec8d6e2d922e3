using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Balancing;

/// <summary>Picks a backend for each request. One instance serves all loops; thread-safe.</summary>
internal abstract class Balancer(Backend[] backends)
{
    protected Backend[] Backends { get; } = backends;

    /// <param name="config">The upstream's configuration.</param>
    /// <param name="backends">The backends to pick from.</param>
    /// <param name="before">The upstream's previous balancer. Its rotation continues.</param>
    public static Balancer Create(UpstreamConfig config, Backend[] backends, Balancer? before = null) =>
        config.Balance switch
        {
            BalanceAlgorithm.LeastConnections => new LeastConnections(backends),
            BalanceAlgorithm.Random => new WeightedRandom(backends),
            BalanceAlgorithm.PowerOfTwo => new PowerOfTwo(backends),
            BalanceAlgorithm.LeastTime => new LeastTime(backends),
            BalanceAlgorithm.Hash => new HashTable(backends, config.Hash.Bound),
            _ => new SmoothRoundRobin(backends, before as SmoothRoundRobin),
        };

    /// <returns>Null when no backend is available.</returns>
    public abstract Backend? Pick(in PickRequest request);

    /// <summary>Draws a random available backend, by weight.</summary>
    protected Backend? Draw(in PickRequest request, Backend? except = null)
    {
        // One pass (weighted reservoir sampling): each candidate replaces the last with its share of the weight so far.
        Backend? drawn = null;
        int total = 0;
        foreach (Backend backend in Backends)
        {
            if (backend == except || !request.MayTake(backend))
            {
                continue;
            }
            int weight = backend.Weight;
            total += weight;
            if (total == weight || request.Random.Next(total) < weight)
            {
                drawn = backend;
            }
        }
        return drawn;
    }

    /// <summary>Compares the loads per weight of two backends; negative when a's is lower. It multiplies crosswise, so
    /// nothing is rounded.</summary>
    protected static int CompareLoad(Backend a, Backend b) =>
        ((long)a.InFlight * b.Weight).CompareTo((long)b.InFlight * a.Weight);
}
