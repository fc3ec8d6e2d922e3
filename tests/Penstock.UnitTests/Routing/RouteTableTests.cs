using System.Text;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Routing;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Routing;

public sealed class RouteTableTests
{
    private static readonly string[] Everything =
    [
        "* * *", "* /* *", "* /api* *", "* /api/* *", "* /api/v1 *", "* /api/v1 POST", "* /api/* GET",
        "a.example * *", "a.example /api/* *", "*.example * *", "*.b.example * *", "*.b.example /x DELETE",
    ];

    [Theory]
    [InlineData("other", "/", "GET", "* /* *")]
    [InlineData("other", "*", "OPTIONS", "* * *")]
    [InlineData("other", "/apis", "GET", "* /api* *")]
    [InlineData("other", "/api/v2", "PUT", "* /api/* *")]
    [InlineData("other", "/api/v2", "GET", "* /api/* GET")]
    [InlineData("other", "/api/v1", "GET", "* /api/v1 *")]
    [InlineData("other", "/api/v1", "POST", "* /api/v1 POST")]
    [InlineData("other", "/api/v1", "post", "* /api/v1 *")]
    [InlineData("other", "/api/v1/", "PUT", "* /api/* *")]
    [InlineData("other", "/API/v1", "PUT", "* /* *")]
    [InlineData("a.example", "/api/v1", "GET", "a.example /api/* *")]
    [InlineData("a.example", "/", "GET", "a.example * *")]
    [InlineData("A.EXAMPLE:8080", "/", "GET", "a.example * *")]
    [InlineData("a.example.", "/", "GET", "a.example * *")]
    [InlineData("a.example.:80", "/", "GET", "a.example * *")]
    [InlineData("b.example", "/", "GET", "*.example * *")]
    [InlineData("x.b.example", "/", "GET", "*.b.example * *")]
    [InlineData("x.b.EXAMPLE", "/x", "DELETE", "*.b.example /x DELETE")]
    [InlineData("y.x.b.example", "/x", "GET", "*.b.example * *")]
    [InlineData("example", "/", "GET", "* /* *")]
    [InlineData("notb.example", "/", "GET", "*.example * *")]
    [InlineData("", "/", "GET", "* /* *")]
    public void Match_is_the_most_specific_in_whatever_order(string host, string path, string method, string route)
    {
        Assert.Equal(route, Match(Everything, host, path, method));
        Assert.Equal(route, Match(Everything.Reverse(), host, path, method));
    }

    [Theory]
    [InlineData("[2001:db8::1]:80")]
    [InlineData("[2001:DB8::1]")]
    public void Match_knows_an_ipv6_host(string authority) =>
        Assert.Equal("[2001:db8::1] * *", Match(["[2001:db8::1] * *", "*.example * *"], authority, "/", "GET"));

    [Fact]
    public void Match_of_a_host_that_has_no_route_for_the_path_is_a_less_specific_hosts() =>
        Assert.Equal("* /* *", Match(["a.example /x *", "* /* *"], "a.example", "/y", "GET"));

    [Theory]
    [InlineData("a.example", "/x", "GET")]
    [InlineData("b.example", "/y", "GET")]
    [InlineData("a.example", "/y", "PUT")]
    public void Match_without_a_route_is_null(string host, string path, string method) =>
        Assert.Null(Match(["a.example /y GET"], host, path, method));

    /// <summary>Routes are written <c>host path method</c>.</summary>
    private static string? Match(IEnumerable<string> routes, string host, string path, string method)
    {
        var backend = new Backend("u", new BackendConfig { Host = "127.0.0.1", Port = 1 });
        var upstream = new Upstream(new UpstreamConfig { Name = "u", Backends = [backend.Config] },
            new MonotonicClock(TimeProvider.System));
        var table = new RouteTable(routes.Select(text =>
        {
            string?[] parts = [.. text.Split(' ').Select(static p => p == "*" ? null : p)];
            var config = new RouteConfig { Host = parts[0], Path = parts[1], Method = parts[2], Upstream = "u" };
            return new Route(config, text, upstream, -1);
        }));
        return table.Match(Encoding.ASCII.GetBytes(host), Encoding.ASCII.GetBytes(path),
            Encoding.ASCII.GetBytes(method))?.Name;
    }
}
