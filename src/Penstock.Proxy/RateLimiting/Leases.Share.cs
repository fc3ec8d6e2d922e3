namespace Penstock.Proxy.RateLimiting;

/// <summary>While the shared buckets are out of reach: this node's share of each.</summary>
public sealed partial class Leases
{
    private const double ShareSeconds = 5;

    /// <summary>The nodes find their shares at different moments: together they must not be more than all. What is held
    /// back stays in the shared bucket for afterwards.</summary>
    private const double ShareCaution = 0.85;

    private volatile bool _sharing;
    private volatile int _nodes = 1;

    /// <summary>Gives each active client tokens at this node's share of its rate, and notes them as a debt. The share
    /// is that of the tokens leased lately; where none were, an equal one. Until <see cref="Plan"/> is called again
    /// nobody waits for a lease, and clients that are not active yet get theirs with their first request.</summary>
    /// <param name="nodes">How many nodes there were, this one included.</param>
    public void GrantShare(int nodes)
    {
        _nodes = nodes;
        _sharing = true;
        long now = _clock.NowNs;
        foreach (LeasedClient client in Round())
        {
            lock (client.Gate)
            {
                (_, long want, _) = Foresee(client, now);
                GiveShareUpTo(client, want, now);
                client.Serve(now);
                if (!client.Closed || !Forget(client))
                {
                    _cursor++;
                }
            }
        }
    }

    /// <summary>Gives a client that is out of tokens those of this node's share, if they are what there is.
    /// Thread-safe.</summary>
    /// <returns>False while the shared bucket is asked instead.</returns>
    internal bool GiveShare(LeasedClient client, long tokens, long now)
    {
        if (!_sharing)
        {
            return false;
        }
        lock (client.Gate)
        {
            if (!_sharing || client.Closed)
            {
                return false;
            }
            GiveShareUpTo(client, client.Balance + tokens, now);
            return true;
        }
    }

    private void GiveShareUpTo(LeasedClient client, long want, long now)
    {
        LeaseDemand demand = client.Demand;
        // first its share of what was left, then that of what comes back from now on
        bool first = demand.Share < 0;
        double share = ShareOf(demand, now);
        double seconds = (now - demand.SharedNs) / 1e9;
        demand.SharedNs = now;
        demand.ShareTokens += share * (first ? Math.Max(0, demand.Left) : seconds * client.Config.RatePerSecond);
        demand.ShareTokens = Math.Min(demand.ShareTokens, Math.Max(1, client.Config.Capacity * share));
        long missing = want - client.Balance;
        if (missing > 0 && demand.ShareTokens >= 1)
        {
            long granted = Math.Min(missing, (long)demand.ShareTokens);
            if (client.Add(granted, client.Epoch))
            {
                demand.ShareTokens -= granted;
                demand.Owed += granted;
            }
        }
        client.Inform(demand.ShareTokens, now, 0, now);
    }

    private static void NoteShare(LeaseDemand demand, in LeaseGrant grant, long now)
    {
        double fade = Math.Exp(-(now - demand.NotedNs) / 1e9 / ShareSeconds);
        if (demand.LeasedByAll >= 0) // the first grant says nothing of the others
        {
            demand.OwnRecent = (demand.OwnRecent * fade) + grant.Granted;
            demand.AllRecent = (demand.AllRecent * fade)
                + Math.Max(grant.Granted, grant.LeasedByAll - demand.LeasedByAll);
        }
        demand.LeasedByAll = grant.LeasedByAll;
        demand.NotedNs = now;
    }

    /// <summary>Fixed when the shared buckets go out of reach.</summary>
    private double ShareOf(LeaseDemand demand, long now)
    {
        if (demand.Share < 0)
        {
            bool lately = demand.AllRecent >= 1 && now - demand.NotedNs < ShareSeconds * 2e9;
            demand.Share = ShareCaution
                * (lately ? Math.Min(1, demand.OwnRecent / demand.AllRecent) : 1.0 / Math.Max(1, _nodes));
        }
        return demand.Share;
    }
}
