using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Routing;

/// <summary>A compiled route.</summary>
/// <param name="Name">For logs: what the operator would call it.</param>
/// <param name="LimitNumber">The limit of clients without one of their own; -1: none.</param>
internal sealed record Route(RouteConfig Config, string Name, Upstream Upstream, int LimitNumber)
{
    public byte[] NameOctets { get; } = Encoding.UTF8.GetBytes(Name);
}

/// <summary>Finds the most specific route for a request: exact host, then the longest wildcard, then any; within a host
/// exact path, then the longest prefix; with a method before without. Immutable, thread-safe.</summary>
internal sealed class RouteTable
{
    private readonly Entry[] _entries;

    public RouteTable(IEnumerable<Route> routes) => _entries = [.. routes.Select(static r => new Entry(r))
        .OrderByDescending(static e => e.HostRank).ThenByDescending(static e => e.PathRank)
        .ThenByDescending(static e => e.Method.Length > 0)];

    /// <param name="authority">Host field: the port is not looked at.</param>
    /// <param name="path">As sent, without query; compared octet by octet.</param>
    public Route? Match(ReadOnlySpan<byte> authority, ReadOnlySpan<byte> path, ReadOnlySpan<byte> method)
    {
        ReadOnlySpan<byte> host = HostOf(authority);
        foreach (Entry entry in _entries)
        {
            if (entry.Matches(host, path, method))
            {
                return entry.Route;
            }
        }
        return null;
    }

    private static ReadOnlySpan<byte> HostOf(ReadOnlySpan<byte> authority)
    {
        int end = authority.IsEmpty || authority[0] != '['
            ? authority.IndexOf((byte)':') : authority.IndexOf((byte)']') + 1;
        ReadOnlySpan<byte> host = end < 0 ? authority : authority[..end];
        return host.EndsWith("."u8) ? host[..^1] : host;
    }

    private sealed class Entry
    {
        private readonly byte[] _host;
        private readonly bool _anyHost;
        private readonly bool _wildcardHost;
        private readonly byte[] _path;
        private readonly bool _pathPrefix;

        public Entry(Route route)
        {
            Route = route;
            string host = route.Config.Host ?? "*";
            _anyHost = string.Equals(host, "*", StringComparison.Ordinal);
            _wildcardHost = !_anyHost && host.StartsWith("*.", StringComparison.Ordinal);
            _host = Encoding.UTF8.GetBytes(_wildcardHost ? host[1..] : host);
            string path = route.Config.Path ?? "*";
            _pathPrefix = path.EndsWith('*');
            _path = Encoding.UTF8.GetBytes(_pathPrefix ? path[..^1] : path);
            Method = Encoding.ASCII.GetBytes(route.Config.Method ?? "");
        }

        public Route Route { get; }
        public byte[] Method { get; }

        public int HostRank => _anyHost ? 0 : _wildcardHost ? _host.Length : int.MaxValue;
        public int PathRank => _pathPrefix ? _path.Length : int.MaxValue;

        public bool Matches(ReadOnlySpan<byte> host, ReadOnlySpan<byte> path, ReadOnlySpan<byte> method) =>
            (_anyHost || (_wildcardHost
                ? host.Length > _host.Length && Ascii.EqualsIgnoreCase(host[^_host.Length..], _host)
                : Ascii.EqualsIgnoreCase(host, _host)))
            && (_pathPrefix ? path.StartsWith(_path) : path.SequenceEqual(_path))
            && (Method.Length == 0 || method.SequenceEqual(Method));
    }
}
