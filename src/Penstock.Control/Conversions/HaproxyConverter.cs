using System.Globalization;

namespace Penstock.Control.Conversions;

/// <summary>Converts <c>frontend</c>, <c>backend</c>, <c>listen</c> and stick tables that count requests. Follows
/// https://docs.haproxy.org/3.2/configuration.html.</summary>
internal sealed class HaproxyConverter
{
    private static readonly string[] SameByDefault =
        ["httplog", "dontlognull", "redispatch", "http-keep-alive", "http-server-close", "forwardfor", "httpclose"];

    private readonly Conversion _conversion;
    private readonly HaproxyBackends _backends;
    private readonly HaproxyLimits _limits;
    private readonly HaproxyListeners _listeners;
    private readonly HaproxyFields _fields;
    private readonly HaproxyRoutes _routes;

    private HaproxyConverter(Conversion conversion)
    {
        _conversion = conversion;
        _backends = new(conversion);
        _limits = new(conversion);
        _listeners = new(conversion);
        _fields = new(conversion);
        _routes = new(conversion, _fields);
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
            foreach (HaproxyLine line in section.Lines.Where(line =>
                section.Kind == "global" || !HaproxyBackends.Handles(line))) // each backend reads those
            {
                General(line);
            }
        }
        HaproxySection? defaults = sections.LastOrDefault(static s => s.Kind == "defaults");
        foreach (HaproxySection section in sections.Where(static s => s.Kind is "backend" or "listen"))
        {
            _backends.Add(section, defaults);
            _fields.Add(section);
        }
        foreach (HaproxySection section in sections.Where(static s => s.Kind is "frontend" or "backend" or "listen"))
        {
            Section(section);
        }
        foreach (HaproxySection other in sections.Where(static s =>
            s.Kind is not ("global" or "defaults" or "frontend" or "backend" or "listen")))
        {
            _conversion.Leave(other.Line, $"{other.Kind} {other.Name}".TrimEnd(),
                Conversion.NothingSame);
        }
        foreach (HaproxySection unused in sections.Where(section => section.Kind == "backend"
            && _backends.Names.Contains(section.Name) && !_routes.Used.Contains(section.Name)))
        {
            _conversion.Leave(unused.Line, $"backend {unused.Name}", "no route leads to it");
        }
        _listeners.Compare();
        _conversion.FinishRedirects();
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
            rest.RemoveAll(HaproxyBackends.Handles);
        }
        if (section.Kind != "backend")
        {
            var fields = new DraftMap();
            rest.RemoveAll(line => section.Kind == "frontend" ? _fields.TryUse(line, fields)
                : HaproxyFields.Handles(line));
            rest.RemoveAll(line => _listeners.TryRedirect(line, section));
            _listeners.Add(section, _routes.Add(section, rest, acls, (limits, fields), _backends.Names));
            rest = [.. rest.Where(line => line.Word(0) is not ("bind" or "use_backend" or "default_backend")
                && (line.Word(0) != "acl" || !acls.IsUsed(line.Word(1))))];
        }
        else if (limits.Count > 0 && _backends.Find(section.Name) is { } upstream)
        {
            upstream.Set("limit", limits.Count == 1 ? limits[0] : limits.ToList<object>());
        }
        foreach (HaproxyLine line in rest.Where(line => section.Kind != "backend" || !HaproxyFields.Handles(line)))
        {
            General(line);
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
                : line.Begins("maxconn") ? Conversion.OneForAll : HaproxyHints.Of(line));
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
