namespace Penstock.Control.Conversions;

/// <summary>The <c>bind</c> lines of HAProxy, and the redirects of everything that arrives there to HTTPS.</summary>
internal sealed class HaproxyListeners(Conversion conversion)
{
    private readonly List<(HaproxySection Section, List<string> Addresses)> _serving = [];
    private readonly HashSet<string> _redirected = [];

    /// <summary>Options of <c>bind</c> that one word follows.</summary>
    private static readonly string[] WithValue =
    [
        "alpn", "backlog", "ca-file", "ciphers", "ciphersuites", "crl-file", "crt", "crt-list", "curves", "ecdhe",
        "gid", "group", "id", "interface", "level", "maxconn", "mode", "mss", "name", "namespace", "nice", "npn",
        "process", "proto", "shards", "ssl-max-ver", "ssl-min-ver", "tcp-ut", "thread", "tls-ticket-keys", "uid",
        "user", "verify",
    ];

    /// <summary>Adds what a section binds if something is served there.</summary>
    /// <param name="hasRoutes">The section has routes.</param>
    public void Add(HaproxySection section, bool hasRoutes)
    {
        List<HaproxyLine> binds = BindsOf(section);
        if (hasRoutes)
        {
            _serving.Add((section, [.. binds.SelectMany(AddressesOf)]));
        }
        foreach (HaproxyLine bind in binds)
        {
            if (hasRoutes || AddressesOf(bind).Any(_redirected.Contains))
            {
                Add(bind);
            }
            else
            {
                conversion.Leave(bind.Number, bind.Text, "nothing of this section leads to a backend");
            }
        }
    }

    /// <summary>Lists sections whose routes are also served where others listen.</summary>
    public void Compare()
    {
        foreach ((HaproxySection section, List<string> addresses) in _serving)
        {
            List<string> others = [.. _serving.SelectMany(static one => one.Addresses).Distinct()
                .Except(addresses).Except(_redirected)];
            if (others.Count > 0)
            {
                conversion.Leave(section.Line, $"{section.Kind} {section.Name}", "routes are the same on all "
                    + $"listeners: {string.Join(", ", others)} {(others.Count == 1 ? "serves" : "serve")} them too");
            }
        }
    }

    private static List<HaproxyLine> BindsOf(HaproxySection section) =>
        section.Lines.FindAll(static line => line.Begins("bind"));

    private void Add(HaproxyLine bind)
    {
        DraftMap? tls = bind.Words.Contains("ssl") ? new() : null;
        Options(bind, tls);
        if (tls is not null && tls["certificates"] is null)
        {
            conversion.Leave(bind.Number, bind.Text, "it has no crt, a file with certificate and key");
            return;
        }
        foreach (string address in AddressesOf(bind))
        {
            conversion.Listen(bind.Number, address, tls);
        }
    }

    /// <summary>A redirect to HTTPS of what arrives without TLS, if the line is one.</summary>
    public bool TryRedirect(HaproxyLine line, HaproxySection section)
    {
        List<string> words = [.. line.Words.SkipWhile(static word => word == "http-request")];
        int condition = words.FindIndex(static word => word is "if" or "unless");
        bool isAlways = condition < 0 || words[condition..] is ["unless", "{", "ssl_fc", "}"]
            or ["if", "!{", "ssl_fc", "}"] or ["if", "!", "{", "ssl_fc", "}"];
        List<HaproxyLine> all = BindsOf(section);
        List<HaproxyLine> plain = all.FindAll(static bind => !bind.Words.Contains("ssl"));
        if (words is not ["redirect", "scheme", "https", ..] || !isAlways || plain.Count == 0
            || (condition < 0 && plain.Count < all.Count))
        {
            return false;
        }
        List<string> addresses = [.. plain.SelectMany(AddressesOf)];
        _redirected.UnionWith(addresses);
        conversion.Redirect(line.Number, line.Text, addresses);
        return true;
    }

    private void Options(HaproxyLine bind, DraftMap? tls)
    {
        for (int i = 2; i < bind.Words.Count; i++)
        {
            string option = bind.Words[i], value = WithValue.Contains(option) ? bind.Word(++i) : "";
            switch (option)
            {
                case "ssl" or "v4v6" or "v6only":
                    break;
                case "crt" when tls is not null:
                    tls.List("certificates").Add(new DraftMap().Set("cert", value).Set("key", value));
                    break;
                case "ssl-min-ver" when tls is not null && value is "TLSv1.2" or "TLSv1.3":
                    tls!.Set("min_version", value["TLSv".Length..]);
                    break;
                case "ca-file" when tls is not null && bind.After("verify") is "required" or "optional":
                    tls!.Map("client_auth").Set("ca", value)
                        .Set("require", bind.After("verify") == "required" ? null : "false");
                    break;
                case "verify" when value == "none" || bind.Words.Contains("ca-file"):
                    break;
                case "alpn" when value == "http/1.1":
                    break;
                default:
                    conversion.Leave(bind.Number, $"{option} {value}".TrimEnd(), HaproxyHints.OfBind(option));
                    break;
            }
        }
    }

    private static IEnumerable<string> AddressesOf(HaproxyLine bind)
    {
        foreach (string one in bind.Word(1).Split(','))
        {
            string address = one.StartsWith("ipv4@", StringComparison.Ordinal) || one.StartsWith("ipv6@",
                StringComparison.Ordinal) ? one[5..] : one;
            string port = address[(address.LastIndexOf(':') + 1)..];
            string host = address[..Math.Max(address.LastIndexOf(':'), 0)];
            yield return address switch
            {
                ['/', ..] => $"unix:{address}",
                _ when address.StartsWith("unix@", StringComparison.Ordinal) => $"unix:{address["unix@".Length..]}",
                _ when host is "" or "*" => $"0.0.0.0:{port}",
                _ when host is "::" => bind.Words.Contains("v4v6") ? $":{port}" : $"[::]:{port}",
                _ when host.Contains(':') && host[0] != '[' => $"[{host}]:{port}",
                _ => $"{host}:{port}",
            };
        }
    }
}
