using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>One thing wrong with what a caller sent, by the member's name.</summary>
internal sealed record FieldFault(string Field, string Message);

/// <summary>A client of a file, as it is to be.</summary>
internal readonly record struct ClientRow(string ClientId, ClientChange Change);

/// <summary>What a caller wants a client to be; null leaves a value as it is.</summary>
internal sealed record ClientChange(long? Capacity = null, double? RatePerSecond = null, double? Tokens = null)
{
    public string? Plan { get; init; }

    /// <summary>It is to have no plan any more: what the plan gave becomes its own.</summary>
    public bool LeavesPlan { get; init; }

    public ClientAccess? Access { get; init; }

    /// <summary>Its numbers by the name of the limit; null takes away those that it has.</summary>
    public IReadOnlyDictionary<string, LimitConfig?>? Limits { get; init; }

    /// <summary>Every fault that the values show among themselves.</summary>
    public IEnumerable<FieldFault> Faults()
    {
        foreach (FieldFault fault in NumberFaults("", Capacity, RatePerSecond))
        {
            yield return fault;
        }

        foreach ((string? name, LimitConfig? numbers) in Limits ?? new Dictionary<string, LimitConfig?>())
        {
            foreach (FieldFault fault in NumberFaults($"limits.{name}.", numbers?.Capacity, numbers?.RatePerSecond))
            {
                yield return fault;
            }
        }
        if (Tokens is < 0)
        {
            yield return new("current_tokens", "must not be negative");
        }
        else if (Capacity is { } most && Limiter.Fault(most, 1) is null && Tokens > most)
        {
            yield return new("current_tokens", $"must not be above the capacity, {most}");
        }
    }

    /// <summary>Does it say which bucket a client has that is limited?</summary>
    public bool NamesNumbers => Plan is not null || Capacity is not null || RatePerSecond is not null;

    private static IEnumerable<FieldFault> NumberFaults(string prefix, long? capacity, double? rate)
    {
        string? capacityFault = capacity is { } tokens ? Limiter.Fault(tokens, 1) : null;
        string? rateFault = rate is { } perSecond ? Limiter.Fault(1, perSecond) : null;
        if (capacityFault is not null)
        {
            yield return new(prefix + "capacity", capacityFault.Replace("capacity ", ""));
        }

        if (rateFault is not null)
        {
            yield return new(prefix + "rate_per_sec", rateFault.Replace("rate ", ""));
        }

        // each may be fine while the pair is not
        if (capacityFault is null && rateFault is null && capacity is { } c && rate is { } r
            && Limiter.Fault(c, r) is { } pairFault)
        {
            yield return new(prefix + "rate_per_sec", "is too low: " + pairFault);
        }
    }
}
