using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>The tokens that one client has under one limit, or all clients together. Where they are is the subclass'
/// affair: in this process (<see cref="LocalBucket"/>), or leased from a bucket that several nodes share
/// (<see cref="LeasedBucket"/>). Thread-safe.</summary>
internal abstract class Bucket
{
    /// <summary>The limit in force.</summary>
    public abstract Limit Limit { get; }

    public LimitConfig Config => Limit.Config;

    /// <summary>Takes tokens if they are there.</summary>
    /// <param name="limit">The limit that decided.</param>
    /// <param name="state">The bucket's state afterwards, on that limit's clock.</param>
    public abstract bool TryTake(long nowNs, int cost, out Limit limit, out long state);

    /// <summary>Takes tokens whether they are there or not; a negative cost gives back what was taken.</summary>
    /// <returns>The bucket's state afterwards.</returns>
    public abstract long Debit(long nowNs, int cost);

    /// <summary>The limit, and the state of a bucket with the tokens that are there to take, as far as this process
    /// knows. Takes nothing.</summary>
    public abstract Limit Peek(long nowNs, out long state);

    /// <summary>Call after <see cref="TryTake"/> has rejected. The bucket whose lease may bring the tokens soon;
    /// null when no wait can help.</summary>
    public virtual LeasedBucket? Awaitable(long nowNs, int cost) => null;

    public double TokensAt(long nowNs)
    {
        Limit limit = Peek(nowNs, out long state);
        return limit.Tokens(state, limit.Clock(nowNs));
    }

    /// <summary>Puts an edit of the client's plan in force: the tokens stay, as far as the capacity has room. One
    /// caller at a time.</summary>
    /// <returns>The bucket that holds them from now on.</returns>
    public abstract Bucket WithLimit(Limit limit, long nowNs);

    /// <summary>Puts an edit of the client in force, unless a newer one is known. One caller at a time.</summary>
    /// <param name="limit">The client's, compiled.</param>
    /// <param name="keepsTokens">The tokens that are here stay, as far as the capacity has room. Of no meaning where
    /// nodes share the tokens: there the client's epoch tells.</param>
    /// <param name="after">The bucket that holds the tokens from now on.</param>
    public abstract bool TryApply(in ClientState client, Limit limit, bool keepsTokens, long nowNs, out Bucket after);

    /// <summary>An edit of that version or a later one is in force already.</summary>
    public virtual bool IsAsNewAs(long version) => false;

    /// <summary>The client is deleted, and requests do not find the bucket any more.</summary>
    public virtual void Close(long nowNs)
    {
    }

    /// <summary>Did the bucket change since the last call that said so? Only buckets that this process must save
    /// tell.</summary>
    public virtual bool TryCollect(long nowNs, out double tokens)
    {
        tokens = 0;
        return false;
    }

    /// <summary>Whole tokens that this node has leased and not used.</summary>
    public virtual long LeasedTokens => 0;

    /// <summary>From now on any version counts as newer.</summary>
    public virtual void AcceptAnyVersion()
    {
    }
}
