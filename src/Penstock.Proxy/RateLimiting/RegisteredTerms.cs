namespace Penstock.Proxy.RateLimiting;

/// <summary>The terms of a client with the buckets that they need. Immutable but for the buckets' words; thread-safe.
/// </summary>
internal sealed class RegisteredTerms
{
    private readonly OwnedClient[] _buckets;

    /// <param name="terms">What holds.</param>
    /// <param name="clientId">Whose they are.</param>
    /// <param name="before">What held so far: a bucket for a limit that is still named goes on with its tokens.
    /// </param>
    /// <param name="nowNs">Time of the process' monotonic clock.</param>
    public RegisteredTerms(ClientTerms terms, string clientId, RegisteredTerms? before, long nowNs)
    {
        Terms = terms;
        _buckets = new OwnedClient[terms.Limits.Count];
        for (int i = 0; i < _buckets.Length; i++)
        {
            OwnNumbers own = terms.Limits[i];
            OwnedClient? known = before?.Find(own.Name);
            _buckets[i] = known is null ? new OwnedClient(clientId, own.Numbers, own.Numbers.Capacity, nowNs, own.Name)
                : known.Config == own.Numbers ? known
                : known.Change(own.Numbers, null, nowNs);
        }
    }

    public ClientTerms Terms { get; }

    /// <summary>The client's own bucket for that limit; null when its numbers are those of everybody.</summary>
    public OwnedClient? BucketOf(LimitRule rule) =>
        _buckets.Length > 0 && rule.IsOneClients ? Find(rule.Name) : null;

    private OwnedClient? Find(string limit)
    {
        foreach (OwnedClient bucket in _buckets)
        {
            if (string.Equals(bucket.Limit.Name, limit, StringComparison.Ordinal))
            {
                return bucket;
            }
        }
        return null;
    }
}
