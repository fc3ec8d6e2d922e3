using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Balancing;

/// <summary>The backend where a request should wait least: its latency of late (<see cref="LatencyAverage"/>) times
/// the exchanges in flight with this one, per weight. A backend without a sample gets one request, and no second one
/// before its latency is known. Equals are drawn by weight. (Finagle's and Envoy's peak EWMA; nginx Plus'
/// least_time.)</summary>
internal sealed class LeastTime(Backend[] backends) : Balancer(backends)
{
    public override Backend? Pick(in PickRequest request)
    {
        Backend? best = null;
        double least = 0;
        int equals = 0;
        foreach (Backend backend in Backends)
        {
            if (!request.MayTake(backend))
            {
                continue;
            }
            int weight = backend.Weight;
            double cost = CostOf(backend, request.NowNs) / weight;
            bool better = best is null || cost < least;
            bool equal = !better && cost <= least;
            equals = better ? weight : equal ? equals + weight : equals;
            if (better || (equal && request.Random.Next(equals) < weight))
            {
                (best, least) = (backend, cost);
            }
        }
        return best;
    }

    private static double CostOf(Backend backend, long nowNs)
    {
        int inFlight = backend.InFlight;
        return backend.Latency.IsKnown ? backend.Latency.At(nowNs) * (inFlight + 1)
            : inFlight == 0 ? 0 : 1e15 * inFlight;
    }
}
