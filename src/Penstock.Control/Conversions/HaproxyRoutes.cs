namespace Penstock.Control.Conversions;

/// <summary>The named conditions of a section, and those that a line has within braces.</summary>
internal sealed class HaproxyAcls(HaproxySection section)
{
    private readonly ILookup<string, IReadOnlyList<string>> _named = section.Lines
        .Where(static line => line.Begins("acl") && line.Words.Count > 2)
        .ToLookup(static line => line.Word(1), static line => (IReadOnlyList<string>)[.. line.Words.Skip(2)]);

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
internal sealed class HaproxyRoutes(Conversion conversion)
{
    public void Add(HaproxySection section, IReadOnlyList<HaproxyLine> lines, HaproxyAcls acls, List<string> limits,
        IReadOnlyCollection<string> upstreams)
    {
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
                routes.ForEach(route => Add(route, line.Word(1), limits));
            }
        }
        HaproxyLine? otherwise = lines.LastOrDefault(static line => line.Begins("default_backend"));
        if (otherwise is not null && !upstreams.Contains(otherwise.Word(1)))
        {
            conversion.Leave(otherwise.Number, otherwise.Text,
                $"there is no backend '{otherwise.Word(1)}' with a server");
            return;
        }
        string? upstream = otherwise?.Word(1) ?? (upstreams.Contains(section.Name) && section.Kind == "listen"
            ? section.Name : null);
        if (upstream is not null)
        {
            Add(new(), upstream, limits);
        }
    }

    private void Add(DraftMap route, string upstream, List<string> limits)
    {
        route.Set("upstream", Conversion.NameOf(upstream));
        if (limits.Count > 0)
        {
            route.Set("limit", limits.Count == 1 ? limits[0] : limits.ToList<object>());
        }
        List<object> routes = conversion.Root.List("routes");
        if (!routes.Exists(other => ((DraftMap)other).Entries.SequenceEqual(route.Entries)))
        {
            routes.Add(route);
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
        List<string> values = [.. test.Skip(1).Where(static word => word is not ("-i" or "-m" or "str" or "--"))];
        if (values.Count == 0)
        {
            return null;
        }
        switch (test[0])
        {
            case "path":
                return values.Select(static value => KeyValuePair.Create("path", (object)value));
            case "path_beg":
                foreach (string value in values.Where(static value => !value.EndsWith('/')))
                {
                    conversion.Leave(line.Number, $"path_beg {value}",
                        $"it also matches {value}xyz; the route has {value} and {value}/*");
                }
                return values.Select(static value => KeyValuePair.Create("path", (object)$"{value.TrimEnd('/')}/*"));
            case "method":
                return values.Select(static value => KeyValuePair.Create("method", (object)value));
            case "hdr(host)" or "req.hdr(host)" or "hdr(Host)" or "req.hdr(Host)":
                return values.Select(static value => KeyValuePair.Create("host", (object)value));
            default:
                return null;
        }
    }
}
