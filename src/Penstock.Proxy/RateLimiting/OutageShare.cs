using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>This node's share of a bucket that nodes share, for the time when the shared bucket cannot be asked: the
/// part of the tokens that it leased lately; where none were leased, an equal part. For whoever holds the bucket's
/// gate.</summary>
internal struct OutageShare
{
    private const double RecentSeconds = 5;

    /// <summary>The nodes find their shares at different moments: together they must not be more than all. What is held
    /// back stays in the shared bucket for afterwards.</summary>
    private const double Caution = 0.85;

    private const double NotFound = -1;

    /// <summary>Tokens leased by this node and by all, the older the less; and all that all ever leased.</summary>
    private double _ownRecent;
    private double _allRecent;
    private long _leasedByAll = -1;
    private long _notedNs;

    /// <summary>From 0 to 1; fixed when the shared bucket goes out of reach.</summary>
    private double _share = NotFound;
    private long _refilledNs;

    public OutageShare()
    {
    }

    /// <summary>Tokens of the share that are not given out.</summary>
    public double Tokens { get; private set; }

    /// <summary>Notes a lease: how fast those of all nodes grow tells this node its share.</summary>
    public void Note(in LeaseGrant grant, long nowNs)
    {
        double fade = Math.Exp(-(nowNs - _notedNs) / 1e9 / RecentSeconds);
        if (_leasedByAll >= 0) // the first grant says nothing of the others
        {
            _ownRecent = (_ownRecent * fade) + grant.Granted;
            _allRecent = (_allRecent * fade) + Math.Max(grant.Granted, grant.LeasedByAll - _leasedByAll);
        }
        _leasedByAll = grant.LeasedByAll;
        _notedNs = nowNs;
    }

    /// <summary>The shared bucket can be asked.</summary>
    public void End() => (_share, Tokens) = (NotFound, 0);

    /// <summary>Gives out tokens of the share: first of what was left in the shared bucket, then of what comes back
    /// from now on.</summary>
    /// <param name="most">Not more than these.</param>
    /// <param name="left">Tokens in the shared bucket when it last told.</param>
    /// <param name="nodes">How many nodes there were.</param>
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
