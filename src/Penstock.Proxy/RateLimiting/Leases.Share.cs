namespace Penstock.Proxy.RateLimiting;

/// <content>This node's share of each bucket while the shared buckets are out of reach.</content>
public sealed partial class Leases
{
    private volatile bool _sharing;
    private volatile int _nodes = 1;

    /// <summary>Grants each active client tokens at this node's share of its rate, and notes them as a debt. Until
    /// <see cref="Plan"/> is called again, no request waits for a lease, and a client that is not active yet gets its
    /// tokens with its first request. Call it on the lease thread.</summary>
    /// <param name="nodes">The number of nodes before the outage, this one included.</param>
    public void GrantShare(int nodes)
    {
        _nodes = nodes;
        _sharing = true;
        long now = _clock.NowNs;
        QueueNewlyUsed();
        for (int left = _active.Count; left > 0; left--)
        {
            LeasedBucket bucket = _active.Dequeue();
            lock (bucket.Gate)
            {
                GiveShareUpTo(bucket, WantOf(bucket, now), now);
                bucket.Serve(now);
                KeepActive(bucket, unless: bucket.Closed);
            }
        }
    }

    /// <summary>Grants a client that is out of tokens those of this node's share, during an outage.
    /// Thread-safe.</summary>
    /// <returns>False when there is no outage, so that the shared bucket must be asked.</returns>
    internal bool GiveShare(LeasedBucket bucket, long tokens, long now)
    {
        if (!_sharing)
        {
            return false;
        }
        lock (bucket.Gate)
        {
            if (!_sharing || bucket.Closed)
            {
                return false;
            }
            GiveShareUpTo(bucket, bucket.Balance + tokens, now);
            return true;
        }
    }

    private static long WantOf(LeasedBucket bucket, long now)
    {
        BucketUse use = Measure(bucket, now);
        LeaseTraffic traffic = bucket.Account.Traffic;
        return traffic.IsIdle(now) ? 0 : LeasePlanner.Levels(use, traffic, bucket.Config.Capacity).Want;
    }

    private void GiveShareUpTo(LeasedBucket bucket, long want, long now)
    {
        LeaseAccount account = bucket.Account;
        long granted = account.Share.Take(want - bucket.Balance, account.Left, bucket.Config, _nodes, now);
        if (granted > 0)
        {
            bucket.Add(granted);
            account.Debt += granted;
        }
        bucket.OnSharedState(account.Share.Tokens, now, 0, now);
    }
}
