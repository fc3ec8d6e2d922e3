using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>One thing wrong with what a caller sent, by the member's name.</summary>
internal sealed record FieldFault(string Field, string Message);

/// <summary>What a caller wants a client to be; null leaves a value as it is.</summary>
internal sealed record ClientChange(long? Capacity = null, double? RatePerSecond = null, double? Tokens = null)
{
    /// <summary>Every fault that the values show among themselves.</summary>
    public IEnumerable<FieldFault> Faults()
    {
        var capacityFault = Capacity is { } capacity ? Limiter.Fault(capacity, 1) : null;
        var rateFault = RatePerSecond is { } rate ? Limiter.Fault(1, rate) : null;
        if (capacityFault is not null) yield return new("capacity", capacityFault.Replace("capacity ", ""));
        if (rateFault is not null) yield return new("rate_per_sec", rateFault.Replace("rate ", ""));

        // each may be fine while the pair is not
        if (capacityFault is null && rateFault is null && Capacity is { } c && RatePerSecond is { } r
            && Limiter.Fault(c, r) is { } pairFault)
        {
            yield return new("rate_per_sec", "is too low: " + pairFault);
        }

        if (Tokens is < 0)
            yield return new("current_tokens", "must not be negative");
        else if (capacityFault is null && Tokens > Capacity)
            yield return new("current_tokens", $"must not be above the capacity, {Capacity}");
    }

    public ClientChange Over(LimitConfig limit) =>
        this with { Capacity = Capacity ?? limit.Capacity, RatePerSecond = RatePerSecond ?? limit.RatePerSecond };
}
