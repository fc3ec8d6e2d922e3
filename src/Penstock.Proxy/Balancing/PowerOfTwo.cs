using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Balancing;

/// <summary>Two different backends drawn by weight, the one with fewer exchanges in flight per weight
/// (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001). Near least connections, and
/// several balancers beside each other do not all rush to the same backend.</summary>
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
