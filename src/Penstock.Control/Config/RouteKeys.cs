using Penstock.Proxy.Configuration;
using Penstock.Proxy.Routing;
using static Penstock.Control.Config.ConfigValue;

namespace Penstock.Control.Config;

/// <summary>The keys of routes.</summary>
internal static class RouteKeys
{
    private static readonly Keys<RouteTimeoutsConfig> Timeouts = new Keys<RouteTimeoutsConfig>("route_timeouts", new())
        .Key("connect", new Optional<TimeSpan>(Duration), timeouts => timeouts.Connect,
            (timeouts, v) => timeouts with { Connect = v }, "How long connecting to a backend may take.")
        .DefaultText("`timeouts.connect`")
        .Key("response", new Optional<TimeSpan>(Duration), timeouts => timeouts.Response,
            (timeouts, v) => timeouts with { Response = v },
            "The time between two bytes of progress while a request or response is in progress.")
        .DefaultText("`timeouts.response`");

    private static readonly Keys<RewriteConfig> Rewrite = new Keys<RewriteConfig>("rewrite", new())
        .Key("strip_prefix", Prefix, rewrite => rewrite.StripPrefix!,
            (rewrite, v) => rewrite with { StripPrefix = v },
            "Removed from the start of the path; the route's `path` must start with it.")
        .DefaultText("nothing")
        .Key("add_prefix", Prefix, rewrite => rewrite.AddPrefix!,
            (rewrite, v) => rewrite with { AddPrefix = v?.TrimEnd('/') },
            "Added at the start of the path, after `strip_prefix`.")
        .DefaultText("nothing")
        .WithSchema("""{ "minProperties": 1 }""");

    public static readonly Keys<RouteConfig> Table = new Keys<RouteConfig>("route", new() { Upstream = "" })
        .Key("name", Name, static _ => null!, (route, v) => route with { Name = v },
            "The route's name in the access log and the admin API.", "Name")
        .DefaultText("the route's conditions, such as `GET api.example.com/v1/*`")
        .Key("host", RouteHost, route => route.Host, (route, v) => route with { Host = v },
            "An exact name, `*.` and a name for all its subdomains, or `*` for any; without a port, case-insensitive.")
        .DefaultText("any")
        .AlsoCalled("host: api.example.com", "hosts", "hostname", "domain", "domains", "server_name",
            "virtual_host")
        .Key("path", RoutePath, route => route.Path!, (route, v) => route with { Path = v },
            "An exact path, or a prefix that ends in `*`; `/v1/*` also matches `/v1`. Case-sensitive.")
        .DefaultText("any")
        .AlsoCalled("path: /v1/*", "prefix", "path_prefix", "match", "location", "uri", "url", "paths", "rule",
            "pattern", "path_beg")
        .Key("method", new ListShape<string>(Method)
        {
            Empty = ("'method' is empty", "write GET or [GET, HEAD], or leave it out"),
        }, route => route.Methods, (route, v) => route with { Methods = [.. v.Distinct()] },
            "The methods that the route matches.")
        .DefaultText("any")
        .AlsoCalled("method: [GET, HEAD]", "methods", "verb", "verbs", "http_method")
        .Key("headers", Conditions(TryHeaderName), static _ => [],
            (route, v) => route with { Headers = [.. v.Select(static c => c.Value)] },
            "Header fields that the request must have: `{ X-Version: \"2\", X-Debug: \"*\" }`; the exact value, or `*` "
                + "for any.", "Headers")
        .DefaultText("none")
        .Key("query", Conditions(TryParameterName), static _ => [],
            (route, v) => route with { Query = [.. v.Select(static c => c.Value)] },
            "Parameters that the query must have: `{ preview: \"1\" }`; the exact value, or `*` for any.", "Query")
        .DefaultText("none")
        .Key("upstream", new Reference("upstream"), route => route.Upstream, (route, v) => route with { Upstream = v },
            "The upstream that gets its requests.")
        .Required()
        .AlsoCalled("upstream: NAME", "backend", "backends", "service", "cluster", "cluster_id", "proxy_pass", "to",
            "target", "use_backend", "pool", "dest", "destination")
        .Key("limit", LimitKeys.Names, route => route.Limits!,
            (route, v) => route with { Limits = [.. v.Distinct()] },
            "[Limits](#limits) that apply to its requests. The first that counts by client is replaced by a client's "
                + "own limit, if it has one. `off`: no limit applies, not even the own limit of a client.")
        .DefaultText("the limit named `default`")
        .AlsoCalled("limit: NAME", "limits", "rate_limit", "limit_req", "middlewares", "plugins")
        .Key("cost", Whole(1, 1_000_000), route => route.Cost, (route, v) => route with { Cost = v },
            "Tokens that a request takes from each bucket.")
        .Group("timeouts", new Mapping<RouteTimeoutsConfig>(Timeouts), route => route.Timeouts,
            (route, v) => route with { Timeouts = v }, "Other [timeouts](#timeouts) for this route.")
        .DefaultText("the general `timeouts`")
        .Group("retries", UpstreamKeys.RouteRetries, route => route.Retries, (route, v) => route with { Retries = v },
            "Replaces the upstream's `retries`, but all routes share the upstream's budget.")
        .DefaultText("the upstream's")
        .Group("rewrite", new Mapping<RewriteConfig?>(Rewrite!), route => route.Rewrite,
            (route, v) => route with { Rewrite = v }, "Changes the path that the backend gets.", CheckRewrite)
        .DefaultText("none")
        .AlsoCalled("rewrite: { strip_prefix: /v1 }", "strip_prefix", "strip_path", "rewrite_path", "path_rewrite",
            "replace_path", "add_prefix")
        .Group("request_headers", new Mapping<HeaderEditsConfig?>(HeaderEdits(ofResponse: false)!),
            route => route.RequestHeaders, (route, v) => route with { RequestHeaders = v },
            "Changes the request's header fields.")
        .DefaultText("none")
        .Group("response_headers", new Mapping<HeaderEditsConfig?>(HeaderEdits(ofResponse: true)!),
            route => route.ResponseHeaders, (route, v) => route with { ResponseHeaders = v },
            "Changes the header fields of backends' responses.")
        .DefaultText("none");

    /// <summary>Header fields by name; a name may have several values.</summary>
    public static NamedShape<IReadOnlyList<HeaderField>> Fields(
        Parser<string> name, Func<string, Parser<HeaderField>> value) => new(entry =>
            [.. Hidden(entry).Items().Select(item => item.Parse(value(entry.Name))).OfType<HeaderField>()])
        {
            Name = name,
            Schema = HealthKeys.NamesOf(SchemaPart.AnyOf(SchemaPart.Scalar,
                $$"""{ "type": "array", "items": {{SchemaPart.Scalar}} }""")),
            Text = "`NAME: value`, or a list of values",
            Samples = ["{ X-A: a }", "{ X-B: [b, c] }"],
        };

    /// <summary>Hides the values of a field that usually holds a credential.</summary>
    private static ConfigField Hidden(ConfigField field)
    {
        if (!Secrets.IsSecretName(field.Name))
        {
            return field;
        }
        field.Report.Hide(field.Node);
        return field with { HoldsSecret = true };
    }

    private static Keys<HeaderEditsConfig> HeaderEdits(bool ofResponse) =>
        new Keys<HeaderEditsConfig>("header_edits", new())
            .Key("set", Fields(EditedHeader(ofResponse, isSet: true), HeaderValue), static _ => [],
                (edits, v) => edits with { Set = [.. v.SelectMany(static f => f.Value)] },
                "Replaces all fields of that name.", "Set")
            .DefaultText("none")
            .Key("add", Fields(EditedHeader(ofResponse, isSet: false), HeaderValue), static _ => [],
                (edits, v) => edits with { Add = [.. v.SelectMany(static f => f.Value)] },
                "Adds a field to those of that name; a list of values adds several.", "Add")
            .DefaultText("none")
            .Key("remove", new ListShape<string>(new Syntax<string>(EditedHeader(ofResponse, isSet: false))
            {
                Schema = SchemaPart.String, Text = "name", Samples = ["Cookie", "Server"],
            }), edits => edits.Remove, (edits, v) => edits with { Remove = v }, "Names of fields to remove.")
            .DefaultText("none")
            .Finally(static (section, edits) =>
            {
                if (edits.Set.Concat(edits.Add).Sum(static f => f.Name.Length + f.Value.Length + 4)
                    > RouteRules.MaxHeaderBytes)
                {
                    section.At.Error($"more than {RouteRules.MaxHeaderBytes} bytes of header fields");
                }
            });

    /// <summary>A mapping of names to values; <c>*</c> matches any value.</summary>
    private static NamedShape<RouteCondition> Conditions(Parser<string> name) => new(static entry =>
        new(entry.Name, entry.Parse(Text.Parse, "") is var value && value == "*" ? null : value))
    {
        Name = name,
        Schema = HealthKeys.NamesOf(SchemaPart.Scalar),
        Text = "`NAME: value`",
        Samples = ["{ X: a }", "{ X: \"*\" }"],
    };

    private static void CheckRewrite(Section section, RewriteConfig? rewrite, RouteConfig route)
    {
        if (section["strip_prefix"] is { } field && rewrite?.StripPrefix is { } prefix
            && route.Path?.StartsWith(prefix, StringComparison.Ordinal) != true)
        {
            field.Error($"the route's path does not start with {Quote(prefix)}",
                $"write path: {prefix.TrimEnd('/')}/* in the route");
        }
        else if (!section.Has("strip_prefix") && !section.Has("add_prefix"))
        {
            section.At.Error("'rewrite' changes nothing", "write strip_prefix: /v1 or add_prefix: /api");
        }
    }
}
