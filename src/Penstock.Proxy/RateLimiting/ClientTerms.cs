using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.RateLimiting;

/// <summary>Whether a client is limited.</summary>
public enum ClientAccess
{
    /// <summary>The client's limits decide.</summary>
    Limited,

    /// <summary>All requests of the client are rejected with 403.</summary>
    Blocked,

    /// <summary>No limit applies to the client.</summary>
    Exempt,
}

/// <summary>A client's own capacity and rate for a limit of the configuration.</summary>
/// <param name="Name">The limit's name.</param>
/// <param name="Numbers">Capacity and rate; everything else is as in the limit.</param>
public sealed record OwnNumbers(string Name, LimitConfig Numbers);

/// <summary>What an operator has set for a client besides a capacity and a rate. Most clients have no such object.
/// Immutable.</summary>
public sealed record ClientTerms
{
    /// <summary>Maximum number of limits for which one client may have its own numbers.</summary>
    public const int MaxLimits = 32;

    /// <summary>The default terms.</summary>
    public static ClientTerms Plain { get; } = new();

    /// <summary>Whether the client is limited, blocked or exempt. Default: limited.</summary>
    public ClientAccess Access { get; init; }

    /// <summary>The plan that defines the client's capacity and rate; null: it has its own.</summary>
    public string? Plan { get; init; }

    /// <summary>False for a client that is only blocked or exempt, and has neither a plan nor a bucket. Default:
    /// true.</summary>
    public bool HasNumbers { get; init; } = true;

    /// <summary>The client's own numbers for limits of the configuration, ordered by the limits' names.</summary>
    public ValueList<OwnNumbers> Limits { get; init; } = [];

    /// <summary>These terms; null when they equal <see cref="Plain"/>.</summary>
    public ClientTerms? OrNull => this == Plain ? null : this;
}

/// <summary>A plan: a capacity and a rate that many clients have.</summary>
/// <param name="Version">When nodes share the store: a number that grows with every edit; else 0.</param>
public readonly record struct PlanNumbers(string Name, LimitConfig Numbers, long Version = 0);
