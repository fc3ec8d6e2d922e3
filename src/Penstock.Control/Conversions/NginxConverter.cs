using System.Globalization;

namespace Penstock.Control.Conversions;

/// <summary>Converts <c>upstream</c>, <c>server</c>, <c>location</c>, <c>limit_req</c> and <c>limit_conn</c> of nginx.
/// Follows https://nginx.org/en/docs/http/ (ngx_http_upstream_module, ngx_http_limit_req_module and others).</summary>
internal sealed class NginxConverter
{
    /// <summary>Directives whose effect Penstock has without being told.</summary>
    private static readonly Dictionary<string, string> NotNeeded = new(StringComparer.Ordinal)
    {
        ["keepalive"] = "connections to backends are always kept",
        ["keepalive_requests"] = "connections to backends are always kept",
        ["proxy_http_version"] = "backends always get HTTP/1.1",
        ["zone"] = "loops always share what they know about backends",
        ["limit_req_status"] = "rejected requests get 429",
        ["limit_conn_status"] = "rejected requests get 429",
        ["worker_processes"] = "there is one loop for each processor; see 'loops'",
        ["worker_connections"] = "see 'bounds.connections'",
        ["include"] = "convert that file too",
        ["proxy_next_upstream"] = "see 'retries' of the upstream",
        ["proxy_next_upstream_tries"] = "see 'retries.attempts' of the upstream",
        ["ssl_certificate"] = "it belongs to a listener; see 'listen[].tls'",
        ["ssl_certificate_key"] = "it belongs to a listener; see 'listen[].tls'",
    };

    private readonly Conversion _conversion;
    private readonly NginxUpstreams _upstreams;
    private readonly NginxLimits _limits;

    private NginxConverter(Conversion conversion)
    {
        _conversion = conversion;
        _upstreams = new(conversion);
        _limits = new(conversion);
    }

    /// <param name="fault">Where and why the text is not a file of nginx.</param>
    public static void Convert(string text, Conversion conversion, out (int Line, string Why)? fault)
    {
        IReadOnlyList<NginxDirective> root = NginxFile.Parse(text, out fault);
        if (fault is null)
        {
            new NginxConverter(conversion).Convert(root);
        }
    }

    private void Convert(IReadOnlyList<NginxDirective> root)
    {
        List<NginxDirective> all = [.. root.SelectMany(static directive =>
            directive is { Name: "http", Block: { } block } ? block : [directive])];
        foreach (NginxDirective upstream in all.Where(static d => d is { Name: "upstream", Block: not null }))
        {
            _upstreams.Add(upstream);
        }
        foreach (NginxDirective zone in all.Where(static d => d.Name is "limit_req_zone" or "limit_conn_zone"))
        {
            _limits.AddZone(zone);
        }
        var limits = new NginxLimits.Scope();
        foreach (NginxDirective directive in all.Where(static d =>
            d is not ({ Name: "upstream" or "server", Block: not null } or { Name: "limit_req_zone"
                or "limit_conn_zone" })))
        {
            if (!_limits.TryUse(directive, ref limits))
            {
                General(directive);
            }
        }
        foreach (NginxDirective server in all.Where(static d => d is { Name: "server", Block: not null }))
        {
            Server(server.Block!, limits.Inner());
        }
        _upstreams.Finish();
    }

    private void Server(IReadOnlyList<NginxDirective> block, NginxLimits.Scope limits)
    {
        List<string?> hosts = [.. block.Where(static d => d.Name == "server_name").SelectMany(Hosts)];
        string certificate = WordOf(block, "ssl_certificate"), key = WordOf(block, "ssl_certificate_key");
        foreach (NginxDirective directive in block)
        {
            switch (directive.Name)
            {
                case "listen":
                    Listen(directive, certificate, key);
                    break;
                case "server_name" or "location":
                    break;
                case "ssl_certificate" or "ssl_certificate_key" when certificate.Length > 0 && key.Length > 0:
                    break; // Listen has used it
                case var _ when _limits.TryUse(directive, ref limits):
                    break;
                default:
                    General(directive);
                    break;
            }
        }
        foreach (NginxDirective location in block.Where(static d => d is { Name: "location", Block: not null }))
        {
            Location(location, hosts.Count == 0 ? [null] : hosts, limits.Inner());
        }
    }

    private IEnumerable<string?> Hosts(NginxDirective names)
    {
        foreach (string name in names.Words)
        {
            if (name is "_" or "")
            {
                yield return null;
            }
            else if (name.StartsWith('~') || name.EndsWith('*'))
            {
                _conversion.Leave(names.Line, $"server_name {name}",
                    "a host is a name, or *. and a name; write one route for each");
            }
            else
            {
                yield return name.TrimStart('.');
                if (name.StartsWith('.'))
                {
                    yield return "*" + name;
                }
            }
        }
    }

    private void Listen(NginxDirective listen, string certificate, string key)
    {
        string address = listen.Word(0);
        address = address.StartsWith("unix:", StringComparison.Ordinal) ? address
            : address.All(char.IsAsciiDigit) ? $"0.0.0.0:{address}"
            : address.StartsWith("*:", StringComparison.Ordinal) ? $"0.0.0.0{address[1..]}"
            : address.LastIndexOf(':') > address.LastIndexOf(']') ? address : $"{address}:80";
        DraftMap? tls = null;
        if (listen.Words.Contains("ssl"))
        {
            if (certificate.Length == 0 || key.Length == 0)
            {
                _conversion.Leave(listen.Line, listen.Text, "this server has no ssl_certificate and no "
                    + "ssl_certificate_key");
                return;
            }
            tls = new();
            tls.List("certificates").Add(new DraftMap().Set("cert", certificate).Set("key", key));
        }
        if (listen.Words.Contains("proxy_protocol"))
        {
            _conversion.Leave(listen.Line, "proxy_protocol",
                "add it to the listener, and the proxies in front to clients.trusted_proxies");
        }
        _conversion.Listen(listen.Line, address, tls);
    }

    private void Location(NginxDirective location, IReadOnlyList<string?> hosts, NginxLimits.Scope limits)
    {
        bool exact = location.Word(0) == "=";
        string path = location.Words.Count == 0 ? "" : location.Words[^1];
        if (location.Word(0) is "~" or "~*" || !path.StartsWith('/'))
        {
            _conversion.Leave(location.Line, location.Text, "a path is exact or a prefix; write it as one of these");
            return;
        }
        NginxDirective? pass = null;
        var edits = new DraftMap();
        foreach (NginxDirective directive in location.Block!)
        {
            if (directive.Name == "proxy_pass")
            {
                pass = directive;
            }
            else if (directive.Name == "proxy_set_header")
            {
                SetHeader(directive, edits);
            }
            else if (!_limits.TryUse(directive, ref limits))
            {
                General(directive);
            }
        }
        if (pass is null)
        {
            _conversion.Leave(location.Line, location.Text, "it has no proxy_pass, and Penstock serves no files");
            return;
        }
        if (_upstreams.Find(pass, out string uri) is not { } upstream)
        {
            return;
        }
        if (!exact && path.Length > 1 && !path.EndsWith('/'))
        {
            _conversion.Leave(location.Line, location.Text,
                $"it also matches {path}xyz; the route has {path} and {path}/*");
        }
        AddRoutes(hosts, path, exact, upstream, uri, limits, edits);
    }

    private void AddRoutes(IReadOnlyList<string?> hosts, string path, bool exact, string upstream, string uri,
        NginxLimits.Scope limits, DraftMap edits)
    {
        string prefix = path.TrimEnd('/');
        DraftMap? rewrite = uri.Length == 0 ? null : new DraftMap()
            .Set("strip_prefix", prefix.Length == 0 ? null : prefix)
            .Set("add_prefix", uri.TrimEnd('/') is { Length: > 0 } added ? added : null);
        foreach (string? host in hosts.Distinct())
        {
            DraftMap route = new DraftMap().Set("host", host)
                .Set("path", exact ? path : prefix.Length == 0 ? null : prefix + "/*").Set("upstream", upstream);
            if (limits.Names.Count > 0)
            {
                route.Set("limit", limits.Names.Count == 1 ? limits.Names[0] : limits.Names.ToList<object>());
            }
            route.Set("rewrite", rewrite is { IsEmpty: false } ? rewrite : null);
            _conversion.Root.List("routes").Add(edits.IsEmpty ? route
                : route.Set("request_headers", new DraftMap().Set("set", edits)));
        }
    }

    private void SetHeader(NginxDirective directive, DraftMap edits)
    {
        (string name, string value) = (directive.Word(0), directive.Word(1));
        if (!value.Contains('$', StringComparison.Ordinal) && value.Length > 0)
        {
            edits.Set(name, value);
        }
        else
        {
            _conversion.Leave(directive.Line, directive.Text, value is "$host" or "$http_host"
                or "$proxy_add_x_forwarded_for" or "$scheme" or "$http_upgrade" or "$connection_upgrade"
                ? "not needed: backends get the client's Host and Upgrade, and X-Forwarded-For and -Proto"
                : "a header field is set to a fixed value");
        }
    }

    private void General(NginxDirective directive)
    {
        DraftMap root = _conversion.Root;
        (string Group, string Key) setting = directive.Name switch
        {
            "proxy_connect_timeout" => ("timeouts", "connect"),
            "proxy_read_timeout" or "proxy_send_timeout" or "send_timeout" => ("timeouts", "response"),
            "client_header_timeout" => ("timeouts", "head"),
            "keepalive_timeout" => ("timeouts", "idle"),
            "client_max_body_size" => ("bounds", "body"),
            _ => ("", ""),
        };
        string? value = setting.Group switch
        {
            "timeouts" => DurationOf(directive.Word(0)),
            "bounds" => directive.Word(0) == "0" ? "off" : directive.Word(0),
            _ => null,
        };
        if (value is not null)
        {
            if (!root.Map(setting.Group).TrySet(setting.Key, value))
            {
                _conversion.Leave(directive.Line, directive.Text, Conversion.OneForAll);
            }
            return;
        }
        if (directive is { Name: "events", Block: { } events })
        {
            foreach (NginxDirective inner in events)
            {
                General(inner);
            }
            return;
        }
        _conversion.Leave(directive.Line, directive.Text, NotNeeded.GetValueOrDefault(directive.Name)
            ?? "Penstock has nothing that is the same");
    }

    /// <summary>A time of nginx, whose unit is a second if it has none; null if it is not simple, or zero.</summary>
    internal static string? DurationOf(string text)
    {
        string number = text.TrimEnd('s', 'm', 'h');
        return number.All(char.IsAsciiDigit) && int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture,
            out int count) && count > 0 ? number.Length == text.Length ? $"{count}s" : text : null;
    }

    private static string WordOf(IReadOnlyList<NginxDirective> block, string name) =>
        block.FirstOrDefault(directive => directive.Name == name)?.Word(0) ?? "";
}
