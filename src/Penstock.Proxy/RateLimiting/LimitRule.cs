using System.Collections.Immutable;
using System.Text;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>A limit as requests meet it: who shares its buckets, where they are, and what becomes of those that it
/// rejects. Immutable, thread-safe.</summary>
internal sealed class LimitRule
{
    /// <summary>Where a registered client's own limit comes in besides those of the route.</summary>
    public static LimitRule OwnLimit { get; } = new(RegisteredClient.LimitName, new LimitConfig(0, 0), null, null, 0);

    /// <param name="tracked">Whose buckets are in the table; null: none.</param>
    /// <param name="common">The bucket that all share; null unless they do.</param>
    /// <param name="concurrencyKey">Tells its counts of requests under way from those of other limits.</param>
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
    public ulong ConcurrencyKey { get; }

    /// <summary>Empty: every request counts.</summary>
    public ImmutableArray<int> CountedStatuses { get; }

    /// <summary>For the RateLimit fields of who has too many requests under way.</summary>
    public byte[] ConcurrencyPolicyField { get; }
    public byte[] StateField { get; }

    public bool HasBucket => Tracked is not null || Common is not null;

    /// <summary>Every client has a bucket of its own: a registered client's can have other numbers.</summary>
    public bool IsOneClients => HasBucket && Config.By == LimitKey.Client;

    /// <summary>A registered client's own limit can take the place of its bucket.</summary>
    public bool YieldsToOwnLimit => HasBucket && Config is { By: LimitKey.Client, DryRun: false }
        && CountedStatuses.IsEmpty;
}

/// <summary>The limits that a route's requests are under, in the order in which they are asked: those of one client
/// first, those that all share after them, so that nobody else ever misses a token that a rejected request held for a
/// moment. Immutable.</summary>
internal sealed class LimitRules
{
    public static LimitRules None { get; } = new([], 1);

    /// <param name="off">The route is without limits of its own, by <c>limit: off</c>: that frees registered clients as
    /// it frees everybody.</param>
    public LimitRules(IEnumerable<LimitRule> rules, int cost, bool off = false)
    {
        Rules = [.. rules.Distinct().OrderBy(static r => r.Config.DryRun)
            .ThenBy(static r => r.Config.By == LimitKey.All)];
        OwnIndex = Array.FindIndex(Rules, static r => r.YieldsToOwnLimit);
        AddsOwn = OwnIndex < 0 && !off;
        Cost = cost;
    }

    public LimitRule[] Rules { get; }

    /// <summary>The one that a registered client's own limit stands in for; -1: none.</summary>
    public int OwnIndex { get; }

    /// <summary>A registered client's own limit holds besides these.</summary>
    public bool AddsOwn { get; }

    /// <summary>Tokens that a request takes from each bucket.</summary>
    public int Cost { get; }
}
