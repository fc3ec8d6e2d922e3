namespace Penstock.Proxy.Configuration;

/// <summary>Active health check of every backend of an upstream. Compares by value, so that a reload can tell whether
/// the checks of a backend have to change.</summary>
public sealed record HealthCheckConfig
{
    /// <summary>Request target of an HTTP check; null for a plain TCP connect.</summary>
    public string? Path { get; init; }

    public string Method { get; init; } = "GET";

    /// <summary>Sent with an HTTP check, beside or instead of <c>Host</c> and <c>User-Agent</c>.</summary>
    public ValueList<CheckField> Fields { get; init; } = [];

    /// <summary>The statuses of a backend that is well.</summary>
    public ValueList<StatusRange> ExpectStatus { get; init; } = [new(200, 399)];

    /// <summary>Text that the body of the response has to contain within its first 64 KiB; null: it is not
    /// read.</summary>
    public string? ExpectBody { get; init; }

    /// <summary>From the start of one check to the start of the next.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Instead of <see cref="Interval"/> while the backend is down, and while a streak that would change its
    /// health is under way (HAProxy's <c>downinter</c> and <c>fastinter</c> in one); null: half of it.</summary>
    public TimeSpan? FastInterval { get; init; }

    /// <summary>For a whole check: connect, head and, if it is looked at, body.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Successful checks in a row that bring a backend up (HAProxy's default, 2).</summary>
    public int Rise { get; init; } = 2;

    /// <summary>Failed checks in a row that take a backend down (HAProxy's default, 3).</summary>
    public int Fall { get; init; } = 3;

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
    public bool Contains(int status) => status >= From && status <= To;

    public override string ToString() => From == To ? $"{From}" : $"{From}-{To}";
}
