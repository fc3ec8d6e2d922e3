namespace Penstock.Proxy.Configuration;

/// <summary>Active health check of every backend of an upstream. Compares by value, so that a reload can tell whether
/// the checks of a backend have to change.</summary>
public sealed record HealthCheckConfig
{
    /// <summary>Request target of an HTTP check; null for a plain TCP connect.</summary>
    /// <value>Key <c>health_check.path</c>: path; required for http.</value>
    public string? Path { get; init; }

    /// <summary>Method of an HTTP check.</summary>
    /// <value>Key <c>health_check.method</c>: method; default: GET.</value>
    public string Method { get; init; } = "GET";

    /// <summary>Sent with an HTTP check, beside or instead of <c>Host</c> and <c>User-Agent</c>.</summary>
    /// <value>Key <c>health_check.headers</c>: <c>NAME: value</c>; default: <c>Host</c>: the backend's address.</value>
    public ValueList<CheckField> Fields { get; init; } = [];

    /// <summary>The statuses of a backend that is well.</summary>
    /// <value>Key <c>health_check_expect.status</c>: <c>204</c>, <c>200-299</c> or <c>2xx</c>, from 200 to 599, or a
    /// list; default: 200-399.</value>
    public ValueList<StatusRange> ExpectStatus { get; init; } = [new(200, 399)];

    /// <summary>Text that the body of the response has to contain within its first 64 KiB; null: it is not
    /// read.</summary>
    /// <value>Key <c>health_check_expect.body</c>: text; default: the body is not read.</value>
    public string? ExpectBody { get; init; }

    /// <summary>From the start of one check to the start of the next.</summary>
    /// <value>Key <c>health_check.interval</c>: duration; default: 2s.</value>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Instead of <see cref="Interval"/> while the backend is down, and while a streak that would change its
    /// health is under way (HAProxy's <c>downinter</c> and <c>fastinter</c> in one); null: half of it.</summary>
    /// <value>Key <c>health_check.fast_interval</c>: duration; default: half of <c>interval</c>.</value>
    public TimeSpan? FastInterval { get; init; }

    /// <summary>For a whole check: connect, head and, if it is looked at, body.</summary>
    /// <value>Key <c>health_check.timeout</c>: duration; default: 1s.</value>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Successful checks in a row that bring a backend up (HAProxy's default, 2).</summary>
    /// <value>Key <c>health_check.rise</c>: 1 to 1,000; default: 2.</value>
    public int Rise { get; init; } = 2;

    /// <summary>Failed checks in a row that take a backend down (HAProxy's default, 3).</summary>
    /// <value>Key <c>health_check.fall</c>: 1 to 1,000; default: 3.</value>
    public int Fall { get; init; } = 3;

    /// <summary>What is assumed before the first check.</summary>
    /// <value>Key <c>health_check.initial</c>: <c>check</c>, <c>up</c> or <c>down</c>; default: check.</value>
    public InitialHealth Initial { get; init; } = InitialHealth.Check;
}

/// <summary>What is assumed of a backend until its checks have said something.</summary>
public enum InitialHealth
{
    /// <summary>It may be used; the first check decides at once, whatever it says.</summary>
    Check,

    /// <summary>Up, as if checks had said so.</summary>
    Up,

    /// <summary>Down, as if checks had said so.</summary>
    Down,
}

/// <summary>A header field of a check's request.</summary>
public readonly record struct CheckField(string Name, string Value);

/// <summary>Both ends belong to it.</summary>
public readonly record struct StatusRange(int From, int To)
{
    /// <summary>The status belongs to it.</summary>
    public bool Contains(int status) => status >= From && status <= To;

    public override string ToString() => From == To ? $"{From}" : $"{From}-{To}";
}
