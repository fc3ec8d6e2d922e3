using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>All buckets: those of registered clients and those under the limits of the configuration; also counts each
/// client's requests in flight. Event loops take tokens without a lock. Thread-safe.</summary>
public sealed partial class Limiter
{
    /// <summary>An empty bucket must fill within this time (100 years), so that its arithmetic stays exact.</summary>
    private const double MaxSecondsToFull = 100 * 365.25 * 24 * 3600;
    private const double MinRatePerSecond = 1.0 / (100 * 24 * 3600);

    private readonly MonotonicClock _clock;
    private KeyHash _hash = new();

    /// <param name="sharesTokens">The tokens of registered clients are leased from buckets that several nodes
    /// share.</param>
    internal Limiter(ProxyConfig config, MonotonicClock clock, bool sharesTokens = false)
    {
        _clock = clock;
        var idHash = new KeyHash();
        IdComparer = new ClientIdComparer(idHash);
        Limits = new LimitTable(config, clock, idHash);
        if (sharesTokens)
        {
            var leases = new Leases(clock) { RequestsWait = config.Timeouts.Tokens > TimeSpan.Zero };
            Leases = leases;
            Clients = new ClientBuckets(IdComparer, clock, (in client, limit, now) =>
                new LeasedBucket(leases, client, limit, now));
        }
        else
        {
            Clients = new ClientBuckets(IdComparer, clock, static (in client, limit, now) =>
                new LocalBucket(limit, client.Tokens, now));
        }
    }

    /// <summary>The registered clients.</summary>
    public ClientBuckets Clients { get; }

    /// <summary>The leases; null when nodes do not share tokens.</summary>
    public Leases? Leases { get; }

    /// <summary>Buckets of unregistered clients in the table; see <see cref="ClientsConfig.MaxTracked"/>.</summary>
    public long Tracked => Limits.Table.Count;

    /// <summary>How often the bucket of a new client has replaced one in use, since start. If this happens often,
    /// <see cref="ClientsConfig.MaxTracked"/> is too low.</summary>
    public long Displaced => Limits.Table.Displaced;

    /// <summary>The limits of the configuration, and the buckets under them.</summary>
    internal LimitTable Limits { get; }

    /// <summary>Requests in flight, for concurrency limits.</summary>
    internal ConcurrencyTable Concurrency { get; } = new();

    internal ClientIdComparer IdComparer { get; }

    /// <summary>The limits of the configuration in force.</summary>
    public IReadOnlyDictionary<string, LimitConfig> Configured => Limits.Configured;

    /// <summary>Why a limit is not valid; null: it is valid. Pure.</summary>
    /// <param name="capacity">Tokens, 1 to 1,000,000,000. Null: not checked.</param>
    /// <param name="ratePerSecond">Tokens per second, from one in 100 days to 1,000,000. Null: not checked.</param>
    public static LimitFault? Fault(long? capacity, double? ratePerSecond)
    {
        if (capacity is < 1 or > 1_000_000_000)
        {
            return new(LimitNumber.Capacity, "must be from 1 to 1000000000");
        }
        if (ratePerSecond is { } rate && !(rate >= MinRatePerSecond && rate <= 1_000_000))
        {
            return new(LimitNumber.Rate, "must be from one in 100 days to 1000000 per second");
        }
        return capacity / ratePerSecond > MaxSecondsToFull
            ? new(LimitNumber.Both, "an empty bucket would need more than 100 years to fill; "
                + "lower the capacity or raise the rate")
            : null;
    }

    /// <summary>Whether a registered client can have its own numbers for this limit.</summary>
    public static bool CanBeOwn(LimitConfig limit)
    {
        ArgumentNullException.ThrowIfNull(limit);
        return limit is { By: LimitKey.Client, Capacity: > 0 };
    }

    /// <summary>Puts the limits of a configuration in force. One caller at a time.</summary>
    /// <returns>False when there are thousands of limits; then they stay as they are.</returns>
    internal bool TryApply(ProxyConfig config)
    {
        if (Leases is not null)
        {
            Leases.RequestsWait = config.Timeouts.Tokens > TimeSpan.Zero;
        }
        return Limits.TryApply(config.Limits);
    }

    internal ulong HashOf(ReadOnlySpan<byte> key, ulong domain) => _hash.Hash(key, domain);

    /// <summary>Takes note of a request whose wait for shared tokens ended without an answer.</summary>
    internal void NoteWaitedInVain() => Leases?.NoteWaitedInVain(_clock.NowNs);

    /// <summary>Begins to save the buckets of unregistered clients, for <see cref="ClientsConfig.SaveUnregistered"/>.
    /// Keys are hashed as before the restart. Call it before the first request.</summary>
    /// <param name="hashKey">The saved key of the hash, 16 bytes.</param>
    /// <param name="savedAtUnixNs">When buckets were last saved, in nanoseconds since 1970 (UTC).</param>
    public KeptBuckets KeepBuckets(ReadOnlySpan<byte> hashKey, long savedAtUnixNs)
    {
        UseHashKey(hashKey);
        return new KeptBuckets(Limits, _clock, savedAtUnixNs);
    }
}
