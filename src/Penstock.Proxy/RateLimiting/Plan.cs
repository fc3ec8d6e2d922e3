namespace Penstock.Proxy.RateLimiting;

/// <summary>A plan in force. Its clients refer to one compiled limit; an edit exchanges that, and then the buckets of
/// its clients one by one. Guarded by the limiter's lock for edits.</summary>
internal sealed class Plan(string name, Limit limit, long version)
{
    public string Name { get; } = name;
    public Limit Limit { get; set; } = limit;
    public long Version { get; set; } = version;
}
