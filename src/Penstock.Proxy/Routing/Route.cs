using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Routing;

/// <summary>A compiled route. Immutable.</summary>
/// <param name="Name">For logs: what the operator would call it.</param>
/// <param name="Limits">Its own, its upstream's, and those of every request.</param>
internal sealed record Route(
    RouteConfig Config, string Name, Upstream Upstream, LimitFields LimitFields, LimitRules Limits)
{
    public byte[] NameBytes { get; } = Encoding.UTF8.GetBytes(Name);

    public RouteConditions Conditions { get; } = new(Config);

    /// <summary>0: as everywhere.</summary>
    public long ConnectTimeoutMs { get; } = (long)(Config.Timeouts.Connect?.TotalMilliseconds ?? 0);

    /// <summary>0: as everywhere.</summary>
    public long ResponseTimeoutMs { get; } = (long)(Config.Timeouts.Response?.TotalMilliseconds ?? 0);

    /// <summary>Null: the path goes on as it came.</summary>
    public PathRewrite? Rewrite { get; } = Config.Rewrite is { } rewrite ? new PathRewrite(rewrite) : null;

    public HeaderEdits? RequestEdits { get; } = HeaderEdits.Of(Config.RequestHeaders);
    public HeaderEdits? ResponseEdits { get; } = HeaderEdits.Of(Config.ResponseHeaders);
}
