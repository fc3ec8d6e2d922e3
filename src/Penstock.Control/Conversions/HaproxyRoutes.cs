namespace Penstock.Control.Conversions;

/// <summary>The named conditions of a section, and those that a line has within braces.</summary>
internal sealed class HaproxyAcls(HaproxySection section)
{
    private readonly ILookup<string, IReadOnlyList<string>> _named = section.Lines
        .Where(static line => line.Begins("acl") && line.Words.Count > 2)
        .ToLookup(static line => line.Word(1), static line => (IReadOnlyList<string>)[.. line.Words.Skip(2)]);

    private readonly HashSet<string> _used = [];

    /// <summary>True if a condition that was read has this name; a line that is left out names it itself.</summary>
    public bool IsUsed(string name) => _used.Contains(name)
        || section.Lines.Exists(line => line.Word(0) != "acl" && line.Words.Contains(name));

    /// <summary>The tests of a condition, all of which must hold; each has alternatives of which one must. Null if it
    /// has <c>or</c>, <c>!</c> or an unknown name.</summary>
    public IReadOnlyList<IReadOnlyList<IReadOnlyList<string>>>? Read(IReadOnlyList<string> words)
    {
        var tests = new List<IReadOnlyList<IReadOnlyList<string>>>();
        for (int i = 0; i < words.Count; i++)
        {
            if (words[i] == "{")
            {
                int end = words.ToList().IndexOf("}", i);
                if (end < 0)
                {
                    return null;
                }
                tests.Add([[.. words.Skip(i + 1).Take(end - i - 1)]]);
                i = end;
            }
            else if (_named.Contains(words[i]))
            {
                _used.Add(words[i]);
                tests.Add([.. _named[words[i]]]);
            }
            else
            {
                return null;
            }
        }
        return tests.Count == 0 ? null : tests;
    }
}

/// <summary>The <c>use_backend</c> and <c>default_backend</c> of a frontend. HAProxy takes the first that matches,
/// Penstock the most specific one.</summary>
internal sealed class HaproxyRoutes(Conversion conversion, HaproxyFields fields)
{
    private readonly Dictionary<string, (string Text, int Line)> _made = [];

    private readonly HashSet<string> _usedBackends = [];

    /// <summary>The backends that a route leads to.</summary>
    public IReadOnlyCollection<string> Used => _usedBackends;

    /// <param name="all">What all routes of the section have.</param>
    /// <returns>True if the section has a route.</returns>
    public bool Add(HaproxySection section, IReadOnlyList<HaproxyLine> lines, HaproxyAcls acls,
        (List<string> Limits, DraftMap Fields) all, IReadOnlyCollection<string> upstreams)
    {
        bool hasRoutes = false;
        foreach (HaproxyLine line in lines.Where(static line => line.Begins("use_backend")))
        {
            if (!upstreams.Contains(line.Word(1)))
            {
                conversion.Leave(line.Number, line.Text, $"there is no backend '{line.Word(1)}' with a server");
            }
            else if (line.Word(2) != "if" || acls.Read([.. line.Words.Skip(3)]) is not { } tests
                || !TryRoutes(tests, line, out List<DraftMap> routes))
            {
                conversion.Leave(line.Number, line.Text,
                    "a route has conditions on path, host, method and header fields, all of which must hold");
            }
            else
            {
                hasRoutes = true;
                routes.ForEach(route => Add(line, route, line.Word(1), all));
            }
        }
        HaproxyLine? otherwise = lines.LastOrDefault(static line => line.Begins("default_backend"));
        if (otherwise is not null && !upstreams.Contains(otherwise.Word(1)))
        {
            conversion.Leave(otherwise.Number, otherwise.Text,
                $"there is no backend '{otherwise.Word(1)}' with a server");
            return hasRoutes;
        }
        string? upstream = otherwise?.Word(1) ?? (upstreams.Contains(section.Name) && section.Kind == "listen"
            ? section.Name : null);
        if (upstream is not null)
        {
            Add(otherwise ?? new(section.Line, [section.Kind, section.Name]), new(), upstream, all);
        }
        return hasRoutes || upstream is not null;
    }

    private void Add(
        HaproxyLine line, DraftMap route, string upstream, (List<string> Limits, DraftMap Fields) all)
    {
        string conditions = DraftText.Line(route);
        route.Set("upstream", Conversion.NameOf(upstream));
        if (all.Limits.Count > 0)
        {
            route.Set("limit", all.Limits.Count == 1 ? all.Limits[0] : all.Limits.ToList<object>());
        }
        fields.Write(route, all.Fields, upstream);
        if (_made.TryAdd(conditions, (DraftText.Line(route), line.Number)))
        {
            _usedBackends.Add(upstream);
            conversion.Root.List("routes").Add(route);
        }
        else if (_made[conditions].Text != DraftText.Line(route))
        {
            conversion.Leave(line.Number, line.Text, $"line {_made[conditions].Line} has made another route with the "
                + "same conditions, and routes are the same on all listeners");
        }
    }

    /// <summary>One route for each combination of the tests' alternatives and values.</summary>
    private bool TryRoutes(
        IReadOnlyList<IReadOnlyList<IReadOnlyList<string>>> tests, HaproxyLine line, out List<DraftMap> routes)
    {
        routes = [new()];
        foreach (IReadOnlyList<IReadOnlyList<string>> alternatives in tests)
        {
            var next = new List<DraftMap>();
            foreach (IReadOnlyList<string> test in alternatives)
            {
                if (Conditions(test, line) is not { } conditions)
                {
                    return false;
                }
                next.AddRange(routes.SelectMany(route => conditions.Select(condition => With(route, condition))));
            }
            routes = next;
        }
        return true;
    }

    private static DraftMap With(DraftMap route, KeyValuePair<string, object> condition)
    {
        var copy = new DraftMap();
        foreach ((string key, object value) in route.Entries)
        {
            copy.Set(key, value);
        }
        return copy.Set(condition.Key, condition.Value);
    }

    private IEnumerable<KeyValuePair<string, object>>? Conditions(IReadOnlyList<string> test, HaproxyLine line)
    {
        List<string> words = [.. test.Skip(1).Where(static word => word is not ("-i" or "--"))];
        string kind = test[0];
        if (words is ["-m", "str" or "beg", ..])
        {
            kind += words[1] == "beg" ? "_beg" : "";
            words.RemoveRange(0, 2);
        }
        List<string> values = words;
        if (values.Count == 0 || values.Exists(static value => value.StartsWith('-')))
        {
            return null;
        }
        if (kind is "path" or "path_beg" && test.Contains("-i"))
        {
            conversion.Leave(line.Number, string.Join(' ', test), "the case of a path matters; write a route for each");
        }
        switch (kind)
        {
            case "path":
                return values.Select(static value => KeyValuePair.Create("path", (object)value));
            case "path_beg":
                return values.Select(static value => KeyValuePair.Create("path", (object)$"{value}*"));
            case "method":
                return values.Select(static value => KeyValuePair.Create("method", (object)value));
            case "hdr(host)" or "req.hdr(host)" or "hdr(Host)" or "req.hdr(Host)":
                return values.Select(static value => KeyValuePair.Create("host", (object)value));
            default:
                return null;
        }
    }
}
