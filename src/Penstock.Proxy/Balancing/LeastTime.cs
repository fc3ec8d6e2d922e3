using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Balancing;

/// <summary>The backend where a request should wait least: its latency of late (<see cref="LatencyAverage"/>) times
/// one and what is in flight there, which counts more where the weight is less. Backends whose latencies differ by
/// little from that one's are its equals: of them the one with the fewest exchanges in flight per weight, else one
/// drawn by weight, so that equal backends share the work also of a single client.
///
/// What nothing was heard of for a while gets a request to find out: one at a time, at most one of
/// <see cref="PicksPerTrial"/> picks; a new backend gets its first requests at once. (nginx Plus' least_time; Finagle's
/// and Envoy's peak EWMA.)</summary>
internal sealed class LeastTime(Backend[] backends) : Balancer(backends)
{
    public const int PicksPerTrial = 16;

    /// <summary>Latencies within a quarter, or a tenth of a millisecond, are equal: the averages are no more exact.
    /// </summary>
    private const double EqualFactor = 1.25;
    private const double EqualNs = 100_000;

    /// <summary>Beyond any latency: a backend that has never answered.</summary>
    private const double UnknownNs = 1e15;

    public override Backend? Pick(in PickRequest request)
    {
        int maxWeight = 0;
        Backend? trial = null;
        int trialWeight = 0;
        foreach (Backend backend in Backends)
        {
            if (!request.MayTake(backend))
            {
                continue;
            }
            int weight = backend.Weight;
            maxWeight = Math.Max(maxWeight, weight);
            if (backend.InFlight == 0 && backend.Latency.IsDue(request.NowNs))
            {
                trialWeight += weight;
                trial = trialWeight == weight || request.Random.Next(trialWeight) < weight ? backend : trial;
            }
        }
        if (trial is not null && (trial.Latency.IsNew || request.Random.Next(PicksPerTrial) == 0)
            && (request.Peek || trial.Latency.TryClaim(request.NowNs)))
        {
            return trial;
        }
        return maxWeight == 0 ? null : MinWait(request, maxWeight);
    }

    private Backend? MinWait(in PickRequest request, int maxWeight)
    {
        double minWaitNs = double.MaxValue;
        double latencyNs = 0;
        foreach (Backend backend in Backends)
        {
            if (!request.MayTake(backend))
            {
                continue;
            }
            double ofThisNs = LatencyNs(backend, request.NowNs);
            double waitNs = ofThisNs * (1 + (backend.InFlight * ((double)maxWeight / backend.Weight)));
            if (waitNs < minWaitNs)
            {
                (minWaitNs, latencyNs) = (waitNs, ofThisNs);
            }
        }
        double maxNs = (latencyNs * EqualFactor) + EqualNs;
        Backend? best = null;
        int equals = 0;
        foreach (Backend backend in Backends)
        {
            if (!request.MayTake(backend) || LatencyNs(backend, request.NowNs) > maxNs)
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
        return best ?? Draw(request); // others took what was best meanwhile
    }

    private static double LatencyNs(Backend backend, long nowNs) =>
        backend.Latency.IsKnown ? backend.Latency.At(nowNs) : UnknownNs;
}
