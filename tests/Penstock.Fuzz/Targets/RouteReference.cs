using System.Globalization;
using System.Text.RegularExpressions;
using Penstock.Proxy.Configuration;

namespace Penstock.Fuzz.Targets;

/// <summary>A second implementation of docs/routing.md: slow, with strings.</summary>
internal static partial class RouteReference
{
    private const int MatchTimeoutMs = 60_000;

    /// <summary>The name of the route, null for none, or <see cref="RouteProbe.Ambiguous"/>.</summary>
    public static string? Match(IReadOnlyList<RouteConfig> routes, string host, string path, string method,
        IReadOnlyList<(string Name, string Value)> fields)
    {
        string?[] found = [.. Readings(path).Select(reading =>
            Find(routes, host, reading, method, fields)?.Name)];
        if (routes.All(static r => r is { Path: null, Rewrite: null }))
        {
            return found[0];
        }
        bool rewrites = routes.FirstOrDefault(r => r.Name == found[0])?.Rewrite is not null;
        return found.Distinct().Count() > 1 || path.Contains("%00", StringComparison.Ordinal)
            || (rewrites && HasDots(path)) ? RouteProbe.Ambiguous : found[0];
    }

    private static RouteConfig? Find(IReadOnlyList<RouteConfig> routes, string host, string path, string method,
        IReadOnlyList<(string Name, string Value)> fields) => routes
        .Where(r => HostRank(r, host) >= 0 && PathRank(r, path) >= 0)
        .Where(r => r.Methods.Count == 0 || r.Methods.Contains(method))
        .Where(r => r.Headers.All(h => fields.Any(f => f.Name.Equals(h.Name, StringComparison.OrdinalIgnoreCase)
            && (h.Value is null || h.Value == f.Value))))
        .OrderByDescending(r => HostRank(r, host))
        .ThenByDescending(r => PathRank(r, path))
        .ThenByDescending(static r => (r.Methods.Count > 0 ? 1 : 0) + r.Headers.Count)
        .ThenByDescending(static r => r.Headers.Count(static h => h.Value is not null)
            + (r.Methods.Count == 1 ? 1 : 0))
        .FirstOrDefault();

    private static int HostRank(RouteConfig route, string host) => route.Host switch
    {
        null => 0,
        _ when route.Host.Equals(host, StringComparison.OrdinalIgnoreCase) => int.MaxValue,
        ['*', ..] when host.Length >= route.Host.Length
            && host.EndsWith(route.Host[1..], StringComparison.OrdinalIgnoreCase) => route.Host.Length,
        _ => -1,
    };

    private static int PathRank(RouteConfig route, string path) => route.Path switch
    {
        null => 0,
        [.. var prefix, '*'] => path.StartsWith(prefix, StringComparison.Ordinal)
            || (prefix is [_, .., '/'] && path == prefix[..^1]) ? prefix.Length : -1,
        _ => path == route.Path ? int.MaxValue : -1,
    };

    private static IEnumerable<string> Readings(string path)
    {
        string plain = Decode(path, "/\\;%\0");
        yield return plain;
        yield return RemoveDotSegments(plain);
        yield return Clean(Decode(path, ""));
        yield return Clean(Decode(Parameters().Replace(path, ""), "").Replace('\\', '/'));
    }

    private static bool HasDots(string path) => new[]
    {
        Decode(path, ""), Decode(Parameters().Replace(path, ""), "").Replace('\\', '/'),
    }.Any(static p => p.Split('/').Any(static s => s is "." or ".."));

    private static string Decode(string path, string except) => Encoded().Replace(path, match =>
    {
        char decoded = (char)int.Parse(match.ValueSpan[1..], NumberStyles.HexNumber, CultureInfo.InvariantCulture);
        return except.Contains(decoded, StringComparison.Ordinal) ? match.Value : decoded.ToString();
    });

    /// <summary>RFC 3986 §5.2.4, step by step.</summary>
    private static string RemoveDotSegments(string input)
    {
        string output = "";
        while (input.Length > 0)
        {
            if (input.StartsWith("/./", StringComparison.Ordinal))
            {
                input = input[2..];
            }
            else if (input == "/.")
            {
                input = "/";
            }
            else if (input.StartsWith("/../", StringComparison.Ordinal) || input == "/..")
            {
                input = input == "/.." ? "/" : input[3..];
                output = output[..Math.Max(0, output.LastIndexOf('/'))];
            }
            else
            {
                int end = input.IndexOf('/', 1);
                end = end < 0 ? input.Length : end;
                output += input[..end];
                input = input[end..];
            }
        }
        return output;
    }

    private static string Clean(string path) => RemoveDotSegments(Slashes().Replace(path, "/"));

    [GeneratedRegex("%[0-9A-Fa-f]{2}", RegexOptions.None, MatchTimeoutMs)]
    private static partial Regex Encoded();

    [GeneratedRegex(";[^/]*", RegexOptions.None, MatchTimeoutMs)]
    private static partial Regex Parameters();

    [GeneratedRegex("/+", RegexOptions.None, MatchTimeoutMs)]
    private static partial Regex Slashes();
}
