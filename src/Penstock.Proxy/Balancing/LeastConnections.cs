using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Balancing;

/// <summary>Picks the backend with the fewest exchanges in flight per weight. Among equal ones it draws by weight, so
/// that idle backends share the work (picking the first would send all quiet traffic to it).</summary>
internal sealed class LeastConnections(Backend[] backends) : Balancer(backends)
{
    public override Backend? Pick(in PickRequest request)
    {
        Backend? best = null;
        int equals = 0;
        foreach (Backend backend in Backends)
        {
            if (!request.MayTake(backend))
            {
                continue;
            }
            int weight = backend.Weight;
            int order = best is null ? -1 : CompareLoad(backend, best);
            equals = order < 0 ? weight : order == 0 ? equals + weight : equals;
            if (order < 0 || (order == 0 && request.Random.Next(equals) < weight))
            {
                best = backend;
            }
        }
        return best;
    }
}
