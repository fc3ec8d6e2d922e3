using Penstock.Proxy.Configuration;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <content>Health checks, and ejection by live traffic.</content>
internal static partial class ConfigBinder
{
    /// <summary>Fields of a check's request that its framing, or the connection, decides.</summary>
    private static readonly string[] FramingFields =
    [
        "Connection", "Content-Encoding", "Content-Length", "Content-Type", "Expect", "Keep-Alive", "TE", "Trailer",
        "Transfer-Encoding", "Upgrade",
    ];

    private static HealthCheckConfig? HealthCheck(Field? field) => field switch
    {
        null => null,
        _ when field.Is("off", "false") => null,
        _ when field.Is("tcp") => HealthCheckDefault,
        _ => field.Section(HealthCheck, expected: "a mapping, 'tcp' or 'off'"),
    };

    private static HealthCheckConfig HealthCheck(Section check)
    {
        var tcp = check.Value("type", OneOf(("http", false), ("tcp", true)), false);
        var path = check.Value<string>("path", TryCheckPath);
        foreach (var ofHttp in new[] { "path", "method", "headers", "expect" })
            if (tcp && check[ofHttp] is { } useless)
                useless.Error($"a tcp check has no '{ofHttp}'", "remove it, or write type: http");
        if (!tcp && !check.Has("path") && check.Sound)
            check.At.Error("missing 'path'", "write path: /health, or type: tcp for a check that only connects");
        var method = check.Value("method", TryCheckMethod, HealthCheckDefault.Method);
        var (statuses, body) = check.Group("expect", Expectation, (HealthCheckDefault.ExpectStatus, null));
        if (method == "HEAD" && body is not null)
            check["expect"]!.Error("the response to HEAD has no body", "write method: GET, or remove expect.body");
        var config = new HealthCheckConfig
        {
            Path = path,
            Method = method,
            Fields = [.. check.Named("headers").Select(CheckField)],
            ExpectStatus = statuses,
            ExpectBody = body,
            Interval = check.Value("interval", TryDuration, HealthCheckDefault.Interval),
            FastInterval = check["fast_interval"]?.Parse<TimeSpan>(TryDuration),
            Timeout = check.Value("timeout", TryDuration, HealthCheckDefault.Timeout),
            Rise = check.Value("rise", Whole(1, 1000), HealthCheckDefault.Rise),
            Fall = check.Value("fall", Whole(1, 1000), HealthCheckDefault.Fall),
            Initial = check.Value("initial", OneOf(("check", InitialHealth.Check), ("up", InitialHealth.Up),
                ("down", InitialHealth.Down)), HealthCheckDefault.Initial),
        };
        if (check.Sound)
            WarnOfIntervals(check, config);
        return config;
    }

    private static (ValueList<StatusRange> Statuses, string? Body) Expectation(Section expect)
    {
        var items = expect.Items("status");
        if (items.Count == 0 && expect["status"] is { Node: EmptyNode or SequenceNode } empty)
            empty.Error("'status' is empty: no backend could ever pass", "write 200-399, or leave it out");
        ValueList<StatusRange> statuses = [.. items.Select(item => item.Parse<StatusRange>(TryStatusRange))];
        var body = expect.Value<string>("body", TryText);
        if (body?.Length == 0)
            expect["body"]!.Error("'body' is empty: every body contains that", "write a text, or leave it out");
        return (expect.Has("status") ? statuses : HealthCheckDefault.ExpectStatus, body);
    }

    private static CheckField CheckField(Field field)
    {
        if (FramingFields.Contains(field.Name, StringComparer.OrdinalIgnoreCase))
            field.Error($"'{field.Name}' cannot be set: a check sends one request without a body");
        return new(field.Name, field.Parse(TryFieldValue, ""));
    }

    private static PassiveHealthConfig PassiveHealth(Section passive, IReadOnlyList<BackendConfig> backends)
    {
        var config = new PassiveHealthConfig
        {
            ConsecutiveErrors = passive.Value("consecutive_errors", WholeOr("off", 1000),
                PassiveHealthDefault.ConsecutiveErrors),
            ErrorSharePercent = passive.Value("error_share", PercentOrOff(1, 100),
                PassiveHealthDefault.ErrorSharePercent),
            LatencyFactor = passive.Value("latency_factor", FactorOrOff(1.5, 100), PassiveHealthDefault.LatencyFactor),
            LatencyFloor = passive.Value("latency_floor", TryDuration, PassiveHealthDefault.LatencyFloor),
            MinRequests = passive.Value("min_requests", Whole(1, 1_000_000), PassiveHealthDefault.MinRequests),
            Window = passive.Value("window", TryDuration, PassiveHealthDefault.Window),
            EjectionTime = passive.Value("ejection_time", TryDuration, PassiveHealthDefault.EjectionTime),
            MaxEjectionTime = passive.Value("max_ejection_time", TryDuration, PassiveHealthDefault.MaxEjectionTime),
            MaxEjectedPercent = passive.Value("max_ejected", PercentOrOff(1, 100),
                PassiveHealthDefault.MaxEjectedPercent),
            PanicThresholdPercent = passive.Value("panic_threshold", PercentOrOff(1, 100),
                PassiveHealthDefault.PanicThresholdPercent),
        };
        if (!passive.Sound)
            return config;
        if (config.MaxEjectionTime < config.EjectionTime)
            (passive["max_ejection_time"] ?? passive["ejection_time"])!.Error(
                "the longest ejection is shorter than the first", "raise max_ejection_time, or lower ejection_time");
        var primaries = backends.Count(static b => !b.Backup);
        if (backends.All(static b => !b.IsName) && primaries > 1 && config.MaxEjectedPercent * primaries < 100
            && passive["max_ejected"] is { } share)
            share.Warning($"{config.MaxEjectedPercent}% of {primaries} backends is not one: none is ever ejected",
                $"write {(100 + primaries - 1) / primaries}% or more, or passive_health: off");
        return config;
    }

    private static void WarnOfIntervals(Section check, HealthCheckConfig config)
    {
        if (config.Timeout > config.Interval)
            (check["timeout"] ?? check["interval"])!.Warning("the timeout is longer than the interval: "
                + "a backend that does not answer is checked less often than the interval says");
        if (config.FastInterval > config.Interval)
            check["fast_interval"]!.Warning("the fast interval is longer than the interval: "
                + "a backend in trouble is checked less often than one that is well");
    }
}
