namespace Penstock.Proxy.RateLimiting;

/// <summary>A request that waits for tokens of a bucket that several nodes share, until the lease under way tells
/// whether they are there. Its place in line is the client's; thread-safe only as its members say.</summary>
internal abstract class TokenWaiter
{
    /// <summary>Tokens that it needs.</summary>
    public int Cost { get; private set; }

    internal TokenWaiter? Next { get; private set; }
    internal TokenWaiter? Previous { get; private set; }

    /// <summary>It stands in line. Under the client's lock.</summary>
    internal bool Stands { get; private set; }

    /// <summary>Its turn has come. Called from any thread, once for each time that it stood in line to the end.
    /// </summary>
    /// <param name="granted">Its tokens have been taken for it. Otherwise the request is to be decided anew.</param>
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
