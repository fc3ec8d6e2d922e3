using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Balancing;

/// <summary>What a balancer may look at to pick a backend for one try of one request.</summary>
internal readonly ref struct PickRequest
{
    /// <summary>Backends that failed this request already: not these again.</summary>
    public required List<Backend> Tried { get; init; }

    /// <summary>The calling loop's.</summary>
    public required PickRandom Random { get; init; }

    /// <summary>On the monotonic clock.</summary>
    public long NowNs { get; init; }

    /// <summary>Hash of what the upstream spreads by, for <see cref="HashTable"/>.</summary>
    public ulong AffinityHash { get; init; }

    /// <summary>The backend that the client's session is on.</summary>
    public Backend? StickyBackend { get; init; }

    /// <summary>Only asks: neither the rotation nor the random numbers go on.</summary>
    public bool Peek { get; init; }

    public bool MayTake(Backend backend) =>
        backend.IsAvailable && (Tried.Count == 0 || !Tried.Contains(backend));
}

/// <summary>SplitMix64 (Steele, Lea, Flood, 2014): a few instructions a number, and its state can be put back, so that
/// a pick can be told before it happens. One per loop; not thread-safe; not for secrets.</summary>
internal sealed class PickRandom(ulong seed)
{
    public ulong State { get; set; } = seed;

    /// <returns>0 up to, not including, <paramref name="bound"/>.</returns>
    public int Next(int bound) => (int)(((NextWord() >> 32) * (ulong)bound) >> 32);

    public ulong NextWord() => StableHash.Mix(State += 0x9E3779B97F4A7C15);
}
