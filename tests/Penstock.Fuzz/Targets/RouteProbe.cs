using System.Text;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Routing;
using Penstock.Proxy.Upstreams;

namespace Penstock.Fuzz.Targets;

/// <summary>A table of routes, and the route that it finds for a request.</summary>
internal sealed class RouteProbe
{
    /// <summary>The result for a request whose path leads to different routes.</summary>
    public const string Ambiguous = "ambiguous";

    private readonly RouteTable _table;
    private readonly byte[] _scratch = new byte[16 * 1024];

    public RouteProbe(IEnumerable<RouteConfig> routes) =>
        _table = new RouteTable(routes.Select(static r => Route(r, LimitFields.Standard)));

    /// <summary>A route that changes nothing and writes such fields.</summary>
    public static Route With(LimitFields fields) => Route(new RouteConfig { Upstream = "u" }, fields);

    private static Route Route(RouteConfig route, LimitFields fields)
    {
        var backend = new BackendConfig { Host = "127.0.0.1", Port = 1 };
        var upstream = new Upstream(new UpstreamConfig { Name = "u", Backends = [backend] },
            new MonotonicClock(TimeProvider.System));
        return new Route(route, route.Name, upstream, fields, LimitRules.None);
    }

    /// <summary>The name of the route; null: none.</summary>
    public string? Match(string host, string target, string method = "GET", string fields = "")
    {
        byte[] bytes = Encoding.Latin1.GetBytes($"{method} {target} HTTP/1.0\r\nHost: {host}\r\n{fields}\r\n");
        var request = new RequestHead();
        ParseStatus status = request.Parse(bytes);
        FuzzTarget.Require(status == ParseStatus.Complete, "the request is one", $"{status} {request.Fault}: {target}");
        Random.Shared.NextBytes(_scratch);
        Route? route = _table.Match(request, bytes, _scratch, out HttpFault fault);
        FuzzTarget.Require(fault == HttpFault.None || (fault == HttpFault.PathAmbiguous && route is null),
            "a route, none, or an ambiguous path", $"{fault} {route?.Name}: {target}");
        return fault == HttpFault.None ? route?.Name : Ambiguous;
    }
}
