using Penstock.Proxy.Routing;

namespace Penstock.Control.Conversions;

/// <summary>The header fields that sections of HAProxy set, add and delete, which its routes do here: those of a
/// frontend in all its routes, those of a backend in all routes to it.</summary>
internal sealed class HaproxyFields(Conversion conversion)
{
    private readonly Dictionary<string, DraftMap> _ofBackends = [];

    /// <summary>Notes what the backends do, before any route is made.</summary>
    public void Add(HaproxySection backend)
    {
        var edits = new DraftMap();
        backend.Lines.ForEach(line => TryUse(line, edits));
        _ofBackends[backend.Name] = edits;
    }

    /// <summary>True if <see cref="TryUse"/> converts such a line.</summary>
    public static bool Handles(HaproxyLine line) => Read(line) is not null || IsSentAnyway(line);

    /// <summary>Adds what the line does; false if it does something else, or not the same for every request.</summary>
    public bool TryUse(HaproxyLine line, DraftMap edits)
    {
        if (Read(line) is not { } found)
        {
            if (IsSentAnyway(line))
            {
                conversion.Leave(line.Number, line.Text, "not needed: backends get X-Forwarded-For, -Host and -Proto");
                return true;
            }
            return false;
        }
        DraftMap group = edits.Map(found.Group);
        if (found.Kind == "remove")
        {
            group.List("remove").Add(found.Name);
        }
        else
        {
            group.Map(found.Kind).Set(found.Name, found.Value);
        }
        return true;
    }

    /// <summary>Writes the fields of the frontend and the backend into a route.</summary>
    public void Write(DraftMap route, DraftMap frontend, string backend)
    {
        foreach (DraftMap edits in (DraftMap[])[frontend, _ofBackends.GetValueOrDefault(backend) ?? new()])
        {
            foreach ((string group, object changes) in edits.Entries)
            {
                foreach ((string kind, object fields) in ((DraftMap)changes).Entries)
                {
                    if (fields is List<object> names)
                    {
                        List<object> removed = route.Map(group).List(kind);
                        removed.AddRange(names.Except(removed));
                        continue;
                    }
                    ((DraftMap)fields).Entries.ToList().ForEach(field =>
                        route.Map(group).Map(kind).Set(field.Key, field.Value));
                }
            }
        }
    }

    private static (string Group, string Kind, string Name, string Value)? Read(HaproxyLine line)
    {
        string? group = line.Word(0) switch
        {
            "http-request" => "request_headers",
            "http-response" => "response_headers",
            _ => null,
        };
        (string? kind, int words) = line.Word(1) switch
        {
            "set-header" => ("set", 4),
            "add-header" => ("add", 4),
            "del-header" => ("remove", 3),
            _ => ((string?)null, 0),
        };
        return group is null || kind is null || line.Words.Count != words
            || line.Word(3).Contains('%', StringComparison.Ordinal)
            || RouteRules.HeaderNameFault(line.Word(2), group == "response_headers", kind == "set") is not null
                ? null : (group, kind, line.Word(2), line.Word(3));
    }

    private static bool IsSentAnyway(HaproxyLine line) => line.Begins("http-request", "set-header")
        && (line.Word(2), line.Word(3)) is ("X-Forwarded-Proto", "https" or "http" or "%[ssl_fc,iif(https,http)]")
            or ("X-Forwarded-For", "%[src]") or ("X-Forwarded-Host", "%[req.hdr(Host)]" or "%[req.hdr(host)]");
}
