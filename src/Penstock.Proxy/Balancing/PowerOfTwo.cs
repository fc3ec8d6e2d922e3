using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Balancing;

/// <summary>Draws two different backends by weight and picks the one with fewer exchanges in flight per weight
/// (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001). It spreads nearly as well as least
/// connections, and several load balancers do not all pick the same backend.</summary>
internal sealed class PowerOfTwo(Backend[] backends) : Balancer(backends)
{
    public override Backend? Pick(in PickRequest request)
    {
        if (Draw(request) is not { } first)
        {
            return null;
        }
        return Draw(request, except: first) is { } second && CompareLoad(second, first) < 0 ? second : first;
    }
}
