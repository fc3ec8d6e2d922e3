using System.Collections.Immutable;
using System.Text;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>A limit with everything that a decision needs: who shares its buckets, where they are, and what happens to
/// rejected requests. Immutable, thread-safe.</summary>
internal sealed class LimitRule
{
    /// <summary>The rule for a registered client's own limit, when it applies in addition to those of the
    /// route.</summary>
    public static LimitRule OwnLimit { get; } = new(RegisteredClient.LimitName, new LimitConfig(0, 0), null, null, 0);

    /// <param name="tracked">The limit whose buckets are in the bucket table; null: none.</param>
    /// <param name="common">The bucket that all requests share; null: they do not share one.</param>
    /// <param name="concurrencyKey">Tells this limit's counts of requests in flight from those of other limits.</param>
    public LimitRule(string name, LimitConfig config, Limit? tracked, LocalBucket? common, ulong concurrencyKey)
    {
        Name = name;
        NameBytes = Encoding.UTF8.GetBytes(name);
        Config = config;
        (Tracked, Common, ConcurrencyKey) = (tracked, common, concurrencyKey);
        CountedStatuses = [.. config.CountsStatuses];
        ConcurrencyPolicyField =
            Encoding.ASCII.GetBytes($"\"{name}\";q={config.Concurrent};qu=\"concurrent-requests\"");
        StateField = Encoding.ASCII.GetBytes($"\"{name}\";r=");
    }

    public string Name { get; }
    public byte[] NameBytes { get; }
    public LimitConfig Config { get; }
    public Limit? Tracked { get; }
    public LocalBucket? Common { get; }

    /// <summary>Where its decisions are counted; null: nowhere.</summary>
    public LimitCounts? Counts { get; init; }
    public ulong ConcurrencyKey { get; }

    /// <summary>Empty: every request counts.</summary>
    public ImmutableArray<int> CountedStatuses { get; }

    /// <summary>For the RateLimit fields of a client that has too many requests in flight.</summary>
    public byte[] ConcurrencyPolicyField { get; }
    public byte[] StateField { get; }

    public bool HasBucket => Tracked is not null || Common is not null;

    /// <summary>Every client has its own bucket, and a registered client's can have its own numbers.</summary>
    public bool IsOneClients => HasBucket && Config.By == LimitKey.Client;

    /// <summary>A registered client's own limit can replace this limit's bucket.</summary>
    public bool YieldsToOwnLimit => HasBucket && Config is { By: LimitKey.Client, DryRun: false }
        && CountedStatuses.IsEmpty;
}

/// <summary>The limits of a route's requests, in the order in which they are asked. Limits of a single client come
/// first and shared ones after them, so that a rejected request never holds a shared token, even for a moment.
/// Immutable.</summary>
internal sealed class LimitRules
{
    public static LimitRules None { get; } = new([], 1);

    /// <param name="off">The route has <c>limit: off</c>, which exempts registered clients too.</param>
    public LimitRules(IEnumerable<LimitRule> rules, int cost, bool off = false)
    {
        Rules = [.. rules.Distinct().OrderBy(static r => r.Config.DryRun)
            .ThenBy(static r => r.Config.By == LimitKey.All)];
        OwnIndex = Array.FindIndex(Rules, static r => r.YieldsToOwnLimit);
        AddsOwn = OwnIndex < 0 && !off;
        Cost = cost;
    }

    public LimitRule[] Rules { get; }

    /// <summary>The index of the limit that a registered client's own limit replaces; -1: none.</summary>
    public int OwnIndex { get; }

    /// <summary>A registered client's own limit applies in addition to these.</summary>
    public bool AddsOwn { get; }

    /// <summary>Tokens that a request takes from each bucket.</summary>
    public int Cost { get; }
}
