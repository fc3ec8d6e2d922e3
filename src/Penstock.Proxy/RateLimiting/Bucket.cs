using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>The tokens of one client under one limit, or of all clients together. They are in this process
/// (<see cref="LocalBucket"/>), or leased from a bucket that several nodes share (<see cref="LeasedBucket"/>).
/// Thread-safe.</summary>
internal abstract class Bucket
{
    /// <summary>The limit in force.</summary>
    public abstract Limit Limit { get; }

    public LimitConfig Config => Limit.Config;

    /// <summary>Takes tokens if the bucket has enough.</summary>
    /// <param name="limit">The limit that made the decision.</param>
    /// <param name="state">The bucket's state afterwards, on that limit's clock.</param>
    public abstract bool TryTake(long nowNs, int cost, out Limit limit, out long state);

    /// <summary>Takes tokens even if the bucket has too few. A negative cost gives tokens back.</summary>
    /// <returns>The bucket's state afterwards.</returns>
    public abstract long Debit(long nowNs, int cost);

    /// <summary>The limit, and the bucket's state as far as this process knows. Takes nothing.</summary>
    public abstract Limit Peek(long nowNs, out long state);

    /// <summary>Call it after <see cref="TryTake"/> has returned false. Returns the bucket for whose lease a request
    /// may wait; null when waiting cannot help.</summary>
    public virtual LeasedBucket? Awaitable(long nowNs, int cost) => null;

    public double TokensAt(long nowNs)
    {
        Limit limit = Peek(nowNs, out long state);
        return limit.Tokens(state, limit.Clock(nowNs));
    }

    /// <summary>Puts an edit of the client's plan in force. The tokens stay, up to the new capacity. One caller at a
    /// time.</summary>
    /// <returns>The bucket that holds the tokens from now on.</returns>
    public abstract Bucket WithLimit(Limit limit, long nowNs);

    /// <summary>Puts an edit of the client in force. False when a newer edit is known. One caller at a time.</summary>
    /// <param name="limit">The client's compiled limit.</param>
    /// <param name="keepsTokens">The tokens stay, up to the new capacity. Ignored when nodes share the tokens; then the
    /// client's epoch decides.</param>
    /// <param name="after">The bucket that holds the tokens from now on.</param>
    public abstract bool TryApply(in ClientState client, Limit limit, bool keepsTokens, long nowNs, out Bucket after);

    /// <summary>Whether an edit of this version or a later one is in force already.</summary>
    public virtual bool IsAsNewAs(long version) => false;

    /// <summary>Call it when the client is deleted and requests no longer find the bucket.</summary>
    public virtual void Close(long nowNs)
    {
    }

    /// <summary>Whether the bucket has changed since the last call that returned true. Always false for buckets that
    /// this process does not save.</summary>
    public virtual bool TryCollect(long nowNs, out double tokens)
    {
        tokens = 0;
        return false;
    }

    /// <summary>Whole tokens that this node has leased and not yet used.</summary>
    public virtual long LeasedTokens => 0;

    /// <summary>Makes the next edit count as newer, whatever its version.</summary>
    public virtual void AcceptAnyVersion()
    {
    }
}
