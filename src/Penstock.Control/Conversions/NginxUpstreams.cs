using Penstock.Control.Config;

namespace Penstock.Control.Conversions;

/// <summary>The upstreams of a file of nginx, and those that a <c>proxy_pass</c> names by their address.</summary>
internal sealed class NginxUpstreams(Conversion conversion)
{
    /// <summary>Where a <c>proxy_pass</c> leads.</summary>
    /// <param name="Upstream">The name of the upstream.</param>
    /// <param name="Uri">What stands behind the address.</param>
    /// <param name="Host">The DNS name in the address; null if it is the name of a group or has none.</param>
    /// <param name="IsGroup">It names an <c>upstream</c> of the file.</param>
    public readonly record struct Target(string Upstream, string Uri, string? Host, bool IsGroup);

    /// <summary>By address with scheme. A group has none until a <c>proxy_pass</c> names it.</summary>
    private readonly Dictionary<string, (string Name, int Line)> _known = [];
    private readonly HashSet<string> _used = [];
    private readonly Dictionary<string, DraftMap> _groups = []; // those of the file, as with http
    private readonly HashSet<string> _verified = [];

    public void Add(NginxDirective upstream)
    {
        string name = Conversion.NameOf(upstream.Word(0));
        var made = new DraftMap();
        foreach (NginxDirective directive in upstream.Block!)
        {
            if (directive.Name == "server")
            {
                Server(directive, made);
            }
            else if (BalanceOf(directive) is { } balance)
            {
                made.Set("balance", balance.Algorithm).Set("hash", balance.Hash);
            }
            else
            {
                conversion.Leave(directive.Line, directive.Text,
                    NginxHints.Of(directive.Name == "keepalive_timeout" ? "keepalive" : directive.Name));
            }
        }
        if (made["backends"] is null)
        {
            conversion.Leave(upstream.Line, upstream.Text, "it has no server");
            return;
        }
        _known[upstream.Word(0)] = (name, upstream.Line);
        _groups[upstream.Word(0)] = made;
        conversion.Root.Map("upstreams").Set(name, made);
    }

    /// <summary>The upstream of a <c>proxy_pass</c>; null if it cannot be converted.</summary>
    public Target? Find(NginxDirective pass)
    {
        string url = pass.Word(0);
        int start = url.IndexOf("://", StringComparison.Ordinal);
        if (start < 0 || url.Contains('$', StringComparison.Ordinal) || url.Contains("unix:", StringComparison.Ordinal))
        {
            conversion.Leave(pass.Line, pass.Text, "an upstream has fixed servers; add one under 'upstreams'");
            return null;
        }
        string host = url[(start + 3)..];
        int slash = host.IndexOf('/', StringComparison.Ordinal);
        (host, string uri) = slash < 0 ? (host, "") : (host[..slash], host[slash..]);
        string scheme = url.StartsWith("https:", StringComparison.Ordinal) ? "https" : "http";
        if (scheme == "https" && !_verified.Contains(host))
        {
            _verified.Add(host);
            conversion.Leave(pass.Line, pass.Text, "nginx does not verify the certificates of backends by default, "
                + "Penstock does; see 'tls.ca' and 'tls.verify' of the upstream");
        }
        string key = $"{scheme}://{host}";
        if (!_known.TryGetValue(key, out (string Name, int Line) known))
        {
            known = _known[key] = Make(host, scheme, pass.Line);
        }
        _used.Add(known.Name);
        bool isGroup = _groups.ContainsKey(host);
        bool isDns = !isGroup && Uri.CheckHostName(host.Split(':')[0]) == UriHostNameType.Dns;
        return new(known.Name, uri, isDns ? host : null, isGroup);
    }

    /// <summary>Lets all requests go to the only upstream of a file without servers, and names those that get none.
    /// </summary>
    public void Finish()
    {
        if (_used.Count == 0 && _known.Count > 0)
        {
            conversion.Root.List("routes").Add(new DraftMap().Set("upstream", _known.Values.First().Name));
            _used.Add(_known.Values.First().Name);
        }
        foreach ((string name, int line) in _known.Values.Where(known => !_used.Contains(known.Name)))
        {
            conversion.Leave(line, $"upstream {name}", "no proxy_pass that could be converted uses it; add a route");
        }
    }

    /// <summary>Makes the upstream of an address with this scheme. The first use of a group gives it the scheme; the
    /// other scheme makes a copy.</summary>
    private (string Name, int Line) Make(string host, string scheme, int line)
    {
        if (!_known.Remove(host, out (string Name, int Line) made))
        {
            made = (Conversion.NameOf(host), line);
            while (_known.Values.Any(other => other.Name == made.Name)) // such as that with the other scheme
            {
                made.Name += "_" + scheme;
            }
        }
        conversion.Root.Map("upstreams").Set(made.Name, _groups.TryGetValue(host, out DraftMap? group)
            ? WithScheme(group, scheme)
            : new DraftMap().Set("backends", new List<object> { $"{scheme}://{host}" }));
        return made;
    }

    private void Server(NginxDirective server, DraftMap upstream)
    {
        string address = server.Word(0);
        if (!ConfigValue.TryBackend(address, out _, out string error)
            && !ConfigValue.TryBackend($"http://{address}", out _, out error))
        {
            conversion.Leave(server.Line, server.Text, error);
            return;
        }
        DraftMap backend = new DraftMap().Set("url", address.StartsWith("unix:", StringComparison.Ordinal) ? address
            : $"http://{address}");
        foreach (string word in server.Words.Skip(1))
        {
            (string name, string value) = word.Split('=', 2) is [var left, var right] ? (left, right) : (word, "");
            switch (name)
            {
                case "weight":
                    backend.Set("weight", value);
                    break;
                case "max_conns":
                    backend.Set("max_connections", value);
                    break;
                case "backup":
                    backend.Set("backup", "true");
                    break;
                case "slow_start":
                    upstream.TrySet("slow_start", NginxSettings.DurationOf(value) ?? "off");
                    break;
                case "down":
                    conversion.Leave(server.Line, server.Text, "left out: it is down; add it when it works");
                    return;
                default:
                    conversion.Leave(server.Line, word, name is "max_fails" or "fail_timeout"
                        ? "see 'passive_health', which is on by default"
                        : name == "resolve" ? "not needed: names are looked up again and again"
                        : Conversion.NothingSame);
                    break;
            }
        }
        upstream.List("backends").Add(backend.Entries.Count == 1 ? backend["url"]! : backend);
    }

    private static (string Algorithm, string? Hash)? BalanceOf(NginxDirective directive) => directive.Name switch
    {
        "least_conn" => ("least_connections", null),
        "least_time" => ("least_time", null),
        "ip_hash" => ("hash", "address"),
        "random" when directive.Word(0) == "two" => ("power_of_two", null),
        "random" => ("random", null),
        "hash" when HashOf(directive.Word(0)) is { } hash => ("hash", hash),
        _ => null,
    };

    private static string? HashOf(string variable) => variable switch
    {
        "$uri" or "$request_uri" => "path",
        "$remote_addr" or "$binary_remote_addr" => "address",
        _ when variable.StartsWith("$http_", StringComparison.Ordinal) => $"header:{NginxLimits.FieldOf(variable)}",
        _ when variable.StartsWith("$cookie_", StringComparison.Ordinal) => $"cookie:{variable["$cookie_".Length..]}",
        _ when variable.StartsWith("$arg_", StringComparison.Ordinal) => $"query:{variable["$arg_".Length..]}",
        _ => null,
    };

    /// <summary>A copy of an upstream, or of one of its backends.</summary>
    private static DraftMap WithScheme(DraftMap map, string scheme)
    {
        const string Plain = "http:";
        return map.Entries.Aggregate(new DraftMap(), (copy, entry) => copy.Set(entry.Key, entry.Key switch
        {
            "url" => Changed(entry.Value),
            "backends" => ((List<object>)entry.Value).ConvertAll(Changed),
            _ => entry.Value,
        }));

        object Changed(object backend) => backend is DraftMap inner ? WithScheme(inner, scheme)
            : backend is string url && url.StartsWith(Plain, StringComparison.Ordinal)
                ? $"{scheme}:{url[Plain.Length..]}"
            : backend;
    }
}
