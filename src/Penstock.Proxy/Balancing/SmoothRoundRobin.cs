using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Balancing;

/// <summary>nginx's smooth weighted round robin: every available backend's credit grows by its weight, the largest
/// credit is picked and pays the sum of the weights. Weights 5, 1, 1 give a a b a c a a.
/// (nginx, commit 52327e0627f4, 2012.)
///
/// The credits are shared by all loops under a lock, so the rotation is exact for the whole process, also for a user
/// who tries it with one request per connection. The lock is held for some nanoseconds per backend.</summary>
internal sealed class SmoothRoundRobin(Backend[] backends) : Balancer(backends)
{
    private readonly Lock _lock = new();
    private readonly long[] _credit = new long[backends.Length];

    public override Backend? Pick(List<Backend> tried, Random random)
    {
        lock (_lock)
        {
            int best = -1;
            long total = 0;
            for (int i = 0; i < Backends.Length; i++)
            {
                Backend backend = Backends[i];
                if (!MayTake(backend, tried))
                {
                    continue;
                }
                _credit[i] += backend.Weight;
                total += backend.Weight;
                if (best < 0 || _credit[i] > _credit[best])
                {
                    best = i;
                }
            }
            if (best < 0)
            {
                return null;
            }
            _credit[best] -= total;
            return Backends[best];
        }
    }
}
