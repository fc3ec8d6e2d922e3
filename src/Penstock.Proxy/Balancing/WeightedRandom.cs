using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Balancing;

/// <summary>Picks a random available backend, by weight.</summary>
internal sealed class WeightedRandom(Backend[] backends) : Balancer(backends)
{
    public override Backend? Pick(in PickRequest request) => Draw(request);
}
