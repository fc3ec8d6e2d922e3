using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>A bucket in this process: a registered client's, or one that all requests share. A changed limit needs a
/// new object. The old object's state is closed in the same step that fixes the new one's, so no token is lost or
/// granted twice. Thread-safe.</summary>
internal sealed class LocalBucket : Bucket
{
    private const long Closed = long.MinValue;

    private long _state;
    private long _savedState;
    private LocalBucket? _successor;

    /// <param name="limit">The limit, which other buckets may share.</param>
    public LocalBucket(Limit limit, double tokens, long nowNs)
    {
        Limit = limit;
        _state = Limit.StateOf(tokens, Limit.Clock(nowNs));
        _savedState = _state;
    }

    /// <summary>Creates a full bucket with its own limit.</summary>
    public LocalBucket(string limitName, LimitConfig config, long nowNs)
        : this(new Limit(limitName, config), config.Capacity, nowNs)
    {
    }

    public override Limit Limit { get; }

    public override bool TryTake(long nowNs, int cost, out Limit limit, out long state) =>
        Take(nowNs, cost, inAnyCase: false, out limit, out state);

    public override long Debit(long nowNs, int cost)
    {
        Take(nowNs, cost, inAnyCase: true, out _, out long state);
        return state;
    }

    /// <summary>Takes tokens from this bucket or, when it is closed, from its successor.</summary>
    private bool Take(long nowNs, int cost, bool inAnyCase, out Limit limit, out long state)
    {
        LocalBucket bucket = this;
        while (true)
        {
            long before = Volatile.Read(ref bucket._state);
            if (before == Closed)
            {
                bucket = bucket._successor!;
                continue;
            }
            limit = bucket.Limit;
            state = before;
            if (!limit.TryTake(ref state, limit.Clock(nowNs), cost, inAnyCase))
            {
                return false;
            }
            if (Interlocked.CompareExchange(ref bucket._state, state, before) == before)
            {
                return true;
            }
        }
    }

    public override Limit Peek(long nowNs, out long state)
    {
        LocalBucket bucket = this;
        while ((state = Volatile.Read(ref bucket._state)) == Closed)
        {
            bucket = bucket._successor!;
        }
        return bucket.Limit;
    }

    /// <summary>Sets the tokens. Call it before the first request.</summary>
    /// <param name="tokens">See <see cref="Limit.SignedTokens"/>.</param>
    /// <param name="nowNs">When the bucket had them.</param>
    public void Assign(double tokens, long nowNs) =>
        Volatile.Write(ref _state, Limit.StateOfSigned(tokens, Limit.Clock(nowNs)));

    public override Bucket WithLimit(Limit limit, long nowNs) => Change(limit, null, nowNs);

    public override bool TryApply(in ClientState client, Limit limit, bool keepsTokens, long nowNs, out Bucket after)
    {
        after = Change(limit, keepsTokens ? null : client.Tokens, nowNs);
        return true;
    }

    public override bool TryCollect(long nowNs, out double tokens)
    {
        long state = Volatile.Read(ref _state);
        tokens = Limit.Tokens(state, Limit.Clock(nowNs));
        bool changed = state != _savedState && state != Closed;
        _savedState = state;
        return changed;
    }

    /// <summary>Closes this bucket and returns its successor, with the same tokens up to the new capacity, or with
    /// <paramref name="tokens"/>. One caller at a time.</summary>
    public LocalBucket Change(Limit limit, double? tokens, long nowNs)
    {
        while (true)
        {
            long before = Volatile.Read(ref _state);
            double kept = tokens ?? Math.Min(limit.Config.Capacity, Limit.Tokens(before, Limit.Clock(nowNs)));
            var next = new LocalBucket(limit, kept, nowNs) { _savedState = Closed };
            _successor = next;
            if (Interlocked.CompareExchange(ref _state, Closed, before) == before)
            {
                return next;
            }
        }
    }
}
