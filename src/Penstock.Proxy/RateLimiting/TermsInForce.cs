namespace Penstock.Proxy.RateLimiting;

/// <summary>The terms of a client with the buckets that they need. Immutable except for the buckets' states;
/// thread-safe.</summary>
internal sealed class TermsInForce
{
    private readonly LocalBucket[] _buckets;

    /// <param name="terms">The new terms.</param>
    /// <param name="before">The previous terms. A bucket for a limit that both name keeps its tokens.</param>
    /// <param name="nowNs">Time of the process' monotonic clock.</param>
    public TermsInForce(ClientTerms terms, TermsInForce? before, long nowNs)
    {
        Terms = terms;
        _buckets = new LocalBucket[terms.Limits.Count];
        for (int i = 0; i < _buckets.Length; i++)
        {
            OwnNumbers own = terms.Limits[i];
            LocalBucket? known = before?.Find(own.Name);
            _buckets[i] = known is null ? new LocalBucket(own.Name, own.Numbers, nowNs)
                : known.Config == own.Numbers ? known
                : known.Change(new Limit(own.Name, own.Numbers), null, nowNs);
        }
    }

    public ClientTerms Terms { get; }

    /// <summary>The client's own bucket for this limit; null when it has no numbers of its own for it.</summary>
    public LocalBucket? BucketOf(LimitRule rule) =>
        _buckets.Length > 0 && rule.IsOneClients ? Find(rule.Name) : null;

    public IReadOnlyList<LocalBucket> Buckets => _buckets;

    /// <summary>The client's own bucket for the limit of this name; null when it has none.</summary>
    public LocalBucket? Find(string limit)
    {
        foreach (LocalBucket bucket in _buckets)
        {
            if (string.Equals(bucket.Limit.Name, limit, StringComparison.Ordinal))
            {
                return bucket;
            }
        }
        return null;
    }
}
