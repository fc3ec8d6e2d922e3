using Penstock.Fuzz.Targets;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Routing;
using Xunit;

namespace Penstock.UnitTests.Routing;

/// <summary>The table against the reference, over random routes and requests that are near each other.</summary>
public sealed class RouteReferenceTests
{
    private const int Tables = 100;
    private const int Requests = 60;

    private static readonly string?[] Hosts = [null, "a.t", "b.a.t", "*.t", "*.a.t", "*.b.a.t", "t"];
    private static readonly string[] Asked = ["a.t", "A.T", "b.a.t", "c.b.a.t", "d.c.b.a.t", "t", "x", "ta.t", ".t"];
    private static readonly string[] Words = ["a", "b", "ab", "abc", "a.b", "..a"];
    private static readonly string[] Pieces =
    [
        "/", "/", "/", "a", "a", "b", "ab", "c", "..", "/..", ".", "/.", "%2e", "%2E.", "%2F", "%2f", "%5C", "\\", ";",
        "%3b", "//", "%61", "%25", "%252e", "%00", "%zz", "%", "%c3%a9", "..;/", "*",
    ];

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Match_is_what_the_reference_says(int seed)
    {
        var random = new Random(seed);
        var seen = new Dictionary<string, int>(StringComparer.Ordinal);
        for (int table = 0; table < Tables; table++)
        {
            RouteConfig[] routes = [.. Enumerable.Range(0, random.Next(1, 14)).Select(i => RandomRoute(random, i))];
            var probe = new RouteProbe(routes);
            for (int i = 0; i < Requests; i++)
            {
                string host = Pick(random, Asked);
                string path = random.Next(3) == 0 ? PlainPath(random) : "/" + string.Concat(
                    Enumerable.Range(0, random.Next(7)).Select(_ => Pick(random, Pieces)));
                string method = Pick(random, ["GET", "POST", "PUT"]);
                (string Name, string Value)[] fields = [.. Enumerable.Range(0, random.Next(3)).Select(_ =>
                    (Pick(random, ["X", "x", "Y"]), Pick(random, ["1", "2"])))];
                string? expected = RouteReference.Match(routes, host, path, method, fields);
                string? actual = probe.Match(host, path, method,
                    string.Concat(fields.Select(static f => $"{f.Name}: {f.Value}\r\n")));
                Assert.True(expected == actual, $"seed {seed}: {method} {host} {path} [{string.Join(' ', fields)}] is "
                    + $"'{actual}' but should be '{expected}' in\n{string.Join('\n', routes.AsEnumerable())}");
                string kind = expected is null or RouteProbe.Ambiguous ? expected ?? "none" : "route";
                seen[kind] = seen.GetValueOrDefault(kind) + 1;
            }
        }
        Assert.All(["none", RouteProbe.Ambiguous, "route"], kind => Assert.InRange(seen[kind], 300, int.MaxValue));
    }

    /// <summary>A route that another one covers gets no request, ever.</summary>
    [Theory]
    [InlineData(4)]
    [InlineData(5)]
    public void Route_that_is_covered_by_an_earlier_one_never_matches(int seed)
    {
        var random = new Random(seed);
        int hidden = 0;
        for (int table = 0; table < Tables; table++)
        {
            RouteConfig[] routes = [.. Enumerable.Range(0, 8)
                .Select(i => RandomRoute(random, i) with { Host = null, Path = "/a" })];
            RouteConfig[] tried = [.. routes.Order(Comparer<RouteConfig>.Create(RouteOrder.Compare))];
            string[] covered = [.. tried.Where((route, i) => tried.Take(i).Any(t => RouteOrder.Covers(t, route)))
                .Select(static r => r.Name)];
            hidden += covered.Length;
            var probe = new RouteProbe(routes);
            foreach (string method in new[] { "GET", "POST", "PUT" })
            {
                foreach (string fields in new[] { "", "X: 1\r\n", "X: 2\r\n", "Y: 1\r\n", "X: 1\r\nY: 2\r\n" })
                {
                    Assert.DoesNotContain(probe.Match("h", "/a", method, fields), covered);
                }
            }
        }
        Assert.InRange(hidden, Tables / 3, Tables * 7);
    }

    private static RouteConfig RandomRoute(Random random, int number) => new()
    {
        Name = $"r{number}",
        Upstream = "u",
        Host = Pick(random, Hosts),
        Path = random.Next(4) == 0 ? null : PlainPath(random) + Pick(random, ["", "*", "/*"]).Replace("//", "/"),
        Methods = random.Next(3) == 0 ? [.. new[] { "GET", "POST" }.Take(random.Next(1, 3))] : [],
        Headers = random.Next(3) == 0
            ? [new(Pick(random, ["X", "Y"]), Pick(random, ["1", "2", null]))] : [],
        Rewrite = random.Next(6) == 0 ? new RewriteConfig { AddPrefix = "/new" } : null,
    };

    private static string PlainPath(Random random) =>
        "/" + string.Join('/', Enumerable.Range(0, random.Next(1, 3)).Select(_ => Pick(random, Words)));

    private static T Pick<T>(Random random, IReadOnlyList<T> from) => from[random.Next(from.Count)];
}
