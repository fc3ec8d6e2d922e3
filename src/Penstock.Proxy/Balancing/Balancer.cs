using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Balancing;

/// <summary>Picks a backend for each request. One instance serves all loops; thread-safe.</summary>
internal abstract class Balancer(Backend[] backends)
{
    protected Backend[] Backends { get; } = backends;

    public static Balancer Create(BalanceAlgorithm algorithm, Backend[] backends) => algorithm switch
    {
        BalanceAlgorithm.LeastConnections => new LeastConnections(backends),
        BalanceAlgorithm.Random => new WeightedRandom(backends),
        BalanceAlgorithm.PowerOfTwo => new PowerOfTwo(backends),
        _ => new SmoothRoundRobin(backends),
    };

    /// <param name="tried">Backends that failed this request already.</param>
    /// <param name="random">The calling loop's.</param>
    /// <returns>Null when none is available.</returns>
    public abstract Backend? Pick(List<Backend> tried, Random random);

    protected static bool MayTake(Backend backend, List<Backend> tried) =>
        backend.IsAvailable && (tried.Count == 0 || !tried.Contains(backend));

    /// <summary>A random available backend, by weight.</summary>
    protected Backend? Draw(List<Backend> tried, Random random, Backend? except = null)
    {
        // One pass (weighted reservoir sampling): each candidate replaces the last with its share of the weight so far.
        Backend? drawn = null;
        int total = 0;
        foreach (Backend backend in Backends)
        {
            if (backend == except || !MayTake(backend, tried))
            {
                continue;
            }
            total += backend.Weight;
            if (total == backend.Weight || random.Next(total) < backend.Weight)
            {
                drawn = backend;
            }
        }
        return drawn;
    }

    /// <summary>Is a's load per weight below b's? Compared crosswise, so without rounding.</summary>
    protected static int CompareLoad(Backend a, Backend b) =>
        ((long)a.InFlight * b.Weight).CompareTo((long)b.InFlight * a.Weight);
}
