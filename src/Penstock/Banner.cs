using Penstock.Proxy;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Penstock.Control;
using Penstock.Control.Store;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;

namespace Penstock;

/// <summary>At most ten lines at start: addresses, upstreams and limits.</summary>
internal static class Banner
{
    private const int UpstreamLines = 3;
    private const int BackendsNamed = 4;

    public static void Write(PenstockHost host, Terminal terminal)
    {
        TextWriter output = terminal.Out;
        void Line(string label, string text) => output.WriteLine($"  {terminal.Faint(label.PadRight(9))} {text}");

        IReadOnlyList<string> urls = host.Proxy.Urls;
        output.WriteLine(terminal.Strong("Penstock " + ProductVersion.Short));
        Line("listen", terminal.Strong(string.Join("  ", urls)));
        IReadOnlyList<UpstreamStatus> upstreams = host.Proxy.Upstreams();
        foreach (UpstreamStatus upstream in upstreams.Take(UpstreamLines))
        {
            Line("upstream", UpstreamText(upstream));
        }

        if (upstreams.Count > UpstreamLines)
        {
            Line("", $"and {Counted.Of(upstreams.Count - UpstreamLines, "more upstream")}");
        }

        Line("limit", LimitText(host.Config.Proxy));
        Line("clients", $"{host.Proxy.Limiter.Clients.Count} registered, kept in "
            + ClientStores.NameOf(host.Config.Store));
        Line("admin", host.AdminUrl switch
        {
            null => "off",
            { Scheme: "http" } admin =>
                $"{admin.ToString().TrimEnd('/')}  dashboard; API at {new Uri(admin, "docs")}",
            var socket => socket.OriginalString,
        });
        if (urls.FirstOrDefault(url => url.StartsWith("http", StringComparison.Ordinal)) is { } url)
        {
            Line("try", "curl -i " + url.Replace("//0.0.0.0:", "//localhost:").Replace("//[::]:", "//localhost:"));
        }

        output.WriteLine("Ctrl+C to stop");
        output.Flush();
    }

    /// <summary>The rate in a unit in which the number is at least 1: 0.5/s is 30/m.</summary>
    public static string RateText(double perSecond) =>
        perSecond >= 1 ? $"{perSecond:0.###}/s"
        : perSecond * 60 >= 1 ? $"{perSecond * 60:0.###}/m"
        : perSecond * 3600 >= 1 ? $"{perSecond * 3600:0.###}/h"
        : $"{perSecond * 86400:0.###}/d";

    private static string UpstreamText(UpstreamStatus upstream)
    {
        IReadOnlyList<BackendStatus> backends = upstream.Backends;
        IEnumerable<string> named = backends.Take(BackendsNamed)
            .Select(b => b.Health == BackendHealth.Down ? $"{b.Address} (down: {b.Cause})" : b.Address);
        string balance = JsonNamingPolicy.SnakeCaseLower.ConvertName(upstream.Balance.ToString());
        string rest = backends.Count > BackendsNamed ? $" and {backends.Count - BackendsNamed} more" : "";
        return $"{upstream.Name}: {balance} over {string.Join(", ", named)}{rest}";
    }

    private static string LimitText(ProxyConfig proxy)
    {
        if (!proxy.Limits.TryGetValue("default", out LimitConfig? limit))
        {
            return "none by default; registered clients have their own";
        }

        string others = proxy.Limits.Count > 1 ? $" (and {Counted.Of(proxy.Limits.Count - 1, "more limit")})" : "";
        return $"{Counted.Of(limit.Capacity, "request")} at once, then {RateText(limit.RatePerSecond)}, per "
            + string.Join(" or ", proxy.Clients.Identify) + others;
    }
}
