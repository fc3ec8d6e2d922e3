using Penstock.Proxy.Routing;

namespace Penstock.Control.Conversions;

/// <summary>The locations of nginx, which are routes.</summary>
internal sealed class NginxLocations(
    Conversion conversion, NginxSettings settings, NginxUpstreams upstreams, NginxLimits limits)
{
    private readonly Dictionary<(string Host, string Path), (DraftMap Route, int Line)> _made = [];
    private bool _hostTold;

    /// <summary>True if a route takes every request for this host that no other route of the host takes.</summary>
    public bool HasEveryPath(string host) => _made.ContainsKey((host, ""));

    /// <summary>What the <c>proxy_set_header</c> of a block do; those of the block around it if it has none.</summary>
    public DraftMap FieldsOf(IReadOnlyList<NginxDirective> block, DraftMap inherited)
    {
        List<NginxDirective> own = [.. block.Where(static d => d.Name == "proxy_set_header")];
        if (own.Count == 0)
        {
            return inherited;
        }
        var edits = new DraftMap();
        own.ForEach(directive => SetHeader(directive, edits));
        return edits;
    }

    /// <param name="hosts">The hosts of the routes; null is any.</param>
    /// <param name="inherited">The header fields that the server sets.</param>
    public void Add(
        NginxDirective location, IReadOnlyList<string?> hosts, NginxLimits.Scope scope, DraftMap inherited)
    {
        bool exact = location.Word(0) == "=";
        string path = location.Words.Count == 0 ? "" : location.Words[^1];
        if (location.Word(0) is "~" or "~*" || !path.StartsWith('/'))
        {
            conversion.Leave(location.Line, location.Text, "a path is exact or a prefix; write it as one of these");
            return;
        }
        NginxDirective? pass = null;
        var timeouts = new DraftMap();
        foreach (NginxDirective directive in location.Block!)
        {
            if (directive.Name == "proxy_pass")
            {
                pass = directive;
            }
            else if (directive.Name != "proxy_set_header" && !limits.TryUse(directive, ref scope))
            {
                settings.AddTo(directive, timeouts);
            }
        }
        if (pass is null)
        {
            conversion.Leave(location.Line, location.Text, "it has no proxy_pass, and Penstock serves no files");
            return;
        }
        DraftMap edits = FieldsOf(location.Block!, inherited);
        if (hosts.Count == 0 || upstreams.Find(pass) is not { } target)
        {
            return;
        }
        if (target.IsGroup && edits["host"] is null && !_hostTold)
        {
            _hostTold = true;
            conversion.Leave(pass.Line, pass.Text, "nginx sends the upstream's name as Host, Penstock the client's "
                + "Host; 'request_headers: { set: { Host: NAME } }' of a route sets another");
        }
        var route = new DraftMap();
        AddPath(location, path, exact, pass, target.Uri, route);
        route.Set("upstream", target.Upstream);
        if (scope.Names.Count > 0)
        {
            route.Set("limit", scope.Names.Count == 1 ? scope.Names[0] : scope.Names.ToList<object>());
        }
        AddRewrite(path, target.Uri, route);
        route.Set("timeouts", timeouts.IsEmpty ? null : timeouts);
        AddRoutes(location, hosts, route.Set("request_headers", WithHost(edits, target.Host)));
    }

    private void AddPath(
        NginxDirective location, string path, bool exact, NginxDirective pass, string uri, DraftMap route)
    {
        string prefix = path.TrimEnd('/');
        bool isSegments = path.EndsWith('/') || uri.Length > 0;
        route.Set("path", exact ? path : prefix.Length == 0 ? null : prefix + (isSegments ? "/*" : "*"));
        if (!exact && isSegments && !path.EndsWith('/'))
        {
            conversion.Leave(location.Line, location.Text,
                $"it also matches {path}xyz; the route has {path} and {path}/*");
        }
        if (!exact && path.EndsWith('/') && uri.Length > 0 && !uri.EndsWith('/'))
        {
            conversion.Leave(pass.Line, pass.Text, $"nginx makes {uri}xyz of {path}xyz; the route makes {uri}/xyz");
        }
    }

    private static void AddRewrite(string path, string uri, DraftMap route)
    {
        DraftMap rewrite = new DraftMap().Set("strip_prefix", path.TrimEnd('/') is { Length: > 0 } cut ? cut : null)
            .Set("add_prefix", uri.TrimEnd('/') is { Length: > 0 } added ? added : null);
        bool changes = uri.Length > 0 && !rewrite.IsEmpty && path.TrimEnd('/') != uri.TrimEnd('/');
        route.Set("rewrite", changes ? rewrite : null);
    }

    /// <summary>nginx sends the host of the <c>proxy_pass</c> unless it is told another; Penstock that of the client.
    /// </summary>
    private static DraftMap? WithHost(DraftMap edits, string? host)
    {
        bool isSaid = edits["host"] is not null;
        var all = new DraftMap();
        if (edits["set"] is DraftMap set)
        {
            set.Entries.ToList().ForEach(entry => all.Map("set").Set(entry.Key, entry.Value));
        }
        if (host is not null && !isSaid)
        {
            all.Map("set").Set("Host", host);
        }
        all.Set("remove", edits["remove"]);
        return all.IsEmpty ? null : all;
    }

    private void AddRoutes(NginxDirective location, IReadOnlyList<string?> hosts, DraftMap made)
    {
        var known = new SortedDictionary<int, List<string>>();
        foreach (string? host in hosts)
        {
            DraftMap route = new DraftMap().Set("host", host);
            made.Entries.ToList().ForEach(entry => route.Set(entry.Key, entry.Value));
            (string, string) key = (host ?? "", (string?)made["path"] ?? "");
            if (_made.TryAdd(key, (route, location.Line)))
            {
                conversion.Root.List("routes").Add(route);
            }
            else if (DraftText.Line(_made[key].Route) != DraftText.Line(route))
            {
                int line = _made[key].Line;
                known[line] = [.. known.GetValueOrDefault(line) ?? [], host ?? "any other host"];
            }
        }
        foreach ((int line, List<string> names) in known)
        {
            conversion.Leave(location.Line, location.Text, $"line {line} has made another route for the same path of "
                + $"{string.Join(", ", names)}, and routes are the same on all listeners");
        }
    }

    /// <summary>A fixed value is set, an empty one removes the field. What nginx takes from the request, Penstock sends
    /// by itself or not at all.</summary>
    private void SetHeader(NginxDirective directive, DraftMap edits)
    {
        (string name, string value) = (directive.Word(0), directive.Word(1));
        bool isHost = name.Equals("Host", StringComparison.OrdinalIgnoreCase);
        if (isHost && value != "$proxy_host")
        {
            edits.Set("host", "said");
        }
        if (!value.Contains('$', StringComparison.Ordinal)
            && RouteRules.HeaderNameFault(name, ofResponse: false, isSet: value.Length > 0) is null)
        {
            if (value.Length > 0)
            {
                edits.Map("set").Set(name, value);
            }
            else
            {
                edits.List("remove").Add(name);
            }
            return;
        }
        if (isHost && value == "$proxy_host")
        {
            return; // as without it
        }
        bool isSent = name.ToUpperInvariant() is "CONNECTION" or "UPGRADE" or "X-FORWARDED-FOR" or "X-FORWARDED-PROTO"
            or "X-FORWARDED-HOST" or "X-REQUEST-ID"
            || (isHost && value is "$host" or "$http_host" or "$host:$server_port");
        conversion.Leave(directive.Line, directive.Text, isSent
            ? "not needed: backends get the client's Host and Upgrade, X-Forwarded-For, -Host and -Proto, and "
                + "X-Request-Id"
            : value is "$remote_addr" or "$realip_remote_addr" or "$proxy_add_x_forwarded_for"
                ? $"backends get the client's address in X-Forwarded-For; a route sets {name} only to a fixed value"
            : $"a route sets {name} only to a fixed value, without variables: see 'request_headers'");
    }
}
