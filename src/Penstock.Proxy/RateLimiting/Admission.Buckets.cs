namespace Penstock.Proxy.RateLimiting;

/// <content>What it asks of the buckets: in this process, or in the one that has taken over.</content>
internal sealed partial class Admission
{
    private bool TryTake(ref AppliedLimit limit, long nowNs)
    {
        if (!limit.Rule.CountedStatuses.IsEmpty)
        {
            return Peek(ref limit, nowNs);
        }
        if (_limiter!.Successor is { } successor
            && TryAsk(successor, BucketAction.Take, ref limit, _cost, nowNs, out bool enough))
        {
            return limit.Taken = enough;
        }
        if (limit.Bucket is { } bucket)
        {
            limit.Taken = bucket == _prepaid ? UsePrepaid(bucket, ref limit, nowNs)
                : bucket.TryTake(nowNs, _cost, out limit.Limit, out limit.State);
        }
        else if (limit.Rule.Tracked is { } tracked)
        {
            limit.Taken = _limiter!.Limits.Table.TryTake(limit.Hash, ref tracked, nowNs, _cost, out limit.State);
            limit.Limit = tracked;
        }
        else
        {
            return true;
        }
        limit.Clock = limit.Limit!.Clock(nowNs);
        return limit.Taken;
    }

    private bool UsePrepaid(Bucket bucket, ref AppliedLimit limit, long nowNs)
    {
        _prepaid = null;
        limit.Limit = bucket.Peek(nowNs, out limit.State);
        return true;
    }

    private bool Peek(ref AppliedLimit limit, long nowNs)
    {
        if (_limiter!.Successor is { } successor
            && TryAsk(successor, BucketAction.Peek, ref limit, _cost, nowNs, out bool enough))
        {
            return enough;
        }
        if (limit.Bucket is { } bucket)
        {
            limit.Limit = bucket.Peek(nowNs, out limit.State);
        }
        else if (limit.Rule.Tracked is { } tracked)
        {
            limit.State = _limiter!.Limits.Table.Peek(limit.Hash, ref tracked, nowNs);
            limit.Limit = tracked;
        }
        else
        {
            return true;
        }
        limit.Clock = limit.Limit.Clock(nowNs);
        return limit.Limit.SecondsUntil(limit.State, limit.Clock, _cost) == 0;
    }

    private void GiveBack(ref AppliedLimit limit, long nowNs)
    {
        Leave(ref limit);
        if (limit.Taken)
        {
            limit.Taken = false;
            Debit(ref limit, -_cost, nowNs);
        }
    }

    private void Leave(ref AppliedLimit limit)
    {
        if (limit.Entered)
        {
            limit.Entered = false;
            _limiter!.Concurrency.Leave(limit.ConcurrencyKey);
        }
    }

    private void Debit(ref AppliedLimit limit, int cost, long nowNs)
    {
        if (_limiter!.Successor is { } successor
            && TryAsk(successor, BucketAction.Debit, ref limit, cost, nowNs, out _))
        {
            return;
        }
        if (limit.Bucket is { } bucket)
        {
            limit.State = bucket.Debit(nowNs, cost);
        }
        else if (limit.Rule.Tracked is { } tracked)
        {
            limit.State = _limiter!.Limits.Table.Debit(limit.Hash, ref tracked, nowNs, cost);
            limit.Limit = tracked;
        }
        limit.Clock = limit.Limit!.Clock(nowNs);
    }

    /// <summary>Asks the process that has taken over. False when the bucket is here, or when it does not
    /// answer.</summary>
    /// <param name="enough">Whether the tokens were there.</param>
    private bool TryAsk(Successor successor, BucketAction action, ref AppliedLimit limit, int cost, long nowNs,
        out bool enough)
    {
        enough = false;
        Limit? known = limit.Bucket is LocalBucket bucket ? bucket.Limit
            : limit.Bucket is null ? limit.Rule.Tracked?.Current : null;
        if (known is null)
        {
            return false;
        }
        BucketName name = limit.IsOwn ? new(_client, null)
            : limit.Bucket is null ? new(null, limit.Rule.Name, limit.Hash)
            : new(limit.Bucket == limit.Rule.Common ? null : _client, limit.Rule.Name);
        if (!successor.TryAsk(action, name, cost, out enough, out double tokens))
        {
            return false;
        }
        (limit.Limit, limit.Clock) = (known, known.Clock(nowNs));
        limit.State = known.StateOfSigned(tokens, limit.Clock);
        return true;
    }
}
