namespace Penstock.Control.Conversions;

/// <summary>A <c>listen</c> of a server.</summary>
/// <param name="Directive">Null if the server has none, which means port 80.</param>
/// <param name="Address">In Penstock's form.</param>
internal sealed record NginxListen(NginxDirective? Directive, string Address)
{
    public bool IsDefault => Directive is not null
        && (Directive.Words.Contains("default_server") || Directive.Words.Contains("default"));

    public bool IsSecure => Directive?.Words.Contains("ssl") == true;
}

/// <summary>A <c>server</c> of nginx: where it listens and for which hosts.</summary>
internal sealed class NginxServer
{
    public NginxServer(NginxDirective server, Conversion conversion)
    {
        (Line, Block) = (server.Line, server.Block!);
        Listens = [.. Block.Where(static d => d.Name == "listen").Select(static d => new NginxListen(d,
            AddressOf(d.Word(0))))];
        if (Listens.Count == 0)
        {
            Listens = [new(null, "0.0.0.0:80")];
        }
        List<NginxDirective> names = [.. Block.Where(static d => d.Name == "server_name")];
        HasNames = names.Exists(static d => d.Words.Any(static name => name is not ("_" or "")));
        Hosts = [.. names.SelectMany(directive => HostsOf(directive, conversion)).Distinct()];
        Redirect = RedirectOf();
    }

    public int Line { get; }

    public IReadOnlyList<NginxDirective> Block { get; }

    public IReadOnlyList<NginxListen> Listens { get; }

    /// <summary>The addresses, in one order, as one text.</summary>
    public string Addresses => string.Join(' ', Listens.Select(static l => l.Address).Distinct().Order(
        StringComparer.Ordinal));

    /// <summary>The names that can be hosts of routes.</summary>
    public IReadOnlyList<string> Hosts { get; }

    public bool HasNames { get; }

    public string Text => Hosts.Count == 0 ? "server" : $"server {Hosts[0]}";

    public bool Proxies => Locations.Any(static location => location.Block!.Any(static d => d.Name == "proxy_pass"));

    public IEnumerable<NginxDirective> Locations => Block.Where(static d => d is { Name: "location", Block: not null });

    /// <summary>The <c>return</c> that sends every request of this server to the same URL with HTTPS; null if there is
    /// none.</summary>
    public NginxDirective? Redirect { get; }

    /// <summary>True if the server uses this directive itself.</summary>
    public bool Handles(NginxDirective directive) => directive == Redirect
        || directive.Name is "listen" or "server_name" or "location" or "proxy_set_header";

    private NginxDirective? RedirectOf()
    {
        IEnumerable<NginxDirective> conditional = Block.Where(static d => d is { Name: "if", Block: not null }
            && d.Word(0) == "($host"); // as certbot writes it
        NginxDirective? found = (Proxies ? null : conditional.SelectMany(static d => d.Block!).FirstOrDefault(IsReturn))
            ?? Block.FirstOrDefault(IsReturn)
            ?? (Proxies ? null : Locations.FirstOrDefault(static location => location.Words is ["/"])?.Block!
                .FirstOrDefault(IsReturn));
        string target = found?.Word(found.Words.Count - 1) ?? "";
        bool isSame = target is "https://$host$request_uri" or "https://$http_host$request_uri"
            or "https://$server_name$request_uri" || (Hosts is [var only] && target == $"https://{only}$request_uri");
        return isSame && Listens.All(static listen => !listen.IsSecure) ? found : null;
    }

    private static bool IsReturn(NginxDirective directive) => directive.Name == "return";

    private static string AddressOf(string address) => address.StartsWith("unix:", StringComparison.Ordinal) ? address
        : address.All(char.IsAsciiDigit) ? $"0.0.0.0:{address}"
        : address.StartsWith("*:", StringComparison.Ordinal) ? $"0.0.0.0{address[1..]}"
        : address.LastIndexOf(':') > address.LastIndexOf(']') ? address : $"{address}:80";

    private static IEnumerable<string> HostsOf(NginxDirective names, Conversion conversion)
    {
        foreach (string name in names.Words.Where(static name => name is not ("_" or "")))
        {
            if (name.StartsWith('~') || name.EndsWith('*') || name.Contains('$'))
            {
                conversion.Leave(names.Line, $"server_name {name}",
                    "a host is a name, or *. and a name; write one route for each");
                continue;
            }
            yield return name.TrimStart('.');
            if (name.StartsWith('.'))
            {
                yield return "*" + name;
            }
        }
    }
}
