using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>A fault of a member of a request, and its name.</summary>
internal sealed record FieldFault(string Field, string Message);

/// <summary>A client of a file, and what the file sets.</summary>
internal readonly record struct ClientRow(string ClientId, ClientChange Change);

/// <summary>A change of a capacity and a rate; null leaves a number as it is.</summary>
internal sealed record NumbersChange(long? Capacity, double? RatePerSecond);

/// <summary>A change of a client; null leaves a value as it is.</summary>
internal sealed record ClientChange(long? Capacity = null, double? RatePerSecond = null, double? Tokens = null)
{
    public string? Plan { get; init; }

    /// <summary>The client leaves its plan and keeps the plan's numbers as its own.</summary>
    public bool LeavesPlan { get; init; }

    public ClientAccess? Access { get; init; }

    /// <summary>The client's own numbers by limit name; null removes its numbers for that limit.</summary>
    public IReadOnlyDictionary<string, NumbersChange?>? Limits { get; init; }

    /// <summary>The client's own numbers are removed, before those of <see cref="Limits"/> are added.</summary>
    public bool RemovesLimits { get; init; }

    /// <summary>All faults of the values that can be seen without the client's present state.</summary>
    public IEnumerable<FieldFault> Faults()
    {
        foreach (FieldFault fault in NumberFaults("", Capacity, RatePerSecond))
        {
            yield return fault;
        }

        foreach ((string? name, NumbersChange? numbers) in Limits ?? new Dictionary<string, NumbersChange?>())
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
        else if (Limiter.Fault(Capacity, null) is null && Tokens > Capacity)
        {
            yield return new("current_tokens", $"must not be above the capacity, {Capacity}");
        }
    }

    /// <summary>True if the change names a plan, a capacity or a rate.</summary>
    public bool NamesNumbers => Plan is not null || Capacity is not null || RatePerSecond is not null;

    private static IEnumerable<FieldFault> NumberFaults(string prefix, long? capacity, double? rate)
    {
        if (Limiter.Fault(capacity, null) is { } capacityFault)
        {
            yield return new(prefix + "capacity", capacityFault.Message);
        }
        if (Limiter.Fault(null, rate) is { } rateFault)
        {
            yield return new(prefix + "rate_per_sec", rateFault.Message);
        }
        if (Limiter.Fault(capacity, rate) is { Of: LimitNumber.Both } pairFault)
        {
            yield return new(prefix + "rate_per_sec", "is too low: " + pairFault.Message);
        }
    }
}
