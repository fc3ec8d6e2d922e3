using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <summary>The keys of limits and plans.</summary>
internal static class LimitKeys
{
    /// <summary>Names of limits. Each key that uses it defines its own default.</summary>
    public static readonly ListShape<string> Names = new(new Reference("limit"))
    {
        MayBeOff = true,
        Empty = ("'limit' has no value", "write the name of a limit, a list of names, or off"),
        InsteadOfMapping = "write limits: { NAME: { … } } at the top, and its name here",
        Text = "name of a [limit](#limits), a list of them, or `off`",
        Samples = ["default", "off", "logins"],
    };

    public static readonly Keys<LimitConfig> Limit = new Keys<LimitConfig>("limit", new(0, 0))
        .Key("capacity", Tokens, limit => limit.Capacity, (limit, v) => limit with { Capacity = v },
            "Tokens in a full bucket: how many requests a client can send at once.")
        .AlsoCalled("capacity: 100", "burst", "max", "limit", "requests", "size", "tokens", "bucket_size",
            "max_tokens", "quota", "count", "max_requests")
        .Required(HasBucket).DefaultText("required, unless `concurrent` is given")
        .Key("rate", Rate, limit => limit.RatePerSecond, (limit, v) => limit with { RatePerSecond = v },
            "How fast the bucket refills, at most 1,000,000/s.")
        .AlsoCalled("rate: 10/s", "refill", "refill_rate", "rps", "rate_per_sec", "rate_per_second", "per_second",
            "average", "window", "period", "interval", "requests_per_second", "fill_rate", "refill_interval")
        .Required(HasBucket).DefaultText("required with `capacity`")
        .Key("by", OneOf(("client", LimitKey.Client), ("address", LimitKey.Address), ("all", LimitKey.All)),
            limit => limit.By, (limit, v) => limit with { By = v },
            "Which requests share a bucket: those of one `client`; those of one `address`, even with different "
                + "identifiers; or `all`.")
        .AlsoCalled("by: address", "per", "per_ip", "by_ip", "key", "scope", "source")
        .Key("concurrent", Whole(1, 1_000_000), limit => limit.Concurrent, (limit, v) => limit with { Concurrent = v },
            "The maximum number of concurrent requests. A request counts from its head to the end of its response or "
                + "tunnel.")
        .DefaultText("no maximum")
        .Key("statuses", new ListShape<int>(Whole(100, 599)), limit => limit.CountsStatuses,
            (limit, v) => limit with { CountsStatuses = [.. v.Distinct()] },
            "Only responses with these statuses take tokens, when the status is known: `[401, 403]` counts failed "
                + "logins.")
        .DefaultText("every request takes tokens")
        .Key("dry_run", Switch, limit => limit.DryRun, (limit, v) => limit with { DryRun = v },
            "Requests that the limit would reject are admitted, and the access log shows that.")
        .Key("hidden", Switch, limit => limit.Hidden, (limit, v) => limit with { Hidden = v },
            "The RateLimit header fields do not show this limit.")
        .Finally(static (section, limit) =>
        {
            if (HasBucket(section))
            {
                CheckNumbers(section, limit);
            }
            else if (limit.CountsStatuses.Count > 0)
            {
                section["statuses"]!.Error("'statuses' says which responses take tokens, but this limit has no bucket",
                    "add capacity and rate");
            }
        })
        .WithSchema("""{ "anyOf": [{ "required": ["capacity", "rate"] }, { "required": ["concurrent"] }] }""");

    public static readonly Keys<LimitConfig> Plan = new Keys<LimitConfig>("plan", new(0, 0))
        .Key("capacity", Tokens, plan => plan.Capacity, (plan, v) => plan with { Capacity = v },
            "Tokens in a full bucket.")
        .Required()
        .Key("rate", Rate, plan => plan.RatePerSecond, (plan, v) => plan with { RatePerSecond = v },
            "How fast the bucket refills, at most 1,000,000/s.")
        .Required()
        .Finally(CheckNumbers);

    public static readonly NamedShape<LimitConfig> Limits = new(static field =>
        Read(field, Limit, "a limit needs a name", "write default: { capacity: 100, rate: 10/s }"))
    {
        Schema = Named(Limit),
        Text = "`NAME: { … }`",
        Samples = ["{ default: { capacity: 9, rate: 9/s } }", "{ default: { concurrent: 9 } }"],
        Tables = [Limit],
    };

    public static readonly NamedShape<LimitConfig> Plans = new(static field =>
        Read(field, Plan, "a plan needs a name", "write gold: { capacity: 1000, rate: 50/s }"))
    {
        Schema = Named(Plan),
        Text = "`NAME: { … }`",
        Samples = ["{ gold: { capacity: 9, rate: 9/s } }", "{ blue: { capacity: 8, rate: 8/s } }"],
        Tables = [Plan],
    };

    /// <summary>The JSON schema of a mapping whose keys are names that the operator chooses.</summary>
    /// <param name="shortForm">The schema of what may stand instead of a mapping.</param>
    public static string Named(KeyTable table, string? shortForm = null)
    {
        string mapping = $$"""{ "$ref": "#/definitions/{{table.Name}}" }""";
        return $$"""
            { "type": ["object", "null"], "propertyNames": { "$ref": "#/definitions/name" },
              "additionalProperties": {{(shortForm is null ? mapping : SchemaPart.AnyOf(mapping, shortForm))}} }
            """;
    }

    private static LimitConfig Read(ConfigField field, Keys<LimitConfig> keys, string fault, string hint)
    {
        if (field.Name is "capacity" or "rate" && field.Node is ScalarNode)
        {
            field.Error(fault, hint);
            return keys.Default;
        }
        return field.Section(section => keys.Read(section, keys.Default), keys.Default, "{ capacity, rate }",
            $"write {field.Name}: {{ capacity: 100, rate: 10/s }}");
    }

    /// <summary>False for a limit that is only a concurrency limit.</summary>
    private static bool HasBucket(Section section) =>
        section.Has("capacity") || section.Has("rate") || !section.Has("concurrent");

    private static void CheckNumbers(Section section, LimitConfig limit)
    {
        if (section.Sound && Limiter.Fault(limit.Capacity, limit.RatePerSecond) is { } fault)
        {
            section["rate"]!.Reject(fault.Message);
        }
    }
}
