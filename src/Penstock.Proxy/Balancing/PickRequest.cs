using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Balancing;

/// <summary>What a balancer uses to pick a backend for one attempt of a request.</summary>
internal readonly ref struct PickRequest
{
    /// <summary>Backends at which this request has failed. They are not picked again.</summary>
    public required List<Backend> Tried { get; init; }

    /// <summary>The calling loop's random numbers.</summary>
    public required PickRandom Random { get; init; }

    /// <summary>The time, in nanoseconds of the monotonic clock.</summary>
    public long NowNs { get; init; }

    /// <summary>Hash of the request's affinity key, for <see cref="HashTable"/>.</summary>
    public ulong AffinityHash { get; init; }

    /// <summary>The backend of the client's sticky session; null: none.</summary>
    public Backend? StickyBackend { get; init; }

    /// <summary>Changes neither the rotation nor the random numbers.</summary>
    public bool Peek { get; init; }

    public bool MayTake(Backend backend) =>
        backend.IsAvailable && (Tried.Count == 0 || !Tried.Contains(backend));
}

/// <summary>SplitMix64 (Steele, Lea, Flood, 2014): a number costs a few instructions, and the state can be restored, so
/// that a pick can be predicted. One per loop; not thread-safe; not for secrets.</summary>
internal sealed class PickRandom(ulong seed)
{
    public ulong State { get; set; } = seed;

    /// <returns>A number from 0 to <paramref name="bound"/> - 1.</returns>
    public int Next(int bound) => (int)(((NextWord() >> 32) * (ulong)bound) >> 32);

    public ulong NextWord() => StableHash.Mix(State += 0x9E3779B97F4A7C15);
}
