using System.Globalization;

namespace Penstock.Control.Conversions;

/// <summary>Converts <c>frontend</c>, <c>backend</c>, <c>listen</c> and stick tables that count requests. Follows
/// https://docs.haproxy.org/3.2/configuration.html.</summary>
internal sealed class HaproxyConverter
{
    private static readonly Dictionary<string, string> NotNeeded = new(StringComparer.Ordinal)
    {
        ["log"] = "see 'access_log' and 'log'",
        ["stats"] = "the admin API, 'penstock status' and 'penstock top' show this",
        ["daemon"] = "a supervisor such as systemd runs Penstock; see deploy/README.md",
        ["user"] = "a supervisor such as systemd runs Penstock; see deploy/README.md",
        ["group"] = "a supervisor such as systemd runs Penstock; see deploy/README.md",
        ["chroot"] = "a supervisor such as systemd runs Penstock; see deploy/README.md",
    };

    private static readonly string[] SameByDefault =
        ["httplog", "dontlognull", "redispatch", "http-keep-alive", "http-server-close", "forwardfor", "httpclose"];

    private readonly Conversion _conversion;
    private readonly HaproxyBackends _backends;
    private readonly HaproxyLimits _limits;
    private readonly HaproxyRoutes _routes;

    private HaproxyConverter(Conversion conversion)
    {
        _conversion = conversion;
        _backends = new(conversion);
        _limits = new(conversion);
        _routes = new(conversion);
    }

    /// <param name="fault">Where and why the text is not a file of HAProxy.</param>
    public static void Convert(string text, Conversion conversion, out (int Line, string Why)? fault)
    {
        IReadOnlyList<HaproxySection> sections = HaproxyFile.Parse(text, out fault);
        if (fault is null)
        {
            new HaproxyConverter(conversion).Convert(sections);
        }
    }

    private void Convert(IReadOnlyList<HaproxySection> sections)
    {
        foreach (HaproxySection section in sections)
        {
            _limits.AddTables(section);
        }
        foreach (HaproxySection section in sections.Where(static s => s.Kind is "global" or "defaults"))
        {
            foreach (HaproxyLine line in section.Lines)
            {
                General(line);
            }
        }
        HaproxySection? defaults = sections.LastOrDefault(static s => s.Kind == "defaults");
        foreach (HaproxySection section in sections.Where(static s => s.Kind is "backend" or "listen"))
        {
            _backends.Add(section, defaults);
        }
        foreach (HaproxySection section in sections.Where(static s => s.Kind is "frontend" or "backend" or "listen"))
        {
            Section(section);
        }
        foreach (HaproxySection other in sections.Where(static s =>
            s.Kind is not ("global" or "defaults" or "frontend" or "backend" or "listen")))
        {
            _conversion.Leave(other.Line, $"{other.Kind} {other.Name}".TrimEnd(),
                "Penstock has nothing that is the same");
        }
    }

    private void Section(HaproxySection section)
    {
        var limits = new List<string>();
        var rest = new List<HaproxyLine>();
        var acls = new HaproxyAcls(section);
        foreach (HaproxyLine line in section.Lines)
        {
            if (!_limits.TryUse(section, line, acls, limits))
            {
                rest.Add(line);
            }
        }
        if (section.Kind != "frontend")
        {
            rest = [.. rest.Where(static line => !HaproxyBackends.Handles(line))];
        }
        if (section.Kind != "backend")
        {
            foreach (HaproxyLine bind in rest.Where(static line => line.Begins("bind")))
            {
                Bind(bind);
            }
            _routes.Add(section, rest, acls, limits, _backends.Names);
            rest = [.. rest.Where(static line => line.Word(0) is not ("bind" or "acl" or "use_backend"
                or "default_backend"))];
        }
        else if (limits.Count > 0 && _backends.Find(section.Name) is { } upstream)
        {
            upstream.Set("limit", limits.Count == 1 ? limits[0] : limits.ToList<object>());
        }
        foreach (HaproxyLine line in rest)
        {
            General(line);
        }
    }

    private void Bind(HaproxyLine bind)
    {
        DraftMap? tls = null;
        if (bind.Words.Contains("ssl"))
        {
            string file = bind.After("crt");
            if (file.Length == 0)
            {
                _conversion.Leave(bind.Number, bind.Text, "it has no crt, a file with certificate and key");
                return;
            }
            tls = new();
            tls.List("certificates").Add(new DraftMap().Set("cert", file).Set("key", file));
        }
        if (bind.Words.Contains("accept-proxy"))
        {
            _conversion.Leave(bind.Number, "accept-proxy",
                "add proxy_protocol to the listener, and the proxies in front to clients.trusted_proxies");
        }
        foreach (string one in bind.Word(1).Split(','))
        {
            string address = one.StartsWith("ipv4@", StringComparison.Ordinal) || one.StartsWith("ipv6@",
                StringComparison.Ordinal) ? one[5..] : one;
            string port = address[(address.LastIndexOf(':') + 1)..];
            string host = address[..Math.Max(address.LastIndexOf(':'), 0)];
            _conversion.Listen(bind.Number, address switch
            {
                ['/', ..] => $"unix:{address}",
                _ when address.StartsWith("unix@", StringComparison.Ordinal) => $"unix:{address["unix@".Length..]}",
                _ when host is "" or "*" => $"0.0.0.0:{port}",
                _ when host is "::" => bind.Words.Contains("v4v6") ? $":{port}" : $"[::]:{port}",
                _ when host.Contains(':') && host[0] != '[' => $"[{host}]:{port}",
                _ => $"{host}:{port}",
            }, tls);
        }
    }

    private void General(HaproxyLine line)
    {
        DraftMap root = _conversion.Root;
        (string Key, string? Value) timeout = (line.Word(0), line.Word(1)) switch
        {
            ("timeout", "connect") => ("connect", DurationOf(line.Word(2))),
            ("timeout", "server") => ("response", DurationOf(line.Word(2))),
            ("timeout", "http-request") => ("head", DurationOf(line.Word(2))),
            ("timeout", "http-keep-alive") => ("idle", DurationOf(line.Word(2))),
            ("timeout", "tunnel") => ("tunnel", DurationOf(line.Word(2))),
            _ => ("", null),
        };
        if (timeout.Value is not null)
        {
            if (!root.Map("timeouts").TrySet(timeout.Key, timeout.Value))
            {
                _conversion.Leave(line.Number, line.Text, Conversion.OneForAll);
            }
        }
        else if (line.Begins("maxconn") && root.Map("bounds").TrySet("connections", line.Word(1)))
        {
            return;
        }
        else if (line.Begins("nbthread"))
        {
            root.Set("loops", line.Word(1));
        }
        else if (!line.Begins("mode", "http") && !(line.Begins("option") && SameByDefault.Contains(line.Word(1))))
        {
            _conversion.Leave(line.Number, line.Text, line.Begins("mode") ? "Penstock balances HTTP"
                : line.Begins("timeout", "client") ? "'timeouts.response' bounds both sides, 'timeouts.idle' the wait "
                    + "for a request"
                : line.Begins("maxconn") ? Conversion.OneForAll
                : NotNeeded.GetValueOrDefault(line.Word(0)) ?? "Penstock has nothing that is the same");
        }
    }

    /// <summary>A time of HAProxy, whose unit is a millisecond if it has none; null if it is not simple, or zero.
    /// </summary>
    internal static string? DurationOf(string text)
    {
        string number = text.TrimEnd('s', 'm', 'h', 'u', 'd');
        string unit = text[number.Length..];
        return int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out int count) && count > 0
            ? unit switch
            {
                "" or "ms" => count % 1000 == 0 ? $"{count / 1000}s" : $"{count}ms",
                "s" or "m" or "h" => text,
                "d" => $"{count * 24}h",
                _ => null,
            } : null;
    }
}
