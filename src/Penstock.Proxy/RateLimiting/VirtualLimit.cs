using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>A limit in virtual time, for replays of what has been: it decides as the data plane does, with times that
/// the caller gives and buckets that the caller keeps. Immutable, thread-safe.</summary>
/// <param name="config">Must have passed <see cref="Limiter.Fault"/>.</param>
public sealed class VirtualLimit(LimitConfig config)
{
    private readonly Limit _limit = new("virtual", config);

    public LimitConfig Config => config;

    /// <summary>Takes one token, or nothing.</summary>
    /// <param name="bucket">0 is a full one.</param>
    /// <param name="ns">Nanoseconds since the beginning of the replay.</param>
    public bool TryTake(ref long bucket, long ns) => _limit.TryTake(ref bucket, _limit.Clock(ns), 1);
}
