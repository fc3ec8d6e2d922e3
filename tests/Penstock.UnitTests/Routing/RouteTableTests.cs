using Penstock.Fuzz.Targets;
using Penstock.Proxy.Configuration;
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
    [InlineData("other", "/api", "PUT", "* /api/* *")]
    [InlineData("other", "/api", "GET", "* /api/* GET")]
    [InlineData("other", "/api/", "PUT", "* /api/* *")]
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
    [InlineData(".example", "/", "GET", "* /* *")]
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
        Assert.Equal("* /* *", Match(["a.example /x *", "*.example /z *", "* /* *"], "a.example", "/y", "GET"));

    [Theory]
    [InlineData("a.example", "/x", "GET")]
    [InlineData("b.example", "/y", "GET")]
    [InlineData("a.example", "/y", "PUT")]
    public void Match_without_a_route_is_null(string host, string path, string method) =>
        Assert.Null(Match(["a.example /y GET"], host, path, method));

    [Fact]
    public void Match_of_a_host_longer_than_any_name_is_any() =>
        Assert.Equal("* * *", Match(["* * *", "*.example * *"], new string('a', 300) + ".example", "/", "GET"));

    [Theory]
    [InlineData("GET", "read")]
    [InlineData("HEAD", "read")]
    [InlineData("POST", "post")]
    [InlineData("PUT", "rest")]
    public void Match_of_several_methods_is_any_of_them(string method, string route)
    {
        var probe = new RouteProbe([new() { Upstream = "u", Name = "rest" },
            new() { Upstream = "u", Name = "read", Methods = ["GET", "HEAD", "POST"] },
            new() { Upstream = "u", Name = "post", Methods = ["POST"] }]);
        Assert.Equal(route, probe.Match("a", "/", method));
    }

    [Theory]
    [InlineData("", "rest")]
    [InlineData("X-Version: 2\r\n", "two")]
    [InlineData("x-vERSION:2\r\n", "two")]
    [InlineData("X-Version: 1\r\nX-Version: 2\r\n", "two")]
    [InlineData("X-Version: 2.0\r\n", "any")]
    [InlineData("X-Version:\r\n", "any")]
    [InlineData("X-Version: 2\r\nX-Debug: 1\r\n", "debug")]
    [InlineData("X-Debug: 1\r\n", "rest")]
    [InlineData("X_Version: 2\r\n", "rest")]
    public void Match_of_headers_is_the_narrowest_whose_fields_are_there(string fields, string route)
    {
        RouteConfig[] routes =
        [
            new() { Upstream = "u", Name = "rest" },
            new() { Upstream = "u", Name = "any", Headers = [new("X-Version", null)] },
            new() { Upstream = "u", Name = "two", Headers = [new("X-Version", "2")] },
            new() { Upstream = "u", Name = "debug", Headers = [new("X-Version", null), new("X-Debug", null)] },
        ];
        Assert.Equal(route, new RouteProbe(routes).Match("a", "/", fields: fields));
        Assert.Equal(route, new RouteProbe(routes.Reverse()).Match("a", "/", fields: fields));
    }

    [Theory]
    [InlineData("/", "rest")]
    [InlineData("/?action=delete", "delete")]
    [InlineData("/?x&action=list&action=delete", "delete")]
    [InlineData("/?%61ction=d%65lete", "delete")]
    [InlineData("/?action=delete%00", "any")]
    [InlineData("/?action=deletes", "any")]
    [InlineData("/?action", "any")]
    [InlineData("/?action=delete+all", "all")]
    [InlineData("/?action=delete%20all&x=%", "all")]
    [InlineData("/?actions=delete", "rest")]
    [InlineData("/?xaction=delete&&=", "rest")]
    public void Match_of_a_query_is_as_backends_decode_it(string target, string route)
    {
        var probe = new RouteProbe([new() { Upstream = "u", Name = "rest" },
            new() { Upstream = "u", Name = "any", Query = [new("action", null)] },
            new() { Upstream = "u", Name = "all", Query = [new("action", "delete all")] },
            new() { Upstream = "u", Name = "delete", Query = [new("action", "delete")] }]);
        Assert.Equal(route, probe.Match("a", target));
    }

    [Fact]
    public void Match_of_equal_conditions_is_the_first_in_the_file()
    {
        RouteConfig[] routes =
        [
            new() { Upstream = "u", Name = "get", Methods = ["GET"] },
            new() { Upstream = "u", Name = "header", Headers = [new("X", "1")] },
            new() { Upstream = "u", Name = "query", Query = [new("x", "1")] },
        ];
        Assert.Equal("get", new RouteProbe(routes).Match("a", "/?x=1", fields: "X: 1\r\n"));
        Assert.Equal("query", new RouteProbe(routes.Reverse()).Match("a", "/?x=1", fields: "X: 1\r\n"));
    }

    // ---- paths that can be read in several ways

    /// <summary>A client must not get at what lies behind /admin/* under another route's limit.</summary>
    [Theory]
    [InlineData("/admin/x", "admin")]
    [InlineData("/admin", "admin")]
    [InlineData("/%61dmin/x", "admin")]
    [InlineData("/adm%69n", "admin")]
    [InlineData("/admin%3ax", "rest")]
    [InlineData("/admin//x", "admin")]
    [InlineData("/admin/./x/../y", "admin")]
    [InlineData("/admin/%2e%2e/admin/y", "admin")]
    [InlineData("/admin/a%2Fb", "admin")]
    [InlineData("/admin/x;id=1", "admin")]
    [InlineData("/a/b/../c", "rest")]
    [InlineData("/a//b/.well-known/x%20y", "rest")]
    [InlineData("/a;b/c%2Fd%25", "rest")]
    [InlineData("/%zz%4", "rest")]
    [InlineData("//admin/x", RouteProbe.Ambiguous)]
    [InlineData("/./admin/x", RouteProbe.Ambiguous)]
    [InlineData("/a/../admin/x", RouteProbe.Ambiguous)]
    [InlineData("/a/%2e%2E/admin", RouteProbe.Ambiguous)]
    [InlineData("/a/..%2Fadmin/x", RouteProbe.Ambiguous)]
    [InlineData("/a%2F..%2fadmin/x", RouteProbe.Ambiguous)]
    [InlineData("/a//../admin/x", RouteProbe.Ambiguous)]
    [InlineData("/%2Fadmin", RouteProbe.Ambiguous)]
    [InlineData("/admin%2Fx", RouteProbe.Ambiguous)]
    [InlineData("/admin;x", RouteProbe.Ambiguous)]
    [InlineData("/admin;x/y", RouteProbe.Ambiguous)]
    [InlineData("/a/..;/admin/x", RouteProbe.Ambiguous)]
    [InlineData("/admin\\x", RouteProbe.Ambiguous)]
    [InlineData("/admin%5cx", RouteProbe.Ambiguous)]
    [InlineData("/a\\..\\admin", RouteProbe.Ambiguous)]
    [InlineData("/admin/..", RouteProbe.Ambiguous)]
    [InlineData("/admin/../a", RouteProbe.Ambiguous)]
    [InlineData("/admin/..%2fa", RouteProbe.Ambiguous)]
    [InlineData("/a%00", RouteProbe.Ambiguous)]
    public void Match_of_a_path_that_servers_read_differently_holds_for_all_of_them_or_is_rejected(
        string path, string route)
    {
        var probe = new RouteProbe([new() { Upstream = "u", Name = "rest" },
            new() { Upstream = "u", Name = "admin", Path = "/admin/*" }]);
        Assert.Equal(route, probe.Match("a", path));
        Assert.Equal(route, probe.Match("a", path + "?q=/../admin"));
        Assert.Equal(route, probe.Match("a", "http://b" + path));
    }

    [Theory]
    [InlineData("/a/../admin%2F;x\\%00")]
    [InlineData("//")]
    public void Match_does_not_mind_a_path_where_none_decides_anything(string path)
    {
        var probe = new RouteProbe([new() { Upstream = "u", Name = "rest" },
            new() { Upstream = "u", Name = "a", Host = "a" }]);
        Assert.Equal("a", probe.Match("a", path));
    }

    [Theory]
    [InlineData("/v1/a", "v1")]
    [InlineData("/v1//a%2Fb;c", "v1")]
    [InlineData("/v1/a/../b", RouteProbe.Ambiguous)]
    [InlineData("/v1/a/..%2fb", RouteProbe.Ambiguous)]
    [InlineData("/v1/a/..;/b", RouteProbe.Ambiguous)]
    [InlineData("/v1/a/..\\b", RouteProbe.Ambiguous)]
    [InlineData("/v1/./b", RouteProbe.Ambiguous)]
    public void Match_of_a_route_that_rewrites_takes_no_dot_segments(string path, string route)
    {
        var rewrite = new RewriteConfig { StripPrefix = "/v1", AddPrefix = "/api" };
        Assert.Equal(route, new RouteProbe([new() { Upstream = "u", Name = "v1", Path = "/v1/*", Rewrite = rewrite }])
            .Match("a", path));
    }

    [Fact]
    public void Match_of_a_configured_path_is_decoded_too()
    {
        var probe = new RouteProbe([new() { Upstream = "u", Name = "cafe", Path = "/caf%C3%A9/*" },
            new() { Upstream = "u", Name = "tilde", Path = "/%7Eme" }]);
        Assert.Equal("cafe", probe.Match("a", "/caf%c3%a9/x"));
        Assert.Equal("cafe", probe.Match("a", "/c%61f%C3%a9"));
        Assert.Equal("tilde", probe.Match("a", "/~me"));
        Assert.Equal("tilde", probe.Match("a", "/%7eme"));
    }

    /// <summary>Routes are written <c>host path method</c>.</summary>
    private static string? Match(IEnumerable<string> routes, string host, string path, string method) =>
        new RouteProbe(routes.Select(static text =>
        {
            string?[] parts = [.. text.Split(' ').Select(static p => p == "*" ? null : p)];
            return new RouteConfig
            {
                Name = text, Host = parts[0], Path = parts[1], Methods = parts[2] is { } m ? [m] : [], Upstream = "u",
            };
        })).Match(host, path, method);
}
