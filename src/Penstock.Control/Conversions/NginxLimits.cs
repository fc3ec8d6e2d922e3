using System.Globalization;

namespace Penstock.Control.Conversions;

/// <summary>The limits of a file of nginx. Its <c>limit_req</c> with <c>burst=N nodelay</c> admits N + 1 requests at
/// once and then as many as the rate says, which is a bucket of N + 1 tokens.</summary>
internal sealed class NginxLimits(Conversion conversion)
{
    private readonly Dictionary<string, (string Key, string Rate)> _zones = [];

    /// <summary>The limits that apply in a block. An inner block with limits replaces those of the outer.</summary>
    internal struct Scope
    {
        private List<string>? _names;
        private bool _own;

        public readonly IReadOnlyList<string> Names => _names ?? [];

        public void Add(string limit)
        {
            _names = _own ? _names! : [];
            _own = true;
            _names.Add(limit);
        }

        /// <summary>The same, for a block within.</summary>
        public readonly Scope Inner() => this with { _own = false };
    }

    public void AddZone(NginxDirective directive)
    {
        string zone = ValueOf(directive, "zone=").Split(':')[0], rate = ValueOf(directive, "rate=");
        if (zone.Length == 0 || (directive.Name == "limit_req_zone" && RateOf(rate) is null))
        {
            conversion.Leave(directive.Line, directive.Text, "it needs zone=NAME:SIZE, and rate=10r/s or 10r/m");
            return;
        }
        _zones[zone] = (directive.Word(0), RateOf(rate) ?? "");
    }

    /// <returns>False if the directive is no limit.</returns>
    public bool TryUse(NginxDirective directive, ref Scope scope)
    {
        if (directive.Name is not ("limit_req" or "limit_conn"))
        {
            return false;
        }
        bool byRate = directive.Name == "limit_req";
        string zone = byRate ? ValueOf(directive, "zone=") : directive.Word(0);
        if (!_zones.TryGetValue(zone, out (string Key, string Rate) known))
        {
            conversion.Leave(directive.Line, directive.Text, $"there is no zone '{zone}' that could be converted");
            return true;
        }
        if (ByOf(known.Key) is not { } by)
        {
            conversion.Leave(directive.Line, directive.Text,
                $"a limit counts by client, by address or for all, not by {known.Key}");
            return true;
        }
        var limit = new DraftMap();
        if (byRate)
        {
            string burst = ValueOf(directive, "burst=");
            long waiting = long.TryParse(burst, NumberStyles.None, CultureInfo.InvariantCulture, out long n) ? n : 0;
            limit.Set("capacity", $"{waiting + 1}").Set("rate", known.Rate);
            if (waiting > 0 && !directive.Words.Contains("nodelay"))
            {
                conversion.Leave(directive.Line, directive.Text,
                    "requests are admitted at once or rejected, not delayed: it is converted as with nodelay");
            }
        }
        else
        {
            limit.Set("concurrent", directive.Word(1));
        }
        limit.Set("by", by.Key);
        if (by.Source is { } source)
        {
            Identify(source);
        }
        string wanted = byRate ? zone : $"{zone}_concurrent";
        scope.Add(conversion.AddLimit(conversion.Root["limits"] is DraftMap limits && limits[wanted] is DraftMap other
            && !Same(other, limit) ? $"{wanted}_{directive.Line}" : wanted, limit));
        return true;
    }

    /// <summary><c>$http_x_api_key</c> is the field X-Api-Key.</summary>
    public static string FieldOf(string variable) => string.Join('-', variable["$http_".Length..].Split('_')
        .Select(static word => word.Length == 0 ? word : char.ToUpperInvariant(word[0]) + word[1..]));

    private void Identify(string source)
    {
        List<object> sources = conversion.Root.Map("clients").List("identify");
        if (!sources.Contains(source))
        {
            sources.Remove("address");
            sources.AddRange([source, "address"]);
        }
        conversion.Root.Map("clients").Set("unknown", "own"); // nginx gives each value a bucket of its own
    }

    private static (string Key, string? Source)? ByOf(string key) => key switch
    {
        "$binary_remote_addr" or "$remote_addr" => ("address", null),
        "$server_name" or "$host" or "$server_port" => ("all", null),
        _ when key.StartsWith("$http_", StringComparison.Ordinal) => ("client", $"header:{FieldOf(key)}"),
        _ when key.StartsWith("$arg_", StringComparison.Ordinal) => ("client", $"query:{key["$arg_".Length..]}"),
        _ => null,
    };

    /// <summary><c>10r/s</c> or <c>10r/m</c>; null if it is neither.</summary>
    private static string? RateOf(string text) => text.EndsWith("r/s", StringComparison.Ordinal)
        || text.EndsWith("r/m", StringComparison.Ordinal) ? text[..^3] + text[^2..] : null;

    private static string ValueOf(NginxDirective directive, string start) =>
        directive.Words.FirstOrDefault(word => word.StartsWith(start, StringComparison.Ordinal))?[start.Length..] ?? "";

    private static bool Same(DraftMap one, DraftMap other) => one.Entries.SequenceEqual(other.Entries);
}
