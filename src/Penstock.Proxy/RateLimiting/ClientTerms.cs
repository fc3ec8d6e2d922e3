using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>Whether limits are asked about a client at all.</summary>
public enum ClientAccess
{
    /// <summary>Its limits decide.</summary>
    Limited,

    /// <summary>None of its requests is admitted.</summary>
    Blocked,

    /// <summary>No limit holds it.</summary>
    Exempt,
}

/// <summary>A client's numbers for a limit of the configuration.</summary>
/// <param name="Name">The limit.</param>
/// <param name="Numbers">Capacity and rate; all else is as the limit says.</param>
public sealed record OwnNumbers(string Name, LimitConfig Numbers);

/// <summary>What an operator has set for a client besides a capacity and a rate. Most clients have none of it: then
/// there is no such object. Immutable.</summary>
public sealed record ClientTerms
{
    /// <summary>Limits for which one client may have numbers of its own.</summary>
    public const int MaxLimits = 32;

    /// <summary>Terms that say nothing.</summary>
    public static ClientTerms Plain { get; } = new();

    public ClientAccess Access { get; init; }

    /// <summary>The plan that its capacity and rate are from; null: they are its own.</summary>
    public string? Plan { get; init; }

    /// <summary>False for a client that was only blocked or exempted: it has neither a plan nor a bucket.</summary>
    public bool HasNumbers { get; init; } = true;

    /// <summary>Its numbers for limits of the configuration, ordered by their names.</summary>
    public ValueList<OwnNumbers> Limits { get; init; } = [];

    /// <summary>Null when they say nothing.</summary>
    public ClientTerms? OrNull => this == Plain ? null : this;
}

/// <summary>A plan: a capacity and a rate that many clients have.</summary>
/// <param name="Version">Grows with every edit, where nodes share the store.</param>
public readonly record struct PlanNumbers(string Name, LimitConfig Numbers, long Version = 0);
