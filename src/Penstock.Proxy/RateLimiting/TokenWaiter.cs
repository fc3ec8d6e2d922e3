namespace Penstock.Proxy.RateLimiting;

/// <summary>A request that waits for tokens of a bucket that several nodes share, until a lease shows whether there are
/// any. The bucket's gate guards its place in the line; thread-safe only where members say so.</summary>
internal abstract class TokenWaiter
{
    /// <summary>Tokens that the request needs.</summary>
    public int Cost { get; private set; }

    internal TokenWaiter? Next { get; private set; }
    internal TokenWaiter? Previous { get; private set; }

    /// <summary>The request waits in the line. Hold the bucket's gate.</summary>
    internal bool Stands { get; private set; }

    /// <summary>Ends the wait. Called from any thread, once for each wait that was not ended by
    /// <see cref="LeasedBucket.Leave"/>.</summary>
    /// <param name="granted">The tokens have been taken for the request. If false, decide the request again.</param>
    public abstract void Answer(bool granted);

    internal void StandBehind(TokenWaiter? last, int cost)
    {
        (Cost, Previous, Next, Stands) = (cost, last, null, true);
        if (last is not null)
        {
            last.Next = this;
        }
    }

    internal void StepOut()
    {
        if (Previous is not null)
        {
            Previous.Next = Next;
        }
        if (Next is not null)
        {
            Next.Previous = Previous;
        }
        (Previous, Next, Stands) = (null, null, false);
    }
}
