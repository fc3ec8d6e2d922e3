using Penstock.Proxy.Configuration;
using Penstock.Proxy.Routing;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <content>What goes where: upstreams and routes as a whole.</content>
internal static partial class ConfigBinder
{
    /// <summary>The full form (<c>upstreams</c>, <c>routes</c>) or the flat one (<c>backends</c> and its like at the
    /// top), which stands for one upstream and a route that takes everything to it.</summary>
    private static (List<UpstreamConfig>, List<RouteConfig>) Topology(
        Section file, IReadOnlyDictionary<string, LimitConfig> limits, ValueList<string> everyLimit)
    {
        var full = FullKeys.Where(file.Has).ToList();
        var flat = FlatKeys.Select(key => file[key]).OfType<Field>().ToList();
        if (full.Count == 0 && !file.Has("backends"))
            file.At.Error("no backends", "write 'backends: [127.0.0.1:9001]', or 'upstreams'");
        if (full.Count == 0)
        {
            WarnUnlimited(file, limits, anyRouteWithoutLimit: true);
            var route = new RouteConfig { Upstream = DefaultName };
            CheckLimits(file.At, route, null, everyLimit, limits);
            return ([Upstream(DefaultName, file, [])], [route]);
        }
        foreach (var field in flat)
            field.Error($"'{field.Name}' at the top is for a single upstream; it cannot stand beside '{full[0]}'",
                "move it into an entry of 'upstreams'");
        if (flat.Count > 0)
            _ = Upstream(DefaultName, file, []); // for its errors
        return flat.Count == 0 || file.Has("upstreams") ? Full(file, limits, everyLimit) : ([], []);
    }

    private static (List<UpstreamConfig>, List<RouteConfig>) Full(
        Section file, IReadOnlyDictionary<string, LimitConfig> limits, ValueList<string> everyLimit)
    {
        var named = file.Named("upstreams");
        var upstreams = named.Select(field => NamedUpstream(field, limits)).ToList();
        var names = named.Select(field => field.Name).ToList();
        if (names.Count == 0)
            (file["upstreams"] ?? file.At).Error("no upstreams",
                "write 'upstreams: { web: { backends: [127.0.0.1:9001] } }'");

        WarnOfSharedCookies(named, upstreams);

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
        foreach (var (at, route) in routes)
            CheckLimits(at, route, upstreams.Find(u => u?.Name == route.Upstream), everyLimit, limits);
        // Only names that were given have no slash.
        ReportRepeated("route", routes.Where(route => !route.Value.Name.Contains('/')), route => route.Name);
        // A route that could not be read would make every conclusion from the routes a guess.
        if (file.At.Report.Errors == errorsBefore && routes.Count >= items.Count)
        {
            WarnShadowed(routes);
            foreach (var unused in named.Where(field => routes.All(r => r.Value.Upstream != field.Name)))
                unused.Warning($"no route uses upstream '{unused.Name}': it receives no requests");
            WarnUnlimited(file, limits, routes.Any(r => r.Value.Limits is null));
        }
        return ([.. upstreams.OfType<UpstreamConfig>()], [.. routes.Select(r => r.Value)]);
    }

    private static void WarnOfSharedCookies(IReadOnlyList<Field> named, List<UpstreamConfig?> upstreams)
    {
        var owners = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 0; i < named.Count; i++)
        {
            if (upstreams[i]?.Sticky?.CookieOf(named[i].Name) is { } cookie && !owners.TryAdd(cookie, named[i].Name))
                named[i].Warning($"upstreams '{owners[cookie]}' and '{named[i].Name}' both name their session cookie "
                    + $"'{cookie}': on one host each replaces the other's",
                    "leave 'cookie' out, then each has a name of its own");
        }
    }

    private static RouteConfig Route(Section route, IReadOnlyCollection<string> upstreams,
        IReadOnlyDictionary<string, LimitConfig> limits)
    {
        var path = route.Value<string>("path", TryRoutePath);
        return new()
        {
            Name = route.Value<string>("name", TryName)!,
            Host = route.Value<string?>("host", TryRouteHost),
            Path = path,
            Methods = Methods(route),
            Headers = Conditions(route["headers"], TryHeaderName),
            Query = Conditions(route["query"], TryParameterName),
            Upstream = route.Required("upstream", Reference("upstream", upstreams)) ?? "",
            Limits = LimitNames(route, limits),
            Cost = route.Value("cost", Whole(1, 1_000_000), 1),
            Timeouts = route.Group("timeouts", RouteTimeouts, NoRouteTimeouts),
            Retries = Off(route["retries"]) ? RetriesDefault with { Attempts = 0 }
                : route["retries"]?.Section(RouteRetries, RetriesDefault),
            Rewrite = route["rewrite"]?.Section(rewrite => Rewrite(rewrite, path)),
            RequestHeaders = route["request_headers"]?.Section(edits => HeaderEdits(edits, ofResponse: false)),
            ResponseHeaders = route["response_headers"]?.Section(edits => HeaderEdits(edits, ofResponse: true)),
        };
    }

    private static IReadOnlyList<string> Methods(Section route)
    {
        var items = route.Items("method");
        if (route["method"] is { Node: EmptyNode or SequenceNode } field && items.Count == 0)
            field.Error("'method' is empty", "write GET or [GET, HEAD], or leave it out");
        if (items.Count == 0)
            return [];
        return [.. items.Select(item => item.Parse<string>(TryMethod)).OfType<string>().Distinct()];
    }

    /// <summary>A mapping of names to values; a star is any value.</summary>
    private static IReadOnlyList<RouteCondition> Conditions(Field? field, Parser<string> name)
    {
        var named = field?.Named(name) ?? [];
        if (named.Count == 0)
            return [];
        return [.. named.Select(entry => new RouteCondition(entry.Name,
            entry.Parse<string>(TryText, "") is var value && value == "*" ? null : value))];
    }

    private static RouteTimeoutsConfig RouteTimeouts(Section timeouts) => new()
    {
        Connect = timeouts["connect"]?.Parse<TimeSpan>(TryDuration),
        Response = timeouts["response"]?.Parse<TimeSpan>(TryDuration),
    };

    private static RetryConfig RouteRetries(Section retries) => new()
    {
        Attempts = retries.Value("attempts", Whole(0, 10), RetriesDefault.Attempts),
        PerTryTimeout = retries.Value("per_try_timeout", TryDurationOrOff, RetriesDefault.PerTryTimeout),
        Statuses = [.. retries.Items("statuses").Select(item => item.Parse(Whole(400, 599), 500))],
    };

    private static RewriteConfig Rewrite(Section rewrite, string? path)
    {
        var config = new RewriteConfig
        {
            StripPrefix = rewrite.Value<string>("strip_prefix", TryPrefix),
            AddPrefix = rewrite.Value<string>("add_prefix", TryPrefix)?.TrimEnd('/'),
        };
        if (rewrite["strip_prefix"] is { } field && config.StripPrefix is { } prefix
            && path?.StartsWith(prefix, StringComparison.Ordinal) != true)
            field.Error($"the route's path does not start with {Quote(prefix)}",
                $"write path: {prefix.TrimEnd('/')}/* in the route");
        else if (!rewrite.Has("strip_prefix") && !rewrite.Has("add_prefix"))
            rewrite.At.Error("'rewrite' changes nothing", "write strip_prefix: /v1 or add_prefix: /api");
        return config;
    }

    private static HeaderEditsConfig HeaderEdits(Section edits, bool ofResponse)
    {
        var config = new HeaderEditsConfig
        {
            Set = HeaderFields(edits["set"], EditedHeader(ofResponse, isSet: true)),
            Add = HeaderFields(edits["add"], EditedHeader(ofResponse, isSet: false)),
            Remove = [.. edits.Items("remove")
                .Select(item => item.Parse(EditedHeader(ofResponse, isSet: false))).OfType<string>()],
        };
        if (config.Set.Concat(config.Add).Sum(f => f.Name.Length + f.Value.Length + 4) > RouteRules.MaxHeaderBytes)
            edits.At.Error($"more than {RouteRules.MaxHeaderBytes} bytes of header fields");
        return config;
    }

    private static List<HeaderField> HeaderFields(Field? field, Parser<string> name) =>
        [.. (field?.Named(name) ?? []).SelectMany(entry => entry.Items()
            .Select(item => item.Parse(HeaderValue(entry.Name)))).OfType<HeaderField>()];

    /// <summary>Routes for one place are compared with each other, as far as there are not thousands of them.</summary>
    private const int MostCompared = 500;

    private static void WarnShadowed(IEnumerable<(Field At, RouteConfig Value)> routes)
    {
        foreach (var place in routes.GroupBy(route => RouteOrder.Place(route.Value)))
        {
            var tried = place.Order(Comparer<(Field At, RouteConfig Value)>.Create(
                (a, b) => RouteOrder.Compare(a.Value, b.Value))).Take(MostCompared).ToList();
            for (var i = 1; i < tried.Count; i++)
            {
                var (at, route) = tried[i];
                if (tried.Take(i).FirstOrDefault(earlier => RouteOrder.Covers(earlier.Value, route)).At is { } first)
                    at.Warning($"this route never matches: the one on line {first.Place.Line} takes the same requests");
            }
        }
    }

    private static void WarnUnlimited(
        Section file, IReadOnlyDictionary<string, LimitConfig> limits, bool anyRouteWithoutLimit)
    {
        if (anyRouteWithoutLimit && !file.Has("limit") && limits.Count > 0 && !limits.ContainsKey(DefaultName))
            file["limits"]!.Warning($"no limit is named '{DefaultName}': where a route names none, "
                + "only registered clients are limited");
    }
}
