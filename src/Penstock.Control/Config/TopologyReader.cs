using Penstock.Proxy.Configuration;
using Penstock.Proxy.Routing;

namespace Penstock.Control.Config;

/// <summary>Reads upstreams and routes, in the full form (<c>upstreams</c>, <c>routes</c>) or in the short form
/// (<c>backends</c> and other keys at the top), which means one upstream and one route for all requests.</summary>
internal static class TopologyReader
{
    private const string DefaultName = "default";

    /// <summary>How many routes with the same host and path are compared with each other at most.</summary>
    private const int MaxCompared = 500;

    private const string Upstreams = "upstreams";

    private static readonly string[] FullKeys = [Upstreams, "routes"];

    public static PenstockConfig Read(Section file, PenstockConfig config)
    {
        ProxyConfig proxy = config.Proxy;
        List<string> full = [.. FullKeys.Where(file.Has)];
        List<ConfigField> flat = [.. UpstreamKeys.Flat.Rows.Select(row => file[row.Name]).OfType<ConfigField>()];
        if (full.Count == 0 && !file.Has("backends"))
        {
            file.At.Error("no backends", "write 'backends: [127.0.0.1:9001]', or 'upstreams'");
        }
        if (full.Count == 0)
        {
            WarnUnlimited(file, proxy, anyRouteWithoutLimit: true);
            var route = new RouteConfig { Upstream = DefaultName };
            CheckLimits(file.At, route, null, proxy);
            return config with { Proxy = proxy with { Upstreams = [Flat(file)], Routes = [route] } };
        }
        foreach (ConfigField field in flat)
        {
            field.Error($"'{field.Name}' at the top is for a single upstream; it cannot be used with '{full[0]}'",
                "move it into an entry of 'upstreams'");
        }
        if (flat.Count > 0)
        {
            _ = Flat(file); // only to report its errors
        }
        return flat.Count == 0 || file.Has(Upstreams) ? config with { Proxy = Full(file, proxy) } : config;
    }

    /// <summary>The same file with a mapping for each list in <c>upstreams</c>, which means the backends. Call it
    /// before files are joined, because one of them may have a mapping.</summary>
    public static ConfigNode WithoutShortForm(ConfigNode file)
    {
        return Changed(file, static entry => Suggestion.Fold(entry.Key) != Upstreams ? entry.Value
            : Changed(entry.Value, static upstream => upstream.Value is SequenceNode list
                ? new MappingNode(list.Location, [new("backends", list.Location, list)]) : upstream.Value));

        static ConfigNode Changed(ConfigNode node, Func<ConfigEntry, ConfigNode> change) => node is not MappingNode map
            ? node : map with { Entries = [.. map.Entries.Select(entry => entry with { Value = change(entry) })] };
    }

    /// <summary>Reads an entry of <c>upstreams</c>; null if it is not valid.</summary>
    public static UpstreamConfig? Named(ConfigField field) => field.Section(section =>
        UpstreamKeys.Table.Read(section, UpstreamKeys.Table.Default with { Name = field.Name }),
        hint: $"write {field.Name}: {{ backends: [http://10.0.0.5:8080] }}");

    private static UpstreamConfig Flat(Section file) =>
        UpstreamKeys.Flat.Read(file, UpstreamKeys.Flat.Default with { Name = DefaultName });

    private static ProxyConfig Full(Section file, ProxyConfig proxy)
    {
        IReadOnlyList<ConfigField> named = file["upstreams"]?.Named() ?? [];
        List<UpstreamConfig?> upstreams = [.. named.Select(Named)];
        file.At.Report.Define("upstream", [.. named.Select(static field => field.Name)]);
        if (named.Count == 0)
        {
            (file["upstreams"] ?? file.At).Error("no upstreams",
                "write 'upstreams: { web: { backends: [127.0.0.1:9001] } }'");
        }
        WarnOfSharedCookies(named, upstreams);

        int errorsBefore = file.At.Report.Errors;
        IReadOnlyList<ConfigField> items = file["routes"]?.Items() ?? [];
        List<(ConfigField At, RouteConfig Value)> routes = [.. items
            .Select(static item => (At: item, Value: item.Section(
                static section => RouteKeys.Table.Read(section, RouteKeys.Table.Default),
                hint: "write { path: /v1/*, upstream: NAME }")!))
            .Where(static route => route.Value is not null)];
        if (items.Count == 0 && named.Count == 1)
        {
            routes = [(file["upstreams"]!, new() { Upstream = named[0].Name })];
        }
        else if (items.Count == 0 && named.Count > 1)
        {
            file["upstreams"]!.Error($"{named.Count} upstreams but no routes",
                "write 'routes' to say which requests go where");
        }
        foreach ((ConfigField at, RouteConfig route) in routes)
        {
            CheckLimits(at, route, upstreams.Find(u => u?.Name == route.Upstream), proxy);
        }
        // Default names of routes contain a slash; only given names may be duplicates.
        Repeated.Report("route", routes.Where(static route => !route.Value.Name.Contains('/'))
            .Select(static route => (route.At, (RouteConfig?)route.Value)), static route => route.Name);
        // If a route could not be read, nothing can be concluded from the other routes.
        if (file.At.Report.Errors == errorsBefore && routes.Count >= items.Count)
        {
            WarnShadowed(routes);
            foreach (ConfigField unused in named.Where(field => routes.All(r => r.Value.Upstream != field.Name)))
            {
                unused.Warning($"no route uses upstream '{unused.Name}': it receives no requests",
                    $"add a route with upstream: {unused.Name}, or remove the upstream");
            }
            WarnUnlimited(file, proxy, routes.Any(static r => r.Value.Limits is null));
        }
        return proxy with
        {
            Upstreams = [.. upstreams.OfType<UpstreamConfig>()],
            Routes = [.. routes.Select(static r => r.Value)],
        };
    }

    private static void CheckLimits(ConfigField at, RouteConfig route, UpstreamConfig? upstream, ProxyConfig proxy)
    {
        List<string> names = [.. (route.Limits ?? [DefaultName]).Concat(upstream?.Limits ?? []).Concat(proxy.EveryLimit)
            .Where(proxy.Limits.ContainsKey).Distinct()];
        if (names.Count > LimitConfig.MaxPerRequest)
        {
            at.Error($"{names.Count} limits apply to one route, including those of its upstream and of every request; "
                + $"at most {LimitConfig.MaxPerRequest} are allowed");
        }
        foreach (string name in names)
        {
            long capacity = proxy.Limits[name].Capacity;
            if (capacity > 0 && capacity < route.Cost)
            {
                at.Error($"cost {route.Cost} is more than the capacity {capacity} of limit '{name}': "
                    + "no request would ever be admitted", "raise the capacity or lower the cost");
            }
        }
    }

    private static void WarnOfSharedCookies(IReadOnlyList<ConfigField> named, List<UpstreamConfig?> upstreams)
    {
        var owners = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int i = 0; i < named.Count; i++)
        {
            if (upstreams[i]?.Sticky?.CookieOf(named[i].Name) is { } cookie && !owners.TryAdd(cookie, named[i].Name))
            {
                named[i].Warning($"upstreams '{owners[cookie]}' and '{named[i].Name}' both name their session cookie "
                    + $"'{cookie}': on one host each replaces the other's",
                    "leave 'cookie' out; then each has a different name");
            }
        }
    }

    private static void WarnShadowed(IEnumerable<(ConfigField At, RouteConfig Value)> routes)
    {
        foreach (IGrouping<(string, string), (ConfigField At, RouteConfig Value)> place in routes.GroupBy(
            static route => RouteOrder.ScopeOf(route.Value)))
        {
            var order = Comparer<(ConfigField At, RouteConfig Value)>.Create(
                static (a, b) => RouteOrder.Compare(a.Value, b.Value));
            List<(ConfigField At, RouteConfig Value)> tried = [.. place.Order(order).Take(MaxCompared)];
            for (int i = 1; i < tried.Count; i++)
            {
                (ConfigField at, RouteConfig route) = tried[i];
                if (tried.Take(i).FirstOrDefault(earlier => RouteOrder.Covers(earlier.Value, route)).At is { } first)
                {
                    at.Warning(
                        $"this route never matches: the one {first.Location.SeenFrom(at.Location)} takes the same "
                        + "requests", "remove one of the two");
                }
            }
        }
    }

    private static void WarnUnlimited(Section file, ProxyConfig proxy, bool anyRouteWithoutLimit)
    {
        if (anyRouteWithoutLimit && !file.Has("limit") && proxy.Limits.Count > 0
            && !proxy.Limits.ContainsKey(DefaultName))
        {
            file["limits"]!.Warning($"no limit is named '{DefaultName}': where a route names none, "
                + "only registered clients are limited", "name one of them default, or name limits in the routes");
        }
    }
}
