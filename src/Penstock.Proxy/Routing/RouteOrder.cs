using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Routing;

/// <summary>Which of two routes with the same host and path comes first, and which never gets a request for that
/// reason. The narrower comes first: more conditions; of equally many, more definite ones, which are one method rather
/// than several, and a value rather than any.</summary>
public static class RouteOrder
{
    internal static IComparer<Route> OfRoutes { get; } =
        Comparer<Route>.Create(static (a, b) => Compare(a.Config, b.Config));

    /// <summary>Less than 0 when <paramref name="a"/> is tried before <paramref name="b"/>, 0 when the order of the
    /// file decides. For routes with the same host and path.</summary>
    public static int Compare(RouteConfig a, RouteConfig b)
    {
        int conditions = Conditions(b).CompareTo(Conditions(a));
        return conditions != 0 ? conditions : Definite(b).CompareTo(Definite(a));
    }

    /// <summary>Equal for routes that stand for the same hosts and paths, conditions aside.</summary>
    public static (string Host, string Path) ScopeOf(RouteConfig route) => (HostOf(route), route.Path ?? "/*");

    /// <summary>Does every request that meets the conditions of <paramref name="other"/> meet those of
    /// <paramref name="route"/>, too?</summary>
    public static bool Covers(RouteConfig route, RouteConfig other) =>
        (route.Methods.Count == 0 || (other.Methods.Count > 0 && other.Methods.All(route.Methods.Contains)))
        && route.Headers.All(h => other.Headers.Any(o => Implies(o, h, StringComparison.OrdinalIgnoreCase)))
        && route.Query.All(q => other.Query.Any(o => Implies(o, q, StringComparison.Ordinal)));

    /// <summary>In lower case, without a final dot; <c>*</c> is any.</summary>
    internal static string HostOf(RouteConfig route) => (route.Host ?? "*").ToLowerInvariant().TrimEnd('.');

    private static bool Implies(RouteCondition met, RouteCondition wanted, StringComparison names) =>
        met.Name.Equals(wanted.Name, names) && (wanted.Value is null || wanted.Value == met.Value);

    private static int Conditions(RouteConfig route) =>
        Math.Min(1, route.Methods.Count) + route.Headers.Count + route.Query.Count;

    private static int Definite(RouteConfig route) =>
        (route.Methods.Count == 1 ? 1 : 0) + route.Headers.Concat(route.Query).Count(static c => c.Value is not null);
}
