using System.Numerics;

namespace Penstock.UnitTests.RateLimiting;

/// <summary>A token bucket of <paramref name="capacity"/>, refilled continuously at
/// <paramref name="numerator"/>/<paramref name="denominator"/> tokens per second, in whole numbers of any size: nothing
/// is ever rounded. Counts in a fraction of a token, <see cref="One"/> to the token.</summary>
internal sealed class ExactBucket(long capacity, long numerator, long denominator)
{
    private long _atNs;

    public BigInteger One { get; } = (BigInteger)denominator * 1_000_000_000;

    public BigInteger Tokens { get; private set; } = (BigInteger)capacity * denominator * 1_000_000_000;

    /// <summary>Advances the time to <paramref name="nowNs"/>.</summary>
    public void Refill(long nowNs)
    {
        Tokens = BigInteger.Min(capacity * One, Tokens + ((BigInteger)numerator * (nowNs - _atNs)));
        _atNs = nowNs;
    }

    public void Take(int cost) => Tokens -= cost * One;

    public bool Has(int cost) => Tokens >= cost * One;

    /// <summary>True if the decision about that cost is within one unit, 2^-<paramref name="unitBits"/> token, of the
    /// edge.</summary>
    public bool IsAtTheEdge(int cost, int unitBits) =>
        BigInteger.Abs(Tokens - (cost * One)) << unitBits <= One;

    /// <summary>Nanoseconds, rounded up, until the bucket has that many tokens.</summary>
    public long NsUntil(int cost) =>
        Has(cost) ? 0 : (long)(((cost * One) - Tokens + numerator - 1) / numerator);

    public double Value => (double)Tokens / (double)One;
}
