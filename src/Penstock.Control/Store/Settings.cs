using Penstock.Control.Config;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>The plans that an edit may name.</summary>
internal readonly record struct KnownPlans(IReadOnlyDictionary<string, PlanNumbers> All);

/// <summary>A client's settings after a change.</summary>
/// <param name="Limit">Its capacity and rate; without meaning if the terms say that it has no numbers.</param>
/// <param name="Terms">Its plan, access and numbers for named limits; null: none.</param>
/// <param name="Faults">Why the change is invalid.</param>
internal sealed record Settings(LimitConfig Limit, ClientTerms? Terms, IReadOnlyList<FieldFault> Faults)
{
    /// <summary>The numbers in the columns of a client without numbers. A node of a version without <c>access</c>
    /// enforces them.</summary>
    private static readonly LimitConfig NoNumbers = new(1, 1);

    /// <param name="before">The client before the change; null if it does not exist.</param>
    /// <param name="change">The change. Access and limits that it does not set stay; numbers stay if it sets none of
    /// them.</param>
    /// <param name="plans">The plans that exist.</param>
    /// <param name="limits">The limits of the configuration.</param>
    /// <param name="partial">Each number that the change does not set stays.</param>
    public static Settings Of(ClientState? before, ClientChange change, KnownPlans plans,
        IReadOnlyDictionary<string, LimitConfig> limits, bool partial)
    {
        var faults = new List<FieldFault>(change.Faults());
        ClientTerms old = before?.Terms ?? ClientTerms.Plain;
        ClientAccess access = change.Access ?? old.Access;
        string? plan = null;
        LimitConfig? numbers;
        if (change.Plan is { } name)
        {
            (plan, numbers) = (name, OfPlan(name, change, plans, faults));
        }
        else if (old.Plan is not null && !change.LeavesPlan && (partial || !change.NamesNumbers))
        {
            (plan, numbers) = (old.Plan, Staying(before!.Value, change, old.Plan, faults));
        }
        else
        {
            numbers = Own(old.HasNumbers ? before?.Limit : null, change, access, partial, faults);
        }

        if (numbers is not null && change.Capacity is null && change.Tokens > numbers.Capacity)
        {
            faults.Add(new("current_tokens", $"must not be above the capacity, {numbers.Capacity}"));
        }
        else if (numbers is null && faults.Count == 0 && change.Tokens is not null)
        {
            faults.Add(new("current_tokens", "needs a capacity"));
        }

        var terms = new ClientTerms
        {
            Access = access,
            Plan = plan,
            HasNumbers = numbers is not null,
            Limits = LimitsOf(old, change, limits, partial, faults),
        };
        return new(numbers ?? NoNumbers, terms.OrNull, faults);
    }

    private static LimitConfig? OfPlan(
        string name, ClientChange change, KnownPlans plans, List<FieldFault> faults)
    {
        if (!plans.All.TryGetValue(name, out PlanNumbers plan))
        {
            string hint = plans.All.Count == 0 ? "there is no plan"
                : Suggestion.OrList(name, [.. plans.All.Keys.Order()], "known plans");
            faults.Add(new("plan", $"is not known: no plan is named {ConfigValue.Quote(name)}; {hint}"));
            return null;
        }

        // A caller may send back the numbers that it has read.
        if (change.Capacity is { } capacity && capacity != plan.Numbers.Capacity)
        {
            faults.Add(new("capacity",
                $"must equal that of the plan, {plan.Numbers.Capacity}; leave out the capacity or the plan"));
        }

        if (change.RatePerSecond is { } rate && !rate.Equals(plan.Numbers.RatePerSecond))
        {
            faults.Add(new("rate_per_sec",
                $"must equal that of the plan, {plan.Numbers.RatePerSecond}; leave out the rate or the plan"));
        }

        return plan.Numbers;
    }

    private static LimitConfig Staying(ClientState before, ClientChange change, string plan, List<FieldFault> faults)
    {
        if ((change.Capacity ?? before.Limit.Capacity) != before.Limit.Capacity
            || !(change.RatePerSecond ?? before.Limit.RatePerSecond).Equals(before.Limit.RatePerSecond))
        {
            faults.Add(new("plan", $"is '{plan}', which sets the numbers: change the plan, choose another one, or send "
                + "\"plan\": null with the client's own numbers"));
        }
        return before.Limit;
    }

    private static LimitConfig? Own(
        LimitConfig? before, ClientChange change, ClientAccess access, bool partial, List<FieldFault> faults)
    {
        bool stays = partial || !change.NamesNumbers;
        long? capacity = change.Capacity ?? (stays ? before?.Capacity : null);
        double? rate = change.RatePerSecond ?? (stays ? before?.RatePerSecond : null);
        if (capacity is null && rate is null && access != ClientAccess.Limited)
        {
            return null;
        }

        if (capacity is null)
        {
            faults.Add(new("capacity", "is required, unless the client has a plan"));
        }

        if (rate is null)
        {
            faults.Add(new("rate_per_sec", "is required, unless the client has a plan"));
        }

        if (capacity is not { } tokens || rate is not { } perSecond)
        {
            return null;
        }

        if (faults.Count == 0) // one of the two numbers may be the client's present one
        {
            faults.AddRange(new ClientChange(tokens, perSecond).Faults());
        }

        return new(tokens, perSecond);
    }

    private static ValueList<OwnNumbers> LimitsOf(ClientTerms old, ClientChange change,
        IReadOnlyDictionary<string, LimitConfig> limits, bool partial, List<FieldFault> faults)
    {
        if (change.Limits is null)
        {
            return old.Limits;
        }

        Dictionary<string, LimitConfig> all = partial && !change.RemovesLimits
            ? old.Limits.ToDictionary(static own => own.Name, static own => own.Numbers) : [];
        foreach ((string? name, NumbersChange? numbers) in change.Limits)
        {
            if (numbers is null)
            {
                all.Remove(name);
            }
            else if (Merged(name, all.GetValueOrDefault(name), numbers, faults) is { } merged)
            {
                // Numbers that the client already has may stay when the limit was removed from the configuration.
                if (!old.Limits.Contains(new(name, merged)) && LimitFault(name, limits) is { } fault)
                {
                    faults.Add(new($"limits.{name}", fault));
                }

                all[name] = merged;
            }
        }
        if (all.Count > ClientTerms.MaxLimits)
        {
            faults.Add(new("limits",
                $"are {all.Count}, but a client may have numbers for at most {ClientTerms.MaxLimits}"));
        }

        return [.. all.OrderBy(static own => own.Key, StringComparer.Ordinal)
            .Select(static own => new OwnNumbers(own.Key, own.Value))];
    }

    private static LimitConfig? Merged(
        string name, LimitConfig? before, NumbersChange change, List<FieldFault> faults)
    {
        if ((change.Capacity ?? before?.Capacity) is not { } capacity)
        {
            faults.Add(new($"limits.{name}.capacity", "is required"));
            return null;
        }
        if ((change.RatePerSecond ?? before?.RatePerSecond) is not { } rate)
        {
            faults.Add(new($"limits.{name}.rate_per_sec", "is required"));
            return null;
        }
        if (faults.Count == 0) // one of the two numbers may be the client's present one
        {
            faults.AddRange(new ClientChange(capacity, rate).Faults()
                .Select(fault => fault with { Field = $"limits.{name}.{fault.Field}" }));
        }
        return new(capacity, rate);
    }

    private static string? LimitFault(string name, IReadOnlyDictionary<string, LimitConfig> limits)
    {
        if (!limits.TryGetValue(name, out LimitConfig? limit))
        {
            return limits.Count == 0 ? "is not known: the configuration has no limits"
                : $"is not known: no limit is named {ConfigValue.Quote(name)}; "
                    + Suggestion.OrList(name, [.. limits.Keys.Order()], "known limits");
        }
        if (Limiter.CanBeOwn(limit))
        {
            return null;
        }

        return limit.By == LimitKey.Client ? "has no capacity, because it is only a concurrency limit"
            : $"counts by {(limit.By == LimitKey.All ? "all" : "address")}: a client can have numbers only for a limit "
                + "that counts by client";
    }
}
