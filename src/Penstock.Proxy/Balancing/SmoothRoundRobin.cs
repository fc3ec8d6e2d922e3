using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Balancing;

/// <summary>nginx's smooth weighted round robin: each pick adds its weight to every available backend's credit, picks
/// the largest credit, and subtracts the sum of the weights from it. Weights 5, 1, 1 give a a b a c a a. (nginx, commit
/// 52327e0627f4, 2012.)
///
/// All loops share the credits under a lock, so the rotation is exact for the whole process, also with one request per
/// connection. The lock is held for some nanoseconds per backend.</summary>
internal sealed class SmoothRoundRobin : Balancer
{
    private readonly Lock _lock = new();
    private readonly long[] _credit;

    /// <param name="before">The previous balancer. Backends that both have keep their credits.</param>
    public SmoothRoundRobin(Backend[] backends, SmoothRoundRobin? before = null) : base(backends)
    {
        _credit = new long[backends.Length];
        for (int i = 0; before is not null && i < backends.Length; i++)
        {
            int known = Array.IndexOf(before.Backends, backends[i]);
            _credit[i] = known < 0 ? 0 : Volatile.Read(ref before._credit[known]);
        }
    }

    public override Backend? Pick(in PickRequest request)
    {
        lock (_lock)
        {
            int best = -1;
            long most = 0;
            long total = 0;
            for (int i = 0; i < Backends.Length; i++)
            {
                Backend backend = Backends[i];
                if (!request.MayTake(backend))
                {
                    continue;
                }
                int weight = backend.Weight;
                long credit = _credit[i] + weight;
                if (!request.Peek)
                {
                    _credit[i] = credit;
                }
                total += weight;
                if (best < 0 || credit > most)
                {
                    (best, most) = (i, credit);
                }
            }
            if (best < 0)
            {
                return null;
            }
            if (!request.Peek)
            {
                _credit[best] -= total;
            }
            return Backends[best];
        }
    }
}
