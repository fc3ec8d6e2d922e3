using System.Text;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Routing;

/// <summary>The routes of one host by path: first an exact path, then the longest prefix, then shorter ones. A lookup
/// is one binary search over all paths, then steps from a prefix to the next shorter one. Immutable,
/// thread-safe.</summary>
internal sealed class PathTable
{
    private readonly byte[][] _paths;
    private readonly Node[] _nodes;

    /// <param name="routes">The host's routes; of those with the same path the narrower one first.</param>
    public PathTable(IEnumerable<Route> routes)
    {
        var exact = new SortedDictionary<string, List<Route>>(StringComparer.Ordinal);
        var prefixes = new SortedDictionary<string, List<Route>>(StringComparer.Ordinal);
        foreach (Route route in routes)
        {
            string path = route.Config.Path ?? "*";
            bool isPrefix = path.EndsWith('*');
            RoutesAt(isPrefix ? prefixes : exact, Plain(isPrefix ? path[..^1] : path)).Add(route);
        }
        foreach ((string prefix, List<Route> below) in prefixes.Where(static p => p.Key is [_, .., '/']))
        {
            RoutesAt(exact, prefix[..^1]).AddRange(below); // /v1/* also matches /v1
        }

        // One byte is one character here, so ordinal order is the order of the bytes.
        string[] paths = [.. exact.Keys.Union(prefixes.Keys).Order(StringComparer.Ordinal)];
        _paths = [.. paths.Select(Encoding.Latin1.GetBytes)];
        _nodes = new Node[paths.Length];
        for (int i = 0; i < paths.Length; i++)
        {
            int parent = i - 1;
            while (parent >= 0 && !paths[i].StartsWith(paths[parent], StringComparison.Ordinal))
            {
                parent = _nodes[parent].Parent;
            }
            _nodes[i] = new Node([.. exact.GetValueOrDefault(paths[i], [])],
                [.. prefixes.GetValueOrDefault(paths[i], [])], parent);
        }
    }

    public Route? Find(ReadOnlySpan<byte> path, RequestHead request, ReadOnlySpan<byte> head)
    {
        int at = LastUpTo(path);
        if (at >= 0 && _paths[at].Length == path.Length && path.SequenceEqual(_paths[at])
            && First(_nodes[at].Exact, request, head) is { } exact)
        {
            return exact;
        }

        // The longest prefix of the path is the last entry up to the path, or that entry's longest prefix, because
        // every entry between a prefix and the path starts with the prefix.
        for (; at >= 0; at = _nodes[at].Parent)
        {
            if (_nodes[at].Below.Length > 0 && path.StartsWith(_paths[at])
                && First(_nodes[at].Below, request, head) is { } route)
            {
                return route;
            }
        }
        return null;
    }

    private static Route? First(Route[] routes, RequestHead request, ReadOnlySpan<byte> head)
    {
        foreach (Route route in routes)
        {
            if (route.Conditions.Hold(request, head))
            {
                return route;
            }
        }
        return null;
    }

    private int LastUpTo(ReadOnlySpan<byte> path)
    {
        int low = 0;
        int high = _paths.Length;
        while (low < high)
        {
            int middle = (low + high) >>> 1;
            if (path.SequenceCompareTo(_paths[middle]) >= 0)
            {
                low = middle + 1;
            }
            else
            {
                high = middle;
            }
        }
        return low - 1;
    }

    private static List<Route> RoutesAt(SortedDictionary<string, List<Route>> routesByPath, string path)
    {
        if (!routesByPath.TryGetValue(path, out List<Route>? routes))
        {
            routesByPath[path] = routes = [];
        }
        return routes;
    }

    /// <summary>A configured path in the form for comparing: decoded, one character per byte.</summary>
    private static string Plain(string path)
    {
        byte[] bytes = Encoding.UTF8.GetBytes(path);
        int length = bytes.Length == 0 ? 0 : PathForms.Write(0, bytes, bytes, out _);
        return Encoding.Latin1.GetString(bytes, 0, length);
    }

    /// <param name="Exact">Routes of this exact path, and of the prefix that is this path with a slash.</param>
    /// <param name="Below">Routes of this prefix.</param>
    /// <param name="Parent">Index of the longest other path that this one starts with; -1: none.</param>
    private readonly record struct Node(Route[] Exact, Route[] Below, int Parent);
}
