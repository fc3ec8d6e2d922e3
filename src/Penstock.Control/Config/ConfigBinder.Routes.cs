using Penstock.Proxy.Configuration;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <content>What goes where: upstreams and routes as a whole.</content>
internal static partial class ConfigBinder
{
    /// <summary>The full form (<c>upstreams</c>, <c>routes</c>) or the flat one (<c>backends</c> and its like at the
    /// top), which stands for one upstream and a route that takes everything to it.</summary>
    private static (List<UpstreamConfig>, List<RouteConfig>) Topology(Section file, IReadOnlyCollection<string> limits)
    {
        var full = FullKeys.Where(file.Has).ToList();
        var flat = FlatKeys.Select(key => file[key]).OfType<Field>().ToList();
        if (full.Count == 0 && !file.Has("backends"))
            file.At.Error("no backends", "write 'backends: [127.0.0.1:9001]', or 'upstreams'");
        if (full.Count == 0)
        {
            WarnUnlimited(file, limits, anyRouteWithoutLimit: true);
            return ([Upstream(DefaultName, file)], [new() { Upstream = DefaultName }]);
        }
        foreach (var field in flat)
            field.Error($"'{field.Name}' at the top is for a single upstream; it cannot stand beside '{full[0]}'",
                "move it into an entry of 'upstreams'");
        if (flat.Count > 0)
            _ = Upstream(DefaultName, file); // for its errors
        return flat.Count == 0 || file.Has("upstreams") ? Full(file, limits) : ([], []);
    }

    private static (List<UpstreamConfig>, List<RouteConfig>) Full(Section file, IReadOnlyCollection<string> limits)
    {
        var named = file.Named("upstreams");
        var upstreams = named.Select(NamedUpstream).ToList();
        var names = named.Select(field => field.Name).ToList();
        if (names.Count == 0)
            (file["upstreams"] ?? file.At).Error("no upstreams",
                "write 'upstreams: { web: { backends: [127.0.0.1:9001] } }'");

        var errorsBefore = file.At.Report.Errors;
        var items = file.Items("routes");
        var routes = items
            .Select(item => (At: item, Value: item.Section(route => Route(route, names, limits))!))
            .Where(route => route.Value is not null).ToList();
        if (items.Count == 0 && names.Count == 1)
            routes = [(file["upstreams"]!, new() { Upstream = names[0] })];
        else if (items.Count == 0 && names.Count > 1)
            file["upstreams"]!.Error($"{names.Count} upstreams but no routes",
                "write 'routes' to say which requests go where");
        // A route that could not be read would make every conclusion from the routes a guess.
        if (file.At.Report.Errors == errorsBefore && routes.Count >= items.Count)
        {
            WarnShadowed(routes);
            foreach (var unused in named.Where(field => routes.All(r => r.Value.Upstream != field.Name)))
                unused.Warning($"no route uses upstream '{unused.Name}': it receives no requests");
            WarnUnlimited(file, limits, routes.Any(r => r.Value.Limit is null));
        }
        return ([.. upstreams.OfType<UpstreamConfig>()], [.. routes.Select(r => r.Value)]);
    }

    private static RouteConfig Route(Section route, IReadOnlyCollection<string> upstreams,
        IReadOnlyCollection<string> limits) => new()
    {
        Host = route.Value<string?>("host", TryRouteHost),
        Path = route.Value<string>("path", TryRoutePath),
        Method = route.Value<string>("method", TryMethod),
        Upstream = route.Required("upstream", Reference("upstream", upstreams)) ?? "",
        Limit = route.Value("limit", Reference("limit", limits)),
    };

    private static void WarnShadowed(IEnumerable<(Field At, RouteConfig Value)> routes)
    {
        foreach (var equal in routes.GroupBy(r => (r.Value.Host, r.Value.Path ?? "/*", r.Value.Method)))
            foreach (var (at, _) in equal.Skip(1))
                at.Warning("this route never matches: "
                    + $"the one on line {equal.First().At.Place.Line} takes the same requests");
    }

    private static void WarnUnlimited(Section file, IReadOnlyCollection<string> limits, bool anyRouteWithoutLimit)
    {
        if (anyRouteWithoutLimit && limits.Count > 0 && !limits.Contains(DefaultName))
            file["limits"]!.Warning($"no limit is named '{DefaultName}': where a route names none, "
                + "only registered clients are limited");
    }
}
