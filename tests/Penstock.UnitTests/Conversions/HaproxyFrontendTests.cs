using Penstock.Control.Conversions;
using Xunit;

namespace Penstock.UnitTests.Conversions;

/// <summary>What frontends of HAProxy do besides the choice of a backend, and where their routes differ.</summary>
public sealed class HaproxyFrontendTests
{
    private const string Backend = "\nbackend b\n  server s 127.0.0.1:1\nbackend c\n  server t 127.0.0.1:2";

    [Theory]
    [InlineData("http-request redirect scheme https unless { ssl_fc }")]
    [InlineData("http-request redirect scheme https code 301 if !{ ssl_fc }")]
    [InlineData("redirect scheme https if !{ ssl_fc }")]
    public void Redirect_to_https_is_redirect_from(string redirect)
    {
        (string yaml, string[] left) = Of($"""
            frontend f
              bind :80
              bind :443 ssl crt a.pem crt b.pem ssl-min-ver TLSv1.3 alpn h2,http/1.1 ca-file ca.pem verify optional
              {redirect}
              default_backend b
            """);
        Assert.StartsWith("""
            listen:
              - 0.0.0.0:80
              - address: 0.0.0.0:443
                tls: { certificates: [{ cert: a.pem, key: a.pem }, { cert: b.pem, key: b.pem }], min_version: 1.3, 
            """.ReplaceLineEndings("\n") + "client_auth: { ca: ca.pem, require: false }, redirect_from: 80 }\n", yaml);
        Assert.Equal(
        [
            "a.cfg:3: alpn h2,http/1.1: Penstock speaks HTTP/1.1",
            $"a.cfg:4: {redirect}: it is 'redirect_from' of the listener with TLS, which answers 308",
            "a.cfg:8: backend c: no route leads to it",
        ], left);
    }

    [Fact]
    public void Redirect_without_a_listener_for_it_or_of_some_requests_is_listed() => Assert.Equal(
        [
            "a.cfg:3: redirect scheme https: 'redirect_from' in 'tls' of a listener sends one other port to it; see "
                + "listen[].tls",
            "a.cfg:4: redirect prefix /x if { path /y }: a route always leads to backends; "
                + "'listen[].tls.redirect_from' sends a port to HTTPS",
            "a.cfg:8: backend c: no route leads to it",
        ], Of("""
            frontend f
              bind :80
              redirect scheme https
              redirect prefix /x if { path /y }
              default_backend b
            """).Left);

    [Theory]
    [InlineData("path_beg /api", "path: /api*,", null)]
    [InlineData("path_beg /api/", "path: /api/*,", null)]
    [InlineData("path -m beg /api", "path: /api*,", null)]
    [InlineData("path -m str /api", "path: /api,", null)]
    [InlineData("path_beg -i /api", "path: /api*,",
        "path_beg -i /api: the case of a path matters; write a route for each")]
    [InlineData("path -m reg ^/api", null, "use_backend c if { path -m reg ^/api }: a route has conditions on path, "
        + "host, method and header fields, all of which must hold")]
    [InlineData("hdr(host) -f hosts.txt", null, "use_backend c if { hdr(host) -f hosts.txt }: a route has conditions "
        + "on path, host, method and header fields, all of which must hold")]
    public void Conditions_are_exact_or_listed(string test, string? written, string? listed)
    {
        (string yaml, string[] left) = Of($$"""
            frontend f
              bind :80
              use_backend c if { {{test}} }
              default_backend b
            """);
        Assert.Contains(written ?? "  - { upstream: b }", yaml);
        Assert.Equal(written is not null, yaml.Contains("upstream: c", StringComparison.Ordinal));
        Assert.Equal(listed is null ? null : $"a.cfg:3: {listed}", left.FirstOrDefault());
    }

    [Fact]
    public void Other_routes_of_a_second_frontend_are_listed()
    {
        (string yaml, string[] left) = Of("""
            frontend f
              bind :80
              default_backend b
            frontend g
              bind 127.0.0.1:81
              use_backend c if { path /x }
              default_backend c
            """);
        Assert.EndsWith("routes:\n  - { upstream: b }\n  - { path: /x, upstream: c }\n", yaml);
        Assert.Equal(
        [
            "a.cfg:1: frontend f: routes are the same on all listeners: 127.0.0.1:81 serves them too",
            "a.cfg:4: frontend g: routes are the same on all listeners: 0.0.0.0:80 serves them too",
            "a.cfg:7: default_backend c: line 3 has made another route with the same conditions, and routes are the "
                + "same on all listeners",
        ], left);
    }

    [Fact]
    public void Header_fields_of_frontends_and_backends_are_those_of_routes()
    {
        (string yaml, string[] left) = ConversionRun.Of(Converters.Haproxy, "a.cfg", """
            frontend f
              bind :80
              http-request set-header X-A 1
              http-request set-header X-Forwarded-Proto https if { ssl_fc }
              http-request set-header X-B %[src]
              http-response del-header Server
              default_backend b
            backend b
              http-request del-header Cookie
              http-request add-header X-C 2
              server s 127.0.0.1:1
            """);
        Assert.EndsWith("""
            routes:
              - upstream: b
                request_headers: { set: { X-A: 1 }, remove: [Cookie], add: { X-C: 2 } }
                response_headers: { remove: [Server] }

            """.ReplaceLineEndings("\n"), yaml);
        Assert.Equal(
        [
            "a.cfg:4: http-request set-header X-Forwarded-Proto https if { ssl_fc }: not needed: backends get "
                + "X-Forwarded-For, -Host and -Proto",
            "a.cfg:5: http-request set-header X-B %[src]: see 'request_headers' of a route, which have fixed values",
        ], left);
    }

    [Fact]
    public void Cookie_is_sticky()
    {
        (string yaml, string[] left) = ConversionRun.Of(Converters.Haproxy, "a.cfg", """
            defaults
              retries 3
            frontend f
              bind :80
              default_backend b
            backend b
              cookie SRV insert indirect nocache secure maxidle 30m
              server s 127.0.0.1:1 cookie s
            """);
        Assert.Contains("sticky: { secret: \"${STICKY_SECRET}\", cookie: SRV, secure: true }", yaml);
        Assert.Contains("retries: { attempts: 3 }", yaml);
        Assert.Equal(
        [
            "a.cfg:7: cookie SRV: the cookie of 'sticky' is signed: set the variable STICKY_SECRET, at least 16 "
                + "characters and the same on all nodes",
            "a.cfg:7: maxidle 30m: see 'max_age' and 'idle' of 'sticky'",
        ], left);
    }

    private static (string Yaml, string[] Left) Of(string text) =>
        ConversionRun.Of(Converters.Haproxy, "a.cfg", text + Backend, certificates: true);
}
