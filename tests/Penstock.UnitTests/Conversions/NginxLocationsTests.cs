using Penstock.Control.Conversions;
using Xunit;

namespace Penstock.UnitTests.Conversions;

public sealed class NginxLocationsTests
{
    [Theory]
    [InlineData("location /a { proxy_pass http://127.0.0.1:1; }", "path: /a*, upstream: 127.0.0.1_1 }", null)]
    [InlineData("location /a/ { proxy_pass http://127.0.0.1:1; }", "path: /a/*, upstream: 127.0.0.1_1 }", null)]
    [InlineData("location /a { proxy_pass http://127.0.0.1:1/; }", "path: /a/*",
        "location /a: it also matches /axyz; the route has /a and /a/*")]
    [InlineData("location /a/ { proxy_pass http://127.0.0.1:1/b; }", "strip_prefix: /a, add_prefix: /b",
        "proxy_pass http://127.0.0.1:1/b: nginx makes /bxyz of /a/xyz; the route makes /b/xyz")]
    public void Prefix_is_a_prefix(string location, string route, string? listed)
    {
        (string yaml, string[] left) = ConversionRun.Of(Converters.Nginx, "a.conf", $"server {{ {location} }}");
        Assert.Contains(route, yaml);
        Assert.Equal(listed is null ? [] : [$"a.conf:1: {listed}"], left);
    }

    [Theory]
    [InlineData("X-A 1", "request_headers: { set: { X-A: 1 } }", null)]
    [InlineData("Accept-Encoding \"\"", "request_headers: { remove: [Accept-Encoding] }", null)]
    [InlineData("Connection \"upgrade\"", null, "not needed: backends get the client's Host and Upgrade, "
        + "X-Forwarded-For, -Host and -Proto, and X-Request-Id")]
    [InlineData("X-Real-IP $remote_addr", null, "backends get the client's address in X-Forwarded-For; a route sets "
        + "X-Real-IP only to a fixed value")]
    [InlineData("X-B $request_id", null,
        "a route sets X-B only to a fixed value, without variables: see 'request_headers'")]
    public void Header_field_is_set_removed_or_listed(string field, string? written, string? listed)
    {
        foreach (string text in (string[])
        [
            $"server {{ location / {{ proxy_set_header {field}; proxy_pass http://127.0.0.1:1; }} }}",
            $"server {{ proxy_set_header {field}; location / {{ proxy_pass http://127.0.0.1:1; }} }}",
            $"proxy_set_header {field}; server {{ location / {{ proxy_pass http://127.0.0.1:1; }} }}",
        ])
        {
            (string yaml, string[] left) = ConversionRun.Of(Converters.Nginx, "a.conf", text);
            Assert.Contains(written ?? "  - { upstream: 127.0.0.1_1 }", yaml);
            Assert.Equal(listed is null ? [] : [$"a.conf:1: proxy_set_header {field.Replace("\"", "",
                StringComparison.Ordinal)}: {listed}"], left);
        }
    }

    [Theory]
    [InlineData("", "{ upstream: app.example_81, request_headers: { set: { Host: app.example:81 } } }")]
    [InlineData("proxy_set_header Host $host;", "{ upstream: app.example_81 }")]
    [InlineData("proxy_set_header Host b.example;",
        "{ upstream: app.example_81, request_headers: { set: { Host: b.example } } }")]
    public void Host_of_the_address_is_sent_unless_another_is(string field, string route) => Assert.Contains(route,
        ConversionRun.Of(Converters.Nginx, "a.conf",
            $"server {{ location / {{ {field} proxy_pass http://app.example:81; }} }}").Yaml);

    [Fact]
    public void Timeouts_of_a_location_are_those_of_its_route()
    {
        (string yaml, string[] left) = ConversionRun.Of(Converters.Nginx, "a.conf", """
            server {
                proxy_read_timeout 20;
                location /long/ { proxy_read_timeout 5m; proxy_connect_timeout 1; proxy_pass http://127.0.0.1:1; }
            }
            """);
        Assert.Contains("upstream: 127.0.0.1_1, timeouts: { response: 5m, connect: 1s } }", yaml);
        Assert.Contains("\ntimeouts: { response: 20s }\n", yaml);
        Assert.Empty(left);
    }

    [Theory]
    [InlineData("access_log /var/log/a.log;", "access_log: { to: /var/log/a.log, format: combined }", null)]
    [InlineData("access_log off;", "access_log: off", null)]
    [InlineData("access_log syslog:server=unix:/dev/log,tag=a combined;",
        "access_log: { to: \"syslog:unix:/dev/log\", format: combined }", null)]
    [InlineData("log_format m '$status'; access_log /dev/stdout m;", "access_log: stdout",
        "log_format m $status: see 'access_log.format', which has its own names of variables|"
            + "the format m: the lines are JSON; 'access_log.format' has other forms and templates")]
    [InlineData("access_log /a.log; access_log /b.log;", "to: /a.log", "access_log /b.log: " + Conversion.OneForAll)]
    public void Access_log_is_converted(string log, string written, string? listed)
    {
        (string yaml, string[] left) = ConversionRun.Of(Converters.Nginx, "a.conf",
            $"{log} server {{ location / {{ proxy_pass http://127.0.0.1:1; }} }}");
        Assert.Contains(written, yaml.Replace("syslog:unix:/dev/log,", "\"syslog:unix:/dev/log\",",
            StringComparison.Ordinal));
        Assert.Equal(listed?.Split('|').Select(static line => $"a.conf:1: {line}") ?? [], left);
    }

    [Fact]
    public void Address_with_both_schemes_is_two_upstreams()
    {
        string yaml = ConversionRun.Of(Converters.Nginx, "a.conf", """
            server {
                location / { proxy_pass http://10.0.0.1:1; }
                location /x/ { proxy_pass https://10.0.0.1:1; }
            }
            """).Yaml;
        Assert.Contains("  10.0.0.1_1:\n    backends: [http://10.0.0.1:1]\n", yaml);
        Assert.Contains("  10.0.0.1_1_https:\n    backends: [https://10.0.0.1:1]\n", yaml);
    }

    [Fact]
    public void Group_with_both_schemes_is_two_upstreams()
    {
        (string yaml, string[] left) = ConversionRun.Of(Converters.Nginx, "a.conf", """
            upstream web { least_conn; server 10.0.0.1:1; server unix:/run/a; server 10.0.0.2:1 weight=2; }
            upstream web_http { server 10.0.0.3:1; }
            server {
                location / { proxy_pass https://web; }
                location /x/ { proxy_pass http://web; }
                location /y/ { proxy_pass http://web_http; }
                location /z/ { proxy_pass https://web; }
            }
            """);
        Assert.Equal("""
              web:
                balance: least_connections
                backends:
                  - https://10.0.0.1:1
                  - unix:/run/a
                  - { url: https://10.0.0.2:1, weight: 2 }
              web_http:
                backends: [http://10.0.0.3:1]
              web_http_http:
                balance: least_connections
                backends:
                  - http://10.0.0.1:1
                  - unix:/run/a
                  - { url: http://10.0.0.2:1, weight: 2 }
            routes:
              - { upstream: web }
              - { path: /x/*, upstream: web_http_http }
              - { path: /y/*, upstream: web_http }
              - { path: /z/*, upstream: web }

            """, yaml[yaml.IndexOf("  web:", StringComparison.Ordinal)..]);
        Assert.Single(left, static line => line.Contains("as Host", StringComparison.Ordinal)); // once in a file
    }

    [Fact]
    public void Trusted_proxies_and_certificates_of_backends_are_converted_or_listed()
    {
        (string yaml, string[] left) = ConversionRun.Of(Converters.Nginx, "a.conf", """
            set_real_ip_from 10.0.0.0/8; set_real_ip_from ::1;
            server { location / { proxy_pass https://10.0.0.1; } }
            """);
        Assert.Contains("trusted_proxies: [10.0.0.0/8, \"::1\"]", yaml);
        Assert.Equal(["a.conf:2: proxy_pass https://10.0.0.1: nginx does not verify the certificates of backends by "
            + "default, Penstock does; see 'tls.ca' and 'tls.verify' of the upstream"], left);
    }
}
