namespace Penstock.Proxy.RateLimiting;

/// <summary>A client with a setting of its own: its bucket, and what else is set for it. Edits exchange both while
/// requests use them. Thread-safe.</summary>
internal sealed class RegisteredClient(string id, Bucket bucket)
{
    /// <summary>What the RateLimit fields and the log call the limit of a registered client.</summary>
    public const string LimitName = "client";

    private Bucket _bucket = bucket;
    private TermsInForce? _terms;

    public string Id { get; } = id;

    /// <summary>Its id is an address or a network: only the address itself makes a request its own.</summary>
    public bool IsAddress { get; } = RegisteredAddresses.IsAddress(id);

    public Bucket Bucket
    {
        get => Volatile.Read(ref _bucket);
        set => Volatile.Write(ref _bucket, value);
    }

    /// <summary>What is set for it besides its limit; null for most.</summary>
    public TermsInForce? Terms
    {
        get => Volatile.Read(ref _terms);
        set => Volatile.Write(ref _terms, value);
    }

    public ClientAccess Access => Terms?.Terms.Access ?? ClientAccess.Limited;
}
