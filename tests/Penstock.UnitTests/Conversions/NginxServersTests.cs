using Penstock.Control.Conversions;
using Xunit;

namespace Penstock.UnitTests.Conversions;

/// <summary>Which server of nginx gets which host, and what routes without addresses make of it.</summary>
public sealed class NginxServersTests
{
    private const string Tls = "ssl_certificate a.crt; ssl_certificate_key a.key;";

    [Fact]
    public void Default_server_of_the_only_address_is_also_a_route_without_host()
    {
        (string yaml, string[] left) = Of("""
            server { listen 80; server_name a.example www.a.example; location / { proxy_pass http://127.0.0.1:1; } }
            server { listen 80 default_server; server_name b.example; location / { proxy_pass http://127.0.0.1:2; } }
            """);
        Assert.EndsWith("""
            routes:
              - { host: a.example, upstream: 127.0.0.1_1 }
              - { host: www.a.example, upstream: 127.0.0.1_1 }
              - { host: b.example, upstream: 127.0.0.1_2 }
              - { upstream: 127.0.0.1_2 }

            """.ReplaceLineEndings("\n"), yaml);
        Assert.Empty(left);
    }

    [Fact]
    public void First_server_is_the_default_and_one_without_a_name_gets_nothing()
    {
        (string yaml, string[] left) = Of("""
            server { server_name a.example; location / { proxy_pass http://127.0.0.1:1; } }
            server { server_name _; location / { proxy_pass http://127.0.0.1:2; } }
            """);
        Assert.StartsWith("listen: [0.0.0.0:80]\n", yaml); // where nginx listens without being told
        Assert.Contains("  - { upstream: 127.0.0.1_1 }\n", yaml);
        Assert.DoesNotContain("127.0.0.1:2", yaml);
        Assert.Equal(["a.conf:2: server: it has no host for a route, and another server is the default of its address"],
            left);
    }

    [Fact]
    public void Different_defaults_of_two_addresses_and_hosts_that_become_reachable_are_listed()
    {
        (string yaml, string[] left) = Of("""
            server { listen 80; server_name a.example; location / { proxy_pass http://127.0.0.1:1; } }
            server { listen 127.0.0.1:81; server_name b.example; location / { proxy_pass http://127.0.0.1:2; } }
            server { listen 82; location / { proxy_pass http://127.0.0.1:3; } }
            """);
        Assert.Contains("  - { upstream: 127.0.0.1_3 }\n", yaml); // it would have no route otherwise
        const string Same = "routes are the same on all listeners";
        Assert.Equal(
        [
            $"a.conf:1: the default server of 0.0.0.0:80: {Same}: the server of line 3 serves the hosts that none "
                + "names",
            $"a.conf:1: server a.example: {Same}: 127.0.0.1:81, 0.0.0.0:82 serve it too",
            $"a.conf:2: the default server of 127.0.0.1:81: {Same}: the server of line 3 serves the hosts that none "
                + "names",
            $"a.conf:2: server b.example: {Same}: 0.0.0.0:80, 0.0.0.0:82 serve it too",
        ], left);
    }

    [Fact]
    public void Default_server_that_rejects_leaves_no_route_without_host()
    {
        (string yaml, string[] left) = Of("""
            server { listen 80 default_server; return 444; }
            server { listen 80; server_name a.example; location / { proxy_pass http://127.0.0.1:1; } }
            """);
        Assert.EndsWith("routes:\n  - { host: a.example, upstream: 127.0.0.1_1 }\n", yaml);
        Assert.Equal(["a.conf:1: return 444: a route always leads to backends; 'listen[].tls.redirect_from' sends a "
            + "port to HTTPS"], left);
    }

    [Fact]
    public void Paths_that_no_route_of_a_host_has_go_to_the_default_and_are_listed() => Assert.Equal(
        [
            "a.conf:2: root /srv: Penstock serves no files",
            "a.conf:2: server b.example: what none of its routes matches goes to those without a host, of line 1",
        ], Of("""
            server { server_name a.example; location / { proxy_pass http://127.0.0.1:1; } }
            server { server_name b.example; root /srv; location /x/ { proxy_pass http://127.0.0.1:2; } }
            """).Left);

    [Theory]
    [InlineData("return 301 https://$host$request_uri;", "")]
    [InlineData("location / { return 308 https://a.example$request_uri; }", "")]
    [InlineData("if ($host = a.example) { return 301 https://$host$request_uri; } return 404;", "if")]
    public void Server_that_redirects_to_https_is_redirect_from(string redirect, string also)
    {
        (string yaml, string[] left) = Of($$"""
            server { listen 80; listen [::]:80; server_name a.example; {{redirect}} }
            server { listen 443 ssl; server_name a.example; {{Tls}} location / { proxy_pass http://127.0.0.1:1; } }
            """);
        Assert.Contains("certificates: [{ cert: a.crt, key: a.key }]", yaml);
        Assert.Contains("redirect_from: 80", yaml);
        Assert.EndsWith("""
            routes:
              - { host: a.example, upstream: 127.0.0.1_1 }
              - { upstream: 127.0.0.1_1 }

            """.ReplaceLineEndings("\n"), yaml);
        Assert.Contains("a.conf:1: return 30", string.Join('\n', left));
        Assert.Contains(": it is 'redirect_from' of the listener with TLS, which answers 308", string.Join('\n', left));
        Assert.Equal(also.Length > 0, left.Any(static line => line.Contains("if ($host", StringComparison.Ordinal)));
    }

    [Fact]
    public void Same_path_of_the_same_host_with_another_upstream_is_listed()
    {
        (string yaml, string[] left) = Of("""
            server { listen 80; server_name a.example; location / { proxy_pass http://127.0.0.1:1; } }
            server { listen 81; server_name a.example; location / { proxy_pass http://127.0.0.1:2; } }
            """);
        Assert.DoesNotContain("{ host: a.example, upstream: 127.0.0.1_2 }", yaml);
        Assert.Contains("a.conf:2: location /: line 1 has made another route for the same path of a.example, and "
            + "routes are the same on all listeners", left);
    }

    [Fact]
    public void All_certificates_of_a_server_and_options_of_listen_are_converted_or_listed()
    {
        (string yaml, string[] left) = Of($$"""
            server {
                listen 443 ssl http2 backlog=9;
                {{Tls}} ssl_certificate b.crt; ssl_certificate_key b.key;
                location / { proxy_pass http://127.0.0.1:1; }
            }
            """);
        Assert.Contains("certificates: [{ cert: a.crt, key: a.key }, { cert: b.crt, key: b.key }]", yaml);
        Assert.Equal(
        [
            "a.conf:2: http2: Penstock speaks HTTP/1.1 to clients",
            "a.conf:2: backlog=9: Penstock has nothing that is the same",
        ], left);
    }

    private static (string Yaml, string[] Left) Of(string text) =>
        ConversionRun.Of(Converters.Nginx, "a.conf", text, certificates: true);
}
