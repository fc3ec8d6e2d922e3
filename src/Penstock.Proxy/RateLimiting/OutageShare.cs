using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>This node's share of a shared bucket during an outage of the database: in proportion to its recent leases,
/// or an equal part if there were none. Hold the bucket's gate to use it.</summary>
internal struct OutageShare
{
    private const double RecentSeconds = 5;

    /// <summary>A safety factor: the nodes compute their shares at different moments, and together must not exceed the
    /// whole. The rest stays in the shared bucket.</summary>
    private const double Caution = 0.85;

    private const double NotFound = -1;

    /// <summary>Recently leased tokens of this node and of all nodes, fading with age; and the total that all nodes
    /// ever leased.</summary>
    private double _ownRecent;
    private double _allRecent;
    private long _leasedByAll = -1;
    private long _notedNs;

    /// <summary>The share, from 0 to 1. It is fixed when the outage begins.</summary>
    private double _share = NotFound;
    private long _refilledNs;

    public OutageShare()
    {
    }

    /// <summary>Tokens of the share that are not yet granted.</summary>
    public double Tokens { get; private set; }

    /// <summary>Takes note of a lease. The growth of all nodes' leases shows this node its share.</summary>
    public void Note(in LeaseGrant grant, long nowNs)
    {
        double fade = Math.Exp(-(nowNs - _notedNs) / 1e9 / RecentSeconds);
        if (_leasedByAll >= 0) // the first grant says nothing about other nodes
        {
            _ownRecent = (_ownRecent * fade) + grant.Granted;
            _allRecent = (_allRecent * fade) + Math.Max(grant.Granted, grant.LeasedByAll - _leasedByAll);
        }
        _leasedByAll = grant.LeasedByAll;
        _notedNs = nowNs;
    }

    /// <summary>Ends the outage.</summary>
    public void End() => (_share, Tokens) = (NotFound, 0);

    /// <summary>Grants tokens of the share: first of what was left in the shared bucket, then of what is refilled from
    /// now on.</summary>
    /// <param name="most">Maximum number of tokens to grant.</param>
    /// <param name="left">Tokens in the shared bucket by its last answer.</param>
    /// <param name="nodes">The number of nodes before the outage.</param>
    public long Take(long most, double left, LimitConfig limit, int nodes, long nowNs)
    {
        bool first = _share < 0;
        if (first)
        {
            bool lately = _allRecent >= 1 && nowNs - _notedNs < RecentSeconds * 2e9;
            _share = Caution * (lately ? Math.Min(1, _ownRecent / _allRecent) : 1.0 / Math.Max(1, nodes));
        }
        double seconds = (nowNs - _refilledNs) / 1e9;
        _refilledNs = nowNs;
        Tokens += _share * (first ? Math.Max(0, left) : seconds * limit.RatePerSecond);
        Tokens = Math.Min(Tokens, Math.Max(1, limit.Capacity * _share));
        long taken = most > 0 && Tokens >= 1 ? Math.Min(most, (long)Tokens) : 0;
        Tokens -= taken;
        return taken;
    }
}
