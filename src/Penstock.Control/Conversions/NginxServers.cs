namespace Penstock.Control.Conversions;

/// <summary>The servers of a file of nginx. There, the address that a request arrives at decides which servers it may
/// get, and one of them, the default server, gets the hosts that none names. Here, routes are the same on all
/// listeners: one default server becomes the routes without a host, and differences are listed.</summary>
internal sealed class NginxServers(
    Conversion conversion, NginxSettings settings, NginxLimits limits, NginxLocations locations)
{
    private const string SameEverywhere = "routes are the same on all listeners";

    private readonly HashSet<string> _used = []; // addresses where something is served

    /// <param name="http">The directives of the block around the servers.</param>
    public void Add(IReadOnlyList<NginxDirective> http, NginxLimits.Scope scope)
    {
        List<NginxServer> all = [.. http.Where(static d => d is { Name: "server", Block: not null })
            .Select(directive => new NginxServer(directive, conversion))];
        List<NginxServer> redirects = [.. all.Where(server => server.Redirect is not null
            && all.TrueForAll(other => other.Redirect is not null || !Share(server, other)))];
        DraftMap fields = locations.FieldsOf(http, inherited: new());
        List<NginxServer> rest = [.. all.Except(redirects)];
        NginxServer? fallback = Fallback(rest);
        _used.UnionWith(all.Where(server => server.Proxies || redirects.Contains(server))
            .SelectMany(static server => server.Listens).Select(static listen => listen.Address));
        foreach (NginxServer server in all)
        {
            NginxLimits.Scope inner = scope.Inner();
            Directives(server, CertificatesOf(server.Block) is { Count: > 0 } own ? own : CertificatesOf(http),
                redirects.Contains(server), ref inner);
            Routes(server, server == fallback, redirects.Contains(server), inner, fields);
        }
        Compare(rest, fallback);
    }

    /// <summary>The certificates of a block, of which a server may have several, each with its key.</summary>
    public static IReadOnlyList<DraftMap> CertificatesOf(IReadOnlyList<NginxDirective> block) =>
        [.. block.Where(static d => d.Name == "ssl_certificate").Zip(block.Where(static d =>
            d.Name == "ssl_certificate_key"), static (certificate, key) =>
                new DraftMap().Set("cert", certificate.Word(0)).Set("key", key.Word(0)))];

    private static bool Share(NginxServer one, NginxServer other) =>
        one.Listens.Any(listen => other.Listens.Any(another => another.Address == listen.Address));

    /// <summary>The server whose routes also serve hosts that none names: of the default servers with a
    /// <c>proxy_pass</c> one without a name, which would have no routes otherwise, or else the first.</summary>
    private static NginxServer? Fallback(IReadOnlyList<NginxServer> servers)
    {
        List<NginxServer> candidates = [.. Defaults(servers).Select(static found => found.Server)
            .Where(static server => server.Proxies).Distinct()];
        return candidates.Find(static server => !server.HasNames) ?? candidates.FirstOrDefault();
    }

    private static IEnumerable<(string Address, NginxServer Server)> Defaults(IReadOnlyList<NginxServer> servers) =>
        servers.SelectMany(static server => server.Listens).Select(static listen => listen.Address).Distinct()
            .Select(address => (address, servers.FirstOrDefault(server => server.Listens.Any(listen =>
                listen.IsDefault && listen.Address == address)) ?? servers.First(server =>
                    server.Listens.Any(listen => listen.Address == address))));

    private void Directives(NginxServer server, IReadOnlyList<DraftMap> certificates, bool isRedirect,
        ref NginxLimits.Scope scope)
    {
        foreach (NginxListen listen in server.Listens)
        {
            Listen(listen, certificates);
        }
        if (isRedirect)
        {
            conversion.Redirect(server.Redirect!.Line, server.Redirect.Text,
                server.Listens.Select(static l => l.Address));
        }
        bool isSecure = certificates.Count > 0 && server.Listens.Any(static listen => listen.IsSecure);
        foreach (NginxDirective directive in server.Block)
        {
            if (!(server.Handles(directive) && (isRedirect || directive != server.Redirect))
                && !(isSecure && directive.Name is "ssl_certificate" or "ssl_certificate_key")
                && !limits.TryUse(directive, ref scope))
            {
                settings.Add(directive);
            }
        }
    }

    private void Routes(NginxServer server, bool isFallback, bool isRedirect, NginxLimits.Scope scope, DraftMap fields)
    {
        List<string?> hosts = [.. server.Hosts, .. isFallback ? [null] : (IEnumerable<string?>)[]];
        DraftMap inherited = locations.FieldsOf(server.Block, fields);
        foreach (NginxDirective location in server.Locations.Where(location =>
            !(isRedirect && location.Block!.Contains(server.Redirect!))))
        {
            locations.Add(location, hosts, scope.Inner(), inherited);
        }
    }

    private void Listen(NginxListen listen, IReadOnlyList<DraftMap> certificates)
    {
        if (listen.Directive is not { } directive)
        {
            if (_used.Contains(listen.Address))
            {
                conversion.Listen(0, listen.Address);
            }
            return;
        }
        if (!_used.Contains(listen.Address))
        {
            conversion.Leave(directive.Line, directive.Text, "no server of this address leads to a backend");
            return;
        }
        DraftMap? tls = null;
        if (listen.IsSecure)
        {
            if (certificates.Count == 0)
            {
                conversion.Leave(directive.Line, directive.Text,
                    "this server has no ssl_certificate and no ssl_certificate_key");
                return;
            }
            tls = new DraftMap().Set("certificates", certificates.ToList<object>());
        }
        foreach (string option in directive.Words.Skip(1).Where(static word =>
            word is not ("ssl" or "default_server" or "default")))
        {
            conversion.Leave(directive.Line, option, option switch
            {
                "proxy_protocol" =>
                    "add it to the listener, and the proxies in front to clients.trusted_proxies",
                "http2" or "spdy" or "quic" => "Penstock speaks HTTP/1.1 to clients",
                "reuseport" => "not needed: loops share the port",
                _ => Conversion.NothingSame,
            });
        }
        conversion.Listen(directive.Line, listen.Address, tls);
    }

    /// <summary>Lists where the routes serve what nginx does not, or from another server.</summary>
    private void Compare(IReadOnlyList<NginxServer> servers, NginxServer? fallback)
    {
        List<(string Address, NginxServer Server)> defaults = [.. Defaults(servers).Where(found =>
            _used.Contains(found.Address))];
        foreach (IGrouping<NginxServer, string> others in defaults.Where(found => fallback is not null
            && found.Server != fallback).GroupBy(static found => found.Server, static found => found.Address))
        {
            conversion.Leave(others.Key.Line, $"the default server of {string.Join(", ", others)}",
                $"{SameEverywhere}: the server of line {fallback!.Line} serves the hosts that none names");
        }
        foreach (NginxServer server in servers.Where(server => server.Proxies && server.Hosts.Count == 0
            && server != fallback && !defaults.Exists(found => found.Server == server)))
        {
            conversion.Leave(server.Line, server.Text,
                "it has no host for a route, and another server is the default of its address");
        }
        foreach (NginxServer server in servers.Where(server => fallback is not null && server != fallback
            && server.Hosts.Any(host => !locations.HasEveryPath(host))))
        {
            conversion.Leave(server.Line, server.Text,
                $"what none of its routes matches goes to those without a host, of line {fallback!.Line}");
        }
        Expose([.. servers.Where(static server => server.Proxies)]);
    }

    private void Expose(IReadOnlyList<NginxServer> servers)
    {
        foreach (NginxServer first in servers.Where(static server => server.Hosts.Count > 0)
            .DistinctBy(static server => server.Addresses))
        {
            List<string> others = [.. servers.SelectMany(static server => server.Listens)
                .Select(static listen => listen.Address).Distinct()
                .Where(address => first.Listens.All(listen => listen.Address != address))];
            if (others.Count > 0)
            {
                conversion.Leave(first.Listens[0].Directive?.Line ?? first.Line, first.Text,
                    $"{SameEverywhere}: {string.Join(", ", others)} {(others.Count == 1 ? "serves" : "serve")} it too");
            }
        }
    }
}
