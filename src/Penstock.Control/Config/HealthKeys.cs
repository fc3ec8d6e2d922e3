using Penstock.Proxy.Configuration;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <summary>The keys of health checks and of ejection by live traffic.</summary>
internal static class HealthKeys
{
    /// <summary>Header fields that cannot be set, because they describe the framing of a check's request or its
    /// connection.</summary>
    private static readonly string[] FramingFields =
    [
        "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Keep-Alive", "TE", "Trailer",
        "Transfer-Encoding", "Upgrade",
    ];

    private static readonly Keys<HealthCheckConfig> Expect =
        new Keys<HealthCheckConfig>("health_check_expect", new())
            .Key("status", new ListShape<StatusRange>(Statuses)
            {
                Empty = ("'status' is empty: no backend could ever pass", "write 200-399, or leave it out"),
            }, check => check.ExpectStatus, (check, v) => check with { ExpectStatus = [.. v] },
                "The statuses of a healthy backend.")
            .Key("body", Text, check => check.ExpectBody!, (check, v) => check with { ExpectBody = v },
                "A text that the first 64 KiB of the response's body must contain, compared exactly.")
            .DefaultText("the body is not read")
            .Then((section, check) =>
            {
                if (check.ExpectBody?.Length == 0)
                {
                    section["body"]?.Error("'body' is empty: every body contains an empty text",
                        "write a text, or leave it out");
                }
            });

    public static readonly Keys<HealthCheckConfig> Check = new Keys<HealthCheckConfig>("health_check", new())
        .Custom("type", IsTcpCheck, static (section, check) =>
        {
            _ = section["type"]?.Parse(IsTcpCheck.Parse); // only for its fault: a check with a path is an http check
            return check;
        }, "`http` requests `path` and checks the response; `tcp` only connects.")
        .DefaultText("`http`", "\"http\"")
        .Key("path", CheckPath, check => check.Path!, (check, v) => check with { Path = v },
            "The path that an http check requests. A query is allowed.")
        .DefaultText("required for http")
        .AlsoCalled("path: /health", "uri", "url", "endpoint", "target", "http_path")
        .OnlyWith("type", "http")
        .Then(CheckType)
        .Key("method", CheckMethod, check => check.Method, (check, v) => check with { Method = v },
            "The method of an http check.")
        .OnlyWith("type", "http")
        .Key("headers", new NamedShape<CheckField>(FieldOf)
        {
            Schema = NamesOf(SchemaPart.Scalar), Text = "`NAME: value`", Samples = ["{ X-A: a }", "{ Host: b }"],
        }, static _ => [], (check, v) => check with { Fields = [.. v.Select(static f => f.Value)] },
            "Header fields of an http check's request, including `Host`.", "Fields")
        .DefaultText("`Host`: the backend's address")
        .OnlyWith("type", "http")
        .Nested("expect", Expect, "The response of a healthy backend to an http check.")
        .AlsoCalled("expect: { status: 200-399 }", "status", "expected_status", "expect_status", "match", "codes",
            "body")
        .OnlyWith("type", "http")
        .Then(static (section, check) =>
        {
            if (check is { Method: "HEAD", ExpectBody: not null })
            {
                section["expect"]?.Error("the response to HEAD has no body",
                    "write method: GET, or remove expect.body");
            }
        })
        .Key("interval", Duration, check => check.Interval, (check, v) => check with { Interval = v },
            "The time from the start of one check to the start of the next.")
        .Key("fast_interval", new Optional<TimeSpan>(Duration), check => check.FastInterval,
            (check, v) => check with { FastInterval = v },
            "Used instead of `interval` while a backend is down, or while its last checks contradict its state.")
        .DefaultText("half of `interval`")
        .Key("timeout", Duration, check => check.Timeout, (check, v) => check with { Timeout = v },
            "How long one check may take: connect, head and, if it is checked, body.")
        .Key("rise", Whole(1, 1000), check => check.Rise, (check, v) => check with { Rise = v },
            "This many successful checks in a row bring a backend up.")
        .AlsoCalled("rise: 2", "healthy_threshold", "passes", "success_threshold", "successes")
        .Key("fall", Whole(1, 1000), check => check.Fall, (check, v) => check with { Fall = v },
            "This many failed checks in a row take a backend down.")
        .AlsoCalled("fall: 3", "unhealthy_threshold", "fails", "failure_threshold", "failures", "max_fails",
            "retries")
        .Key("initial", OneOf(("check", InitialHealth.Check), ("up", InitialHealth.Up), ("down", InitialHealth.Down)),
            check => check.Initial, (check, v) => check with { Initial = v },
            "The state before the first check. `check`: the backend is used, and the first check alone decides. `up`, "
                + "`down`: as if checks had already brought the backend to this state.")
        .Finally(WarnOfIntervals);

    public static readonly Keys<PassiveHealthConfig> Passive =
        new Keys<PassiveHealthConfig>("passive_health", new())
            .Key("consecutive_errors", WholeOr("off", 1000), p => p.ConsecutiveErrors,
                (p, v) => p with { ConsecutiveErrors = v }, "This many errors in a row eject a backend.")
            .Key("error_share", PercentOrOff(1, 100), p => p.ErrorSharePercent,
                (p, v) => p with { ErrorSharePercent = v },
                "A backend is ejected if its share of errors in a window is above this and more than twice that of the "
                    + "others.")
            .Key("latency_factor", FactorOrOff(1.5, 100), p => p.LatencyFactor,
                (p, v) => p with { LatencyFactor = v },
                "A backend is ejected if its median latency in a window is more than this many times that of the "
                    + "others.")
            .Key("latency_floor", Duration, p => p.LatencyFloor, (p, v) => p with { LatencyFloor = v },
                "A median latency below this never ejects.")
            .Key("min_requests", Whole(1, 1_000_000), p => p.MinRequests, (p, v) => p with { MinRequests = v },
                "A window with fewer requests is ignored.")
            .Key("window", Duration, p => p.Window, (p, v) => p with { Window = v },
                "The time over which shares and medians are computed. It slides in steps of a tenth.")
            .Key("ejection_time", Duration, p => p.EjectionTime, (p, v) => p with { EjectionTime = v },
                "How long the first ejection lasts. The n-th in a row lasts n times as long.")
            .Key("max_ejection_time", Duration, p => p.MaxEjectionTime, (p, v) => p with { MaxEjectionTime = v },
                "The maximum length of an ejection; a random tenth is added to it.")
            .Key("max_ejected", PercentOrOff(1, 100), p => p.MaxEjectedPercent,
                (p, v) => p with { MaxEjectedPercent = v },
                "The maximum share of backends that are ejected at the same time, rounded down. The last backend is "
                    + "never ejected; `off`: none is.")
            .Key("panic_threshold", PercentOrOff(1, 100), p => p.PanicThresholdPercent,
                (p, v) => p with { PanicThresholdPercent = v },
                "If fewer backends than this share are usable, ejections are ignored.");

    /// <summary>The JSON schema of a mapping of names to values.</summary>
    public static string NamesOf(string value) =>
        $$"""{ "type": ["object", "null"], "additionalProperties": {{value}} }""";

    public static void CheckPassive(Section section, PassiveHealthConfig passive,
        IReadOnlyList<BackendConfig> backends)
    {
        if (!section.Sound)
        {
            return;
        }
        if (passive.MaxEjectionTime < passive.EjectionTime)
        {
            (section["max_ejection_time"] ?? section["ejection_time"])!.Error(
                "max_ejection_time is shorter than ejection_time", "raise max_ejection_time, or lower ejection_time");
        }
        int primaries = backends.Count(static b => !b.Backup);
        if (backends.All(static b => !b.IsName) && primaries > 1
            && passive.MaxEjectedPercent * primaries < 100 && section["max_ejected"] is { } share)
        {
            share.Warning(
                $"{passive.MaxEjectedPercent}% of {primaries} backends is less than one: none is ever ejected",
                $"write {(100 + primaries - 1) / primaries}% or more, or passive_health: off");
        }
    }

    private static void CheckType(Section section, HealthCheckConfig check)
    {
        bool tcp = section["type"]?.Node is ScalarNode type && IsTcpCheck.Parse(type.Text.Trim(), out bool isTcp, out _)
            && isTcp;
        if (!tcp && !section.Has("path") && section.Sound)
        {
            section.At.Error("missing 'path'", "write path: /health, or type: tcp for a check that only connects");
        }
        foreach (Key key in tcp ? Check.Rows.Where(static row => row.OnlyWith is not null) : [])
        {
            section[key.Name]?.Error($"a tcp check has no '{key.Name}'", "remove it, or write type: http");
        }
    }

    private static CheckField FieldOf(ConfigField field)
    {
        if (FramingFields.Contains(field.Name, StringComparer.OrdinalIgnoreCase))
        {
            field.Error($"'{field.Name}' cannot be set, because a check sends one request without a body");
        }
        return new(field.Name, field.Parse(TryFieldValue, ""));
    }

    private static void WarnOfIntervals(Section section, HealthCheckConfig check)
    {
        if (!section.Sound)
        {
            return;
        }
        if (check.Timeout > check.Interval)
        {
            (section["timeout"] ?? section["interval"])!.Warning("the timeout is longer than the interval: "
                + "a backend that does not answer is checked less often than every interval");
        }
        if (check.FastInterval > check.Interval)
        {
            section["fast_interval"]!.Warning("the fast interval is longer than the interval: "
                + "a failing backend is checked less often than a healthy one");
        }
    }
}
