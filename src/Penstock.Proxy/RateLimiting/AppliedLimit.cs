namespace Penstock.Proxy.RateLimiting;

/// <summary>One limit that applies to a request, and what the request took from it.</summary>
internal struct AppliedLimit
{
    public LimitRule Rule;

    /// <summary>The arithmetic of the bucket; null when the rule has no bucket.</summary>
    public Limit? Limit;

    /// <summary>The bucket; null when it is in the bucket table.</summary>
    public Bucket? Bucket;

    /// <summary>The key of the bucket in the bucket table, and of the count of requests in flight.</summary>
    public ulong Hash;

    /// <summary>The bucket's state after the decision, and the limit's clock at that moment.</summary>
    public long State;
    public long Clock;

    /// <summary>Tokens were taken from the bucket.</summary>
    public bool Taken;

    /// <summary>The request is counted as in flight.</summary>
    public bool Entered;

    /// <summary>The client has as many requests in flight as the limit allows.</summary>
    public bool Full;

    /// <summary>It would have rejected the request without dry run.</summary>
    public bool DryRejected;

    /// <summary>The bucket is the registered client's own.</summary>
    public bool IsOwn;

    /// <summary>The limit's name for the client and the log; a registered client's own limit is named
    /// <c>client</c>.</summary>
    public readonly byte[] NameBytes => Full || Limit is null ? Rule.NameBytes : Limit.NameBytes;

    public readonly double Tokens => Limit!.Tokens(State, Clock);

    public readonly long WholeTokens => Limit!.WholeTokens(State, Clock);

    public readonly long SecondsToNextToken => Limit!.SecondsToNextToken(State, Clock);

    public readonly long SecondsToFull => Limit!.SecondsToFull(State, Clock);

    public readonly ulong ConcurrencyKey => Hash ^ Rule.ConcurrencyKey;
}
