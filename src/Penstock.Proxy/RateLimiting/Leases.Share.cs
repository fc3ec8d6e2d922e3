namespace Penstock.Proxy.RateLimiting;

/// <content>While the shared buckets are out of reach: this node's share of each.</content>
public sealed partial class Leases
{
    private volatile bool _sharing;
    private volatile int _nodes = 1;

    /// <summary>Gives each active client tokens at this node's share of its rate, and notes them as a debt. Until
    /// <see cref="Plan"/> is called again nobody waits for a lease, and clients that are not active yet get theirs with
    /// their first request.</summary>
    /// <param name="nodes">How many nodes there were, this one included.</param>
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

    /// <summary>Gives a client that is out of tokens those of this node's share, if they are what there is.
    /// Thread-safe.</summary>
    /// <returns>False while the shared bucket is asked instead.</returns>
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
            bucket.TryAdd(granted, bucket.Epoch);
            account.Debt += granted;
        }
        bucket.OnSharedState(account.Share.Tokens, now, 0, now);
    }
}
