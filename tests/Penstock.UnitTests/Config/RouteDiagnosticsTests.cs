using Xunit;

namespace Penstock.UnitTests.Config;

/// <summary>Every diagnostic about routes; those of the oldest keys are with the others.</summary>
public sealed class RouteDiagnosticsTests
{
    private const string FieldFault =
        "Penstock writes this field itself, or drops it | framing and forwarding depend on it | ";

    private const string PathFault = "servers read it in different ways | write it without '//', '.' and '..' "
        + "segments, ';', '\\' and an encoded '/' or '%' | ";

    [Theory]
    [InlineData("{ method: [], upstream: web }",
        "5+6 'method' is empty | write GET or [GET, HEAD], or leave it out | routes[1].method")]
    [InlineData("{ method: [GET, \"G T\"], upstream: web }",
        "19+5 method: 'G T' is not a method | write GET or POST | routes[1].method[1]")]
    [InlineData("{ name: a/b, upstream: web }", "11+3 name: 'a/b' is not a name | use up to 64 letters, digits, '-', "
        + "'_' and '.' | routes[1].name")]
    [InlineData("{ path: /a//b, upstream: web }", "11+5 path: '/a//b': " + PathFault + "routes[1].path")]
    [InlineData("{ path: /a/.., upstream: web }", "11+5 path: '/a/..': " + PathFault + "routes[1].path")]
    [InlineData("{ path: /a%2fb, upstream: web }", "11+6 path: '/a%2fb': " + PathFault + "routes[1].path")]
    [InlineData("{ path: \"/a/%2E/*\", upstream: web }",
        "11+10 path: '/a/%2E/*': " + PathFault + "routes[1].path")]
    [InlineData("{ headers: { hOst: a }, upstream: web }",
        "16+4 Host cannot be a header condition | write host: NAME in the route | routes[1].headers")]
    [InlineData("{ headers: { \"X Y\": a }, upstream: web }",
        "16+5 'X Y' is not a header name | write one such as X-Version | routes[1].headers")]
    [InlineData("{ headers: { X: [a] }, upstream: web }",
        "16+1 X: expected a value, found a list | write one value behind 'X:' | routes[1].headers.X")]
    [InlineData("{ headers: X, upstream: web }",
        "14+1 headers: expected a mapping of names, found a value "
        + "| write headers: { NAME: … } | routes[1].headers")]
    [InlineData("{ query: { \"\": a }, upstream: web }", "14+2 a query parameter needs a name |  | routes[1].query")]
    [InlineData("{ timeouts: { response: 5 }, upstream: web }",
        "27+1 response: '5' has no unit | write 5s or 5000ms | routes[1].timeouts.response")]
    [InlineData("{ timeouts: { head: 5s }, upstream: web }",
        "17+4 unknown key 'head' | known keys: connect, response | routes[1].timeouts")]
    [InlineData("{ path: /v1/*, rewrite: {}, upstream: web }", "18+7 'rewrite' changes nothing "
        + "| write strip_prefix: /v1 or add_prefix: /api | routes[1].rewrite")]
    [InlineData("{ path: /v2/*, rewrite: { strip_prefix: /v1 }, upstream: web }", "43+3 the route's path does not "
        + "start with '/v1' | write path: /v1/* in the route | routes[1].rewrite.strip_prefix")]
    [InlineData("{ rewrite: { strip_prefix: /v1 }, upstream: web }", "30+3 the route's path does not start "
        + "with '/v1' | write path: /v1/* in the route | routes[1].rewrite.strip_prefix")]
    [InlineData("{ rewrite: { add_prefix: \"/a?b\" }, upstream: web }",
        "28+6 add_prefix: '/a?b' is not a prefix | write /v1 | routes[1].rewrite.add_prefix")]
    [InlineData("{ rewrite: { add_prefix: /a/../b }, upstream: web }",
        "28+7 add_prefix: '/a/../b': " + PathFault + "routes[1].rewrite.add_prefix")]
    [InlineData("{ request_headers: { set: { Content-Length: 1 } }, upstream: web }",
        "31+14 'Content-Length': " + FieldFault + "routes[1].request_headers.set")]
    [InlineData("{ request_headers: { add: { proxy-authorization: 1 } }, upstream: web }",
        "31+19 'proxy-authorization': " + FieldFault + "routes[1].request_headers.add")]
    [InlineData("{ request_headers: { remove: [A, x_forwarded_for] }, upstream: web }",
        "36+15 remove: 'x_forwarded_for': " + FieldFault + "routes[1].request_headers.remove[1]")]
    [InlineData("{ request_headers: { add: { Host: a } }, upstream: web }",
        "31+4 'Host': a request has exactly one Host | use 'set' | routes[1].request_headers.add")]
    [InlineData("{ request_headers: { set: { Host: a b } }, upstream: web }", "37+3 Host: 'a b': this is not a host "
        + "| write example.com or example.com:8080 | routes[1].request_headers.set.Host")]
    [InlineData("{ response_headers: { set: { Host: a } }, upstream: web }",
        "32+4 'Host': " + FieldFault + "routes[1].response_headers.set")]
    [InlineData("{ response_headers: { set: { X: \"a\\r\\nSet-Cookie: b\" } }, upstream: web }",
        "35+20 X: 'a??Set-Cookie: b': a header value may have only visible ASCII characters and spaces "
        + "|  | routes[1].response_headers.set.X")]
    [InlineData("{ response_headers: { add: { X: [é] } }, upstream: web }",
        "36+1 X: 'é': a header value may have only visible ASCII characters and spaces "
        + "|  | routes[1].response_headers.add.X[0]")]
    public void Route_fault_is_reported(string line, string expected) => Only("error 4:" + expected,
        $"upstreams: {{ web: {{ backends: [\"a:1\"] }} }}\nroutes:\n- {{ upstream: web }}\n- {line}");

    /// <summary>Line of the route that never matches, and of the one that takes its requests; 0: none.</summary>
    [Theory]
    [InlineData("{ method: [GET, POST] }", "{ method: POST }", 0, 0)]
    [InlineData("{ method: [GET, POST] }", "{ method: [POST, GET] }", 4, 3)]
    [InlineData("{ method: [GET, POST, PUT] }", "{ method: [POST, GET] }", 4, 3)]
    [InlineData("{ method: [GET, POST] }", "{ method: [POST, PUT] }", 0, 0)]
    [InlineData("{ headers: { X: 1 } }", "{ headers: { x: 1 } }", 4, 3)]
    [InlineData("{ headers: { X: 1 } }", "{ headers: { X: 2 } }", 0, 0)]
    [InlineData("{ headers: { X: 1 } }", "{ headers: { X: \"*\" } }", 0, 0)]
    [InlineData("{ headers: { X: \"*\" } }", "{ headers: { X: \"*\", Y: 1 } }", 0, 0)]
    [InlineData("{ query: { x: 1 } }", "{ query: { X: 1 } }", 0, 0)]
    [InlineData("{ query: { x: 1 }, path: /* }", "{ query: { x: 1 }, host: \"*\" }", 4, 3)]
    [InlineData("{ host: A.b }", "{ host: a.B. }", 4, 3)]
    [InlineData("{ host: a.b }", "{ host: \"*.b\" }", 0, 0)]
    [InlineData("{ path: /a }", "{ path: /a* }", 0, 0)]
    public void Route_that_another_one_hides_is_warned_of(string first, string second, int hidden, int by)
    {
        string text = $"upstreams: {{ a: {{ backends: [\"a:1\"] }} }}\nroutes:\n- {first}\n- {second}"
            .Replace(" }\n-", ", upstream: a }\n-", StringComparison.Ordinal);
        string[] faults = ConfigText.Faults(text[..^2] + ", upstream: a }");
        Assert.Equal(hidden == 0 ? [] : [$"warning {hidden}:3+1 this route never matches: the one on line {by} takes "
            + "the same requests | remove one of the two | routes[1]"], faults);
    }

    [Fact]
    public void Routes_with_one_name_are_reported() => Only(
        "error 3:3+1 duplicate route 'x' | the first is on line 2 | routes[1]", """
            upstreams: { a: { backends: ["a:1"] } }
            routes: [{ name: x, upstream: a },
              { name: x, path: /b, upstream: a }]
            """);

    private static void Only(string expected, string text) => Assert.Equal(expected, Assert.Single(
        ConfigText.Faults(text)));
}
