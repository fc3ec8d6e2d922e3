using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Routing;

/// <summary>The order of routes with the same host and path, and which routes therefore never get a request. The
/// narrower route comes first: the one with more conditions; if equally many, the one with more definite conditions
/// (one method instead of several, a value instead of any value). Pure.</summary>
public static class RouteOrder
{
    internal static IComparer<Route> OfRoutes { get; } =
        Comparer<Route>.Create(static (a, b) => Compare(a.Config, b.Config));

    /// <summary>Compares two routes with the same host and path. Negative: <paramref name="a"/> comes before
    /// <paramref name="b"/>; 0: the order in the configuration file decides.</summary>
    public static int Compare(RouteConfig a, RouteConfig b)
    {
        int conditions = Conditions(b).CompareTo(Conditions(a));
        return conditions != 0 ? conditions : Definite(b).CompareTo(Definite(a));
    }

    /// <summary>The hosts and paths that a route matches, without its conditions. Two routes that match the same ones
    /// have equal values.</summary>
    public static (string Host, string Path) ScopeOf(RouteConfig route) => (HostOf(route), route.Path ?? "/*");

    /// <summary>Whether every request that meets the conditions of <paramref name="other"/> also meets those of
    /// <paramref name="route"/>.</summary>
    public static bool Covers(RouteConfig route, RouteConfig other) =>
        (route.Methods.Count == 0 || (other.Methods.Count > 0 && other.Methods.All(route.Methods.Contains)))
        && route.Headers.All(h => other.Headers.Any(o => Implies(o, h, StringComparison.OrdinalIgnoreCase)))
        && route.Query.All(q => other.Query.Any(o => Implies(o, q, StringComparison.Ordinal)));

    /// <summary>The host in lower case, without a final dot; <c>*</c>: any host.</summary>
    internal static string HostOf(RouteConfig route) => (route.Host ?? "*").ToLowerInvariant().TrimEnd('.');

    private static bool Implies(RouteCondition met, RouteCondition wanted, StringComparison names) =>
        met.Name.Equals(wanted.Name, names) && (wanted.Value is null || wanted.Value == met.Value);

    private static int Conditions(RouteConfig route) =>
        Math.Min(1, route.Methods.Count) + route.Headers.Count + route.Query.Count;

    private static int Definite(RouteConfig route) =>
        (route.Methods.Count == 1 ? 1 : 0) + route.Headers.Concat(route.Query).Count(static c => c.Value is not null);
}
