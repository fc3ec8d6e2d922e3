namespace Penstock.Proxy.RateLimiting;

/// <summary>Names a bucket for another process.</summary>
/// <param name="Client">The id of the registered client that has the bucket; null: no registered client.</param>
/// <param name="Limit">The limit; null: the client's own limit.</param>
/// <param name="Hash">The key of an unregistered client, hashed with the key that both processes have; 0 when all
/// requests share the bucket.</param>
public readonly record struct BucketName(string? Client, string? Limit, ulong Hash = 0);

/// <summary>The tokens of a bucket.</summary>
/// <param name="Bucket">Which bucket.</param>
/// <param name="Tokens">With fraction; negative when statuses have taken more than it had.</param>
public readonly record struct BucketTokens(BucketName Bucket, double Tokens);

/// <summary>What a process asks of its successor's bucket.</summary>
public enum BucketAction
{
    /// <summary>Take nothing, tell only whether the tokens are there.</summary>
    Peek,

    /// <summary>Take the tokens if they are there.</summary>
    Take,

    /// <summary>Take the tokens in any case; a negative number gives tokens back.</summary>
    Debit,
}

/// <summary>The process that has taken over from this one. It has all buckets, and this process asks it about the
/// requests that still come on its own connections. Thread-safe.</summary>
public abstract class Successor
{
    /// <summary>Asks, and waits for the answer.</summary>
    /// <param name="enough">Whether the tokens were there.</param>
    /// <param name="tokens">Those in the bucket afterwards; see <see cref="BucketTokens"/>.</param>
    /// <returns>False when it does not answer. Then this process decides by the tokens that it had.</returns>
    public abstract bool TryAsk(
        BucketAction action, in BucketName bucket, int cost, out bool enough, out double tokens);
}
