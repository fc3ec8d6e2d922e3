using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>Every client's buckets: those of registered clients, those under the limits of the configuration, and the
/// requests that each client has under way. Requests take tokens from the event loops without a lock. Thread-safe.
/// </summary>
public sealed class Limiter
{
    /// <summary>An empty bucket must fill within this time, so that its arithmetic stays exact.</summary>
    private const double MaxSecondsToFull = 100 * 365.25 * 24 * 3600;
    private const double MinRatePerSecond = 1.0 / (100 * 24 * 3600);

    private readonly MonotonicClock _clock;
    private KeyHash _hash = new();

    /// <param name="sharesTokens">The tokens of registered clients are leased from buckets that nodes share.</param>
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

    /// <summary>Null where the tokens are this process' own.</summary>
    public Leases? Leases { get; }

    /// <summary>How often a bucket in use gave way to a new client's since start: more than now and then says that
    /// <see cref="ClientsConfig.MaxTracked"/> is too low.</summary>
    public long Displaced => Limits.Table.Displaced;

    /// <summary>The limits of the configuration, and the buckets under them.</summary>
    internal LimitTable Limits { get; }

    /// <summary>Requests under way, for limits that bound them.</summary>
    internal ConcurrencyTable Concurrency { get; } = new();

    internal ClientIdComparer IdComparer { get; }

    /// <summary>The limits of the configuration in force.</summary>
    public IReadOnlyDictionary<string, LimitConfig> Configured => Limits.Configured;

    /// <summary>Why a limit is rejected, or null.</summary>
    /// <param name="capacity">Tokens, 1 to 1,000,000,000.</param>
    /// <param name="ratePerSecond">Tokens per second, from one in 100 days to 1,000,000.</param>
    public static string? Fault(long capacity, double ratePerSecond)
    {
        if (capacity is < 1 or > 1_000_000_000)
        {
            return "capacity must be from 1 to 1000000000";
        }
        if (!(ratePerSecond >= MinRatePerSecond && ratePerSecond <= 1_000_000))
        {
            return "rate must be from one in 100 days to 1000000 per second";
        }
        return capacity / ratePerSecond > MaxSecondsToFull
            ? "an empty bucket would need more than 100 years to fill; lower the capacity or raise the rate" : null;
    }

    /// <summary>Can a registered client have numbers of its own for such a limit?</summary>
    public static bool CanBeOwn(LimitConfig limit)
    {
        ArgumentNullException.ThrowIfNull(limit);
        return limit is { By: LimitKey.Client, Capacity: > 0 };
    }

    /// <summary>Puts changed limits in force. One caller at a time.</summary>
    /// <returns>False when there are thousands of them: limits stay as they are.</returns>
    internal bool TryApply(ProxyConfig config)
    {
        if (Leases is not null)
        {
            Leases.RequestsWait = config.Timeouts.Tokens > TimeSpan.Zero;
        }
        return Limits.TryApply(config.Limits);
    }

    internal ulong HashOf(ReadOnlySpan<byte> key, ulong domain) => _hash.Hash(key, domain);

    /// <summary>A request has waited for shared tokens for as long as it may.</summary>
    internal void NoteWaitedInVain() => Leases?.NoteWaitedInVain(_clock.NowNs);

    /// <summary>Buckets of clients without a setting of their own are kept over restarts: their keys are hashed as they
    /// were before. To call before the first request, where <see cref="ClientsConfig.SaveUnregistered"/>.</summary>
    /// <param name="hashKey">16 bytes.</param>
    /// <param name="savedAtUnixNs">When buckets were last saved.</param>
    public KeptBuckets KeepBuckets(ReadOnlySpan<byte> hashKey, long savedAtUnixNs)
    {
        _hash = new KeyHash(hashKey);
        return new KeptBuckets(Limits, _clock, savedAtUnixNs);
    }
}
