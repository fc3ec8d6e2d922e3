using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Balancing;

/// <summary>The backend with the fewest exchanges in flight per weight. Equals are drawn by weight, so that idle
/// backends share the work (picking the first would send all quiet traffic to it).</summary>
internal sealed class LeastConnections(Backend[] backends) : Balancer(backends)
{
    public override Backend? Pick(List<Backend> tried, Random random)
    {
        Backend? best = null;
        int equals = 0;
        foreach (Backend backend in Backends)
        {
            if (!MayTake(backend, tried))
            {
                continue;
            }
            int order = best is null ? -1 : CompareLoad(backend, best);
            equals = order < 0 ? backend.Weight : order == 0 ? equals + backend.Weight : equals;
            if (order < 0 || (order == 0 && random.Next(equals) < backend.Weight))
            {
                best = backend;
            }
        }
        return best;
    }
}
