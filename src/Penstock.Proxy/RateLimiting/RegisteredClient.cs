namespace Penstock.Proxy.RateLimiting;

/// <summary>A registered client: its bucket and its terms. Edits replace both while requests use them.
/// Thread-safe.</summary>
internal sealed class RegisteredClient(string id, Bucket bucket)
{
    /// <summary>The name of a registered client's own limit in the RateLimit fields and the log.</summary>
    public const string LimitName = "client";

    private Bucket _bucket = bucket;
    private TermsInForce? _terms;

    public string Id { get; } = id;

    /// <summary>Whether the id is an address or a network. Then a request counts for the client only by its
    /// address.</summary>
    public bool IsAddress { get; } = RegisteredAddresses.IsAddress(id);

    public Bucket Bucket
    {
        get => Volatile.Read(ref _bucket);
        set => Volatile.Write(ref _bucket, value);
    }

    /// <summary>Further terms; null for most clients.</summary>
    public TermsInForce? Terms
    {
        get => Volatile.Read(ref _terms);
        set => Volatile.Write(ref _terms, value);
    }

    public ClientAccess Access => Terms?.Terms.Access ?? ClientAccess.Limited;
}
