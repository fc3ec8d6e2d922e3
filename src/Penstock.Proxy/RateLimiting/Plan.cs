namespace Penstock.Proxy.RateLimiting;

/// <summary>A plan in force. Its clients share one compiled limit. An edit replaces it, and then the buckets of its
/// clients one by one. The limiter's lock for edits guards it.</summary>
internal sealed class Plan(string name, Limit limit, long version)
{
    public string Name { get; } = name;
    public Limit Limit { get; set; } = limit;
    public long Version { get; set; } = version;
}
