using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Routing;

/// <summary>A compiled route. Immutable.</summary>
/// <param name="Name">The name in logs and metrics.</param>
/// <param name="Limits">The limits of the route, of its upstream, and of every request.</param>
internal sealed record Route(
    RouteConfig Config, string Name, Upstream Upstream, LimitFields LimitFields, LimitRules Limits)
{
    /// <summary>Its number in counts.</summary>
    public int Number { get; init; }

    public byte[] NameBytes { get; } = Encoding.UTF8.GetBytes(Name);

    public RouteConditions Conditions { get; } = new(Config);

    /// <summary>Milliseconds; 0: use <c>timeouts.connect</c>.</summary>
    public long ConnectTimeoutMs { get; } = (long)(Config.Timeouts.Connect?.TotalMilliseconds ?? 0);

    /// <summary>Milliseconds; 0: use <c>timeouts.response</c>.</summary>
    public long ResponseTimeoutMs { get; } = (long)(Config.Timeouts.Response?.TotalMilliseconds ?? 0);

    /// <summary>Null: the path does not change.</summary>
    public PathRewrite? Rewrite { get; } = Config.Rewrite is { } rewrite ? new PathRewrite(rewrite) : null;

    public HeaderEdits? RequestEdits { get; } = HeaderEdits.Of(Config.RequestHeaders);
    public HeaderEdits? ResponseEdits { get; } = HeaderEdits.Of(Config.ResponseHeaders);
}
