using System.Collections.Frozen;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Routing;

/// <summary>Finds the most specific route for a request: exact host, then the longest wildcard, then any; within a host
/// exact path, then the longest prefix; within a path the narrower conditions, then the order of the file. Immutable,
/// thread-safe.</summary>
internal sealed class RouteTable
{
    private const int MaxHostBytes = 255; // RFC 1035 §2.3.4; no route has a longer name

    private readonly FrozenDictionary<byte[], PathTable>.AlternateLookup<ReadOnlySpan<byte>> _exact;
    private readonly FrozenDictionary<byte[], PathTable>.AlternateLookup<ReadOnlySpan<byte>> _wildcards;
    private readonly bool _hasExact;

    /// <summary>Which lengths the wildcards' names have. Only ends of a host with these lengths are looked
    /// up.</summary>
    private readonly bool[] _wildcardBytes = new bool[MaxHostBytes + 1];
    private readonly int _longestWildcard;
    private readonly PathTable _any;

    /// <summary>No route depends on a path, so it does not matter how a backend reads one.</summary>
    private readonly bool _pathsAreAlike;

    public RouteTable(IEnumerable<Route> routes)
    {
        Route[] all = [.. routes.Order(RouteOrder.OfRoutes)]; // stable: equal routes keep the order of the file
        ILookup<string, Route> hosts = all.ToLookup(static r => RouteOrder.HostOf(r.Config));
        _exact = Tables(hosts.Where(static h => h.Key.Length > 0 && h.Key[0] != '*'), 0, out _hasExact);
        IGrouping<string, Route>[] wildcards =
            hosts.Where(static h => h.Key.StartsWith("*.", StringComparison.Ordinal)).ToArray();
        _wildcards = Tables(wildcards, 2, out _);
        foreach (int length in wildcards.Select(static h => h.Key.Length - 2).Where(static l => l <= MaxHostBytes))
        {
            _wildcardBytes[length] = true;
            _longestWildcard = Math.Max(_longestWildcard, length);
        }
        _any = new PathTable(hosts["*"]);
        _pathsAreAlike = all.All(static r => r.Config is { Path: null, Rewrite: null });
    }

    /// <param name="scratch">Memory at least twice as long as the path.</param>
    /// <param name="fault"><see cref="HttpFault.PathAmbiguous"/> when the path's readings lead to different routes;
    /// then the result is null.</param>
    public Route? Match(RequestHead request, ReadOnlySpan<byte> head, Span<byte> scratch, out HttpFault fault)
    {
        fault = HttpFault.None;
        Span<byte> room = stackalloc byte[MaxHostBytes];
        ReadOnlySpan<byte> host = HostOf(request.Authority.Of(head));
        int hostLength = 0;
        if (host.Length <= MaxHostBytes)
        {
            Ascii.ToLower(host, room, out hostLength);
        }

        ReadOnlySpan<byte> path = request.PathOf(head);
        return _pathsAreAlike || PathForms.IsPlain(path)
            ? Find(room[..hostLength], path, request, head)
            : MatchEveryReading(room[..hostLength], path, request, head, scratch, out fault);
    }

    private Route? MatchEveryReading(ReadOnlySpan<byte> host, ReadOnlySpan<byte> path, RequestHead request,
        ReadOnlySpan<byte> head, Span<byte> scratch, out HttpFault fault)
    {
        Route? route = null;
        bool agree = !PathForms.HasZero(path);
        for (int form = 0; form < PathForms.Count; form++)
        {
            int length = PathForms.Write(form, path, scratch, out bool hasDots);
            Route? found = Find(host, scratch[..length], request, head);
            route = form == 0 ? found : route;

            // Dot segments would lead out of the route's paths behind a stripped or added prefix.
            agree &= found == route && (!hasDots || route?.Rewrite is null);
        }
        fault = agree ? HttpFault.None : HttpFault.PathAmbiguous;
        return agree ? route : null;
    }

    private Route? Find(ReadOnlySpan<byte> host, ReadOnlySpan<byte> path, RequestHead request,
        ReadOnlySpan<byte> head)
    {
        if (_hasExact && _exact.TryGetValue(host, out PathTable? paths)
            && paths.Find(path, request, head) is { } exact)
        {
            return exact;
        }
        if (_longestWildcard > 0)
        {
            for (int dot = host.IndexOf((byte)'.'); dot >= 0;)
            {
                ReadOnlySpan<byte> parent = host[(dot + 1)..];
                if (dot > 0 && _wildcardBytes[parent.Length] && _wildcards.TryGetValue(parent, out paths)
                    && paths.Find(path, request, head) is { } wildcard)
                {
                    return wildcard;
                }
                int next = parent.IndexOf((byte)'.');
                dot = next < 0 ? -1 : dot + 1 + next;
            }
        }
        return _any.Find(path, request, head);
    }

    private static FrozenDictionary<byte[], PathTable>.AlternateLookup<ReadOnlySpan<byte>> Tables(
        IEnumerable<IGrouping<string, Route>> hosts, int skip, out bool hasAny)
    {
        FrozenDictionary<byte[], PathTable> tables = hosts.ToFrozenDictionary(
            h => Encoding.UTF8.GetBytes(h.Key[skip..]), static h => new PathTable(h), new BytesComparer());
        hasAny = tables.Count > 0;
        return tables.GetAlternateLookup<ReadOnlySpan<byte>>();
    }

    /// <summary>The host without the port and without the final dot of an absolute name.</summary>
    private static ReadOnlySpan<byte> HostOf(ReadOnlySpan<byte> authority)
    {
        int end = authority.IsEmpty || authority[0] != '['
            ? authority.IndexOf((byte)':') : authority.IndexOf((byte)']') + 1;
        ReadOnlySpan<byte> host = end < 0 ? authority : authority[..end];
        return host.EndsWith("."u8) ? host[..^1] : host;
    }

    private sealed class BytesComparer : IEqualityComparer<byte[]>,
        IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
    {
        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

        public int GetHashCode([DisallowNull] byte[] obj) => GetHashCode(obj.AsSpan());

        // Only the operator's names are stored, so nobody can choose names that collide.
        public int GetHashCode(ReadOnlySpan<byte> alternate)
        {
            var hash = default(HashCode);
            hash.AddBytes(alternate);
            return hash.ToHashCode();
        }

        public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();
    }
}
