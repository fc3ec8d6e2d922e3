using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Balancing;

/// <summary>Picks the backend where a request should wait least: its recent latency (<see cref="LatencyAverage"/>)
/// times one plus its exchanges in flight, which count more at a lower weight. Backends with nearly the same latency as
/// this one are equal to it. Among them it picks the one with the fewest exchanges in flight per weight, else draws by
/// weight, so that equal backends share the work even of a single client.
///
/// A backend without recent responses gets a trial request: one at a time, and at most one of
/// <see cref="PicksPerTrial"/> picks; a new backend gets its first requests at once. (nginx Plus' least_time; Finagle's
/// and Envoy's peak EWMA.)</summary>
internal sealed class LeastTime(Backend[] backends) : Balancer(backends)
{
    public const int PicksPerTrial = 16;

    /// <summary>Latencies that differ by less than a quarter plus a tenth of a millisecond are equal, because the
    /// averages are not more exact.</summary>
    private const double EqualFactor = 1.25;
    private const double EqualNs = 100_000;

    /// <summary>The latency of a backend that has never responded: higher than any other.</summary>
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
        return best ?? Draw(request); // other loops have filled the best ones in between
    }

    private static double LatencyNs(Backend backend, long nowNs) =>
        backend.Latency.IsKnown ? backend.Latency.At(nowNs) : UnknownNs;
}
