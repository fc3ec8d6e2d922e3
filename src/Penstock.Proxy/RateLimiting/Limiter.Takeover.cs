namespace Penstock.Proxy.RateLimiting;

/// <content>The change from this process to another one.</content>
public sealed partial class Limiter
{
    /// <summary>The process that has taken over; null: none has.</summary>
    internal Successor? Successor { get; set; }

    /// <summary>The key of the hash of unregistered clients' names, 16 bytes.</summary>
    public byte[] HashKey => _hash.Key;

    /// <summary>Hashes the names of unregistered clients as the process did that had this key. Call it before the first
    /// request.</summary>
    public void UseHashKey(ReadOnlySpan<byte> key) => _hash = new KeyHash(key);

    /// <summary>Finds the buckets of unregistered clients that a successor must know.</summary>
    public KeptBuckets BucketsForSuccessor() => new(Limits, _clock, savedAtUnixNs: 0);

    /// <summary>Adds the buckets that are in no store: those that all requests share, and those of registered clients
    /// under limits of the configuration. Full ones are left out.</summary>
    public void CollectUnsaved(List<BucketTokens> into)
    {
        ArgumentNullException.ThrowIfNull(into);
        long now = _clock.NowNs;
        foreach (LocalBucket bucket in Limits.Common)
        {
            Add(into, null, bucket, now);
        }
        foreach ((RegisteredClient client, LocalBucket bucket) in Clients.NamedBuckets)
        {
            Add(into, client.Id, bucket, now);
        }

        static void Add(List<BucketTokens> into, string? client, LocalBucket bucket, long now)
        {
            Limit limit = bucket.Peek(now, out long state);
            double tokens = limit.SignedTokens(state, limit.Clock(now));
            if (tokens < limit.Config.Capacity)
            {
                into.Add(new(new(client, limit.Name), tokens));
            }
        }
    }

    /// <summary>Gives a bucket the tokens that it had in the process before. Call it before the first request. Does
    /// nothing for a bucket that does not exist any more, or whose tokens nodes share.</summary>
    /// <param name="age">How long ago it had them; it has refilled since.</param>
    public void Assign(in BucketTokens known, TimeSpan age)
    {
        if (Find(known.Bucket) is LocalBucket bucket)
        {
            bucket.Assign(known.Tokens, _clock.NowNs - (long)age.TotalNanoseconds);
        }
    }

    /// <summary>Does for the process before what it asks of a bucket. Thread-safe.</summary>
    /// <returns>Whether the tokens were there. A bucket that does not exist any more always has them.</returns>
    public bool Act(BucketAction action, in BucketName name, int cost, out double tokens)
    {
        if (Successor?.TryAsk(action, name, cost, out bool enough, out tokens) == true)
        {
            return enough;
        }
        Bucket? bucket = Find(name);
        if ((bucket?.Limit ?? (name.Client is null ? Limits.Lookup(name.Limit!).Tracked : null)) is { } limit)
        {
            return Act(action, bucket, limit, name.Hash, cost, out tokens);
        }
        tokens = double.MaxValue;
        return true;
    }

    /// <param name="bucket">Null: the bucket is in the table, under the hash.</param>
    private bool Act(BucketAction action, Bucket? bucket, Limit limit, ulong hash, int cost, out double tokens)
    {
        long now = _clock.NowNs;
        bool enough = true;
        long state;
        switch (action)
        {
            case BucketAction.Take:
                enough = bucket is null ? Limits.Table.TryTake(hash, ref limit, now, cost, out state)
                    : bucket.TryTake(now, cost, out limit, out state);
                break;
            case BucketAction.Debit:
                state = bucket?.Debit(now, cost) ?? Limits.Table.Debit(hash, ref limit, now, cost);
                break;
            default:
                if (bucket is null)
                {
                    state = Limits.Table.Peek(hash, ref limit, now);
                }
                else
                {
                    limit = bucket.Peek(now, out state);
                }
                enough = limit.SecondsUntil(state, limit.Clock(now), cost) == 0;
                break;
        }
        tokens = limit.SignedTokens(state, limit.Clock(now));
        return enough;
    }

    private Bucket? Find(in BucketName name)
    {
        if (name.Client is null)
        {
            return Limits.Lookup(name.Limit!).Common;
        }
        RegisteredClient? client = Clients.Find(name.Client);
        return name.Limit is null ? client?.Bucket : client?.Terms?.Find(name.Limit);
    }
}
