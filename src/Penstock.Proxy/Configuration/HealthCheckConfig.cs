namespace Penstock.Proxy.Configuration;

/// <summary>The active health check of every backend of an upstream. It compares by value, so that a reload finds out
/// whether a backend's checks have to change.</summary>
public sealed record HealthCheckConfig
{
    /// <summary>Request target of an HTTP check; null: the check is only a TCP connect.</summary>
    /// <value>Key <c>health_check.path</c>: path; required for http.</value>
    public string? Path { get; init; }

    /// <summary>Method of an HTTP check.</summary>
    /// <value>Key <c>health_check.method</c>: method; default: GET.</value>
    public string Method { get; init; } = "GET";

    /// <summary>Header fields of an HTTP check, in addition to <c>Host</c> and <c>User-Agent</c> or in place of
    /// them.</summary>
    /// <value>Key <c>health_check.headers</c>: <c>NAME: value</c>; default: <c>Host</c>: the backend's address.</value>
    public ValueList<CheckField> Fields { get; init; } = [];

    /// <summary>The statuses of a healthy backend.</summary>
    /// <value>Key <c>health_check_expect.status</c>: <c>204</c>, <c>200-299</c> or <c>2xx</c>, from 200 to 599, or a
    /// list; default: 200-399.</value>
    public ValueList<StatusRange> ExpectStatus { get; init; } = [new(200, 399)];

    /// <summary>Text that the response's body must contain within its first 64 KiB; null: the body is not
    /// read.</summary>
    /// <value>Key <c>health_check_expect.body</c>: text; default: the body is not read.</value>
    public string? ExpectBody { get; init; }

    /// <summary>Time from the start of one check to the start of the next.</summary>
    /// <value>Key <c>health_check.interval</c>: duration; default: 2s.</value>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>The interval while the backend is down, and while the last result contradicts its health (HAProxy's
    /// <c>downinter</c> and <c>fastinter</c> in one); null: half of <see cref="Interval"/>.</summary>
    /// <value>Key <c>health_check.fast_interval</c>: duration; default: half of <c>interval</c>.</value>
    public TimeSpan? FastInterval { get; init; }

    /// <summary>How long a whole check may take: connect, head and, if it is read, body.</summary>
    /// <value>Key <c>health_check.timeout</c>: duration; default: 1s.</value>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Successful checks in a row that bring a backend up (HAProxy's default, 2).</summary>
    /// <value>Key <c>health_check.rise</c>: 1 to 1,000; default: 2.</value>
    public int Rise { get; init; } = 2;

    /// <summary>Failed checks in a row that take a backend down (HAProxy's default, 3).</summary>
    /// <value>Key <c>health_check.fall</c>: 1 to 1,000; default: 3.</value>
    public int Fall { get; init; } = 3;

    /// <summary>The health of a backend before its first check.</summary>
    /// <value>Key <c>health_check.initial</c>: <c>check</c>, <c>up</c> or <c>down</c>; default: check.</value>
    public InitialHealth Initial { get; init; } = InitialHealth.Check;
}

/// <summary>The health of a backend before its first check.</summary>
public enum InitialHealth
{
    /// <summary>Unknown: the backend is used, and the first check decides at once.</summary>
    Check,

    /// <summary>Up, as if checks had passed.</summary>
    Up,

    /// <summary>Down, as if checks had failed.</summary>
    Down,
}

/// <summary>A header field of a check's request.</summary>
public readonly record struct CheckField(string Name, string Value);

/// <summary>A range of statuses, which includes both ends.</summary>
public readonly record struct StatusRange(int From, int To)
{
    /// <summary>Whether the status is in the range.</summary>
    public bool Contains(int status) => status >= From && status <= To;

    public override string ToString() => From == To ? $"{From}" : $"{From}-{To}";
}
