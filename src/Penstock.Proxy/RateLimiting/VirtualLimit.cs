using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>A limit in virtual time, for replays of past traffic. It decides as the data plane does, with the caller's
/// times and buckets. Immutable, thread-safe.</summary>
/// <exception cref="ArgumentException">The numbers have a fault, see <see cref="Limiter.Fault"/>.</exception>
public sealed class VirtualLimit(LimitConfig config)
{
    private readonly Limit _limit = new("virtual", config);

    /// <summary>The limit's capacity and rate.</summary>
    public LimitConfig Config => config;

    /// <summary>Takes one token; false when the bucket has none.</summary>
    /// <param name="bucket">The bucket's state; 0: full. Updated when a token is taken.</param>
    /// <param name="ns">The time, in nanoseconds since the beginning of the replay.</param>
    public bool TryTake(ref long bucket, long ns) => _limit.TryTake(ref bucket, _limit.Clock(ns), 1);
}
