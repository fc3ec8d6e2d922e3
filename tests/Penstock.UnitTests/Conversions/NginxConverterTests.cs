using Penstock.Control.Conversions;
using Xunit;

namespace Penstock.UnitTests.Conversions;

public sealed class NginxConverterTests
{
    [Fact]
    public void Upstream_servers_locations_and_limits_are_converted()
    {
        (string yaml, string[] left) = ConversionRun.Of(Converters.Nginx, "nginx.conf", """
            user nginx;
            events { worker_connections 1024; }
            http {
                limit_req_zone $binary_remote_addr zone=perip:10m rate=10r/s;
                limit_conn_zone $binary_remote_addr zone=conns:10m;
                upstream web { # the shop
                    least_conn;
                    server 10.0.0.1:8080 weight=2 max_fails=3;
                    server 10.0.0.2:8080 max_conns=100;
                    server 10.0.0.3 backup;
                    keepalive 32;
                }
                server {
                    listen 80;
                    server_name shop.example;
                    proxy_read_timeout 30;
                    location / { proxy_pass http://web; proxy_set_header Host $host; proxy_set_header X-Site "a b"; }
                    location /api/ {
                        limit_req zone=perip burst=20 nodelay;
                        limit_conn conns 10;
                        proxy_pass http://web/v1/;
                    }
                    location = /login { limit_req zone=perip; proxy_pass http://10.0.0.9:81; }
                }
            }
            """);
        Assert.Equal("""
            listen: [0.0.0.0:80]
            limits:
              perip: { capacity: 21, rate: 10/s, by: address }
              conns_concurrent: { concurrent: 10, by: address }
              perip_23: { capacity: 1, rate: 10/s, by: address }
            upstreams:
              web:
                balance: least_connections
                backends:
                  - { url: http://10.0.0.1:8080, weight: 2 }
                  - { url: http://10.0.0.2:8080, max_connections: 100 }
                  - { url: http://10.0.0.3, backup: true }
              10.0.0.9_81:
                backends: [http://10.0.0.9:81]
            routes:
              - { host: shop.example, upstream: web, request_headers: { set: { X-Site: "a b" } } }
              - { upstream: web, request_headers: { set: { X-Site: "a b" } } }
              - host: shop.example
                path: /api/*
                upstream: web
                limit: [perip, conns_concurrent]
                rewrite: { strip_prefix: /api, add_prefix: /v1 }
              - path: /api/*
                upstream: web
                limit: [perip, conns_concurrent]
                rewrite: { strip_prefix: /api, add_prefix: /v1 }
              - { host: shop.example, path: /login, upstream: 10.0.0.9_81, limit: perip_23 }
              - { path: /login, upstream: 10.0.0.9_81, limit: perip_23 }
            timeouts: { response: 30s }

            """, yaml);
        Assert.Equal(
        [
            "nginx.conf:1: user nginx: a supervisor such as systemd does this; see deploy/README.md",
            "nginx.conf:2: worker_connections 1024: see 'bounds.connections'",
            "nginx.conf:8: max_fails=3: see 'passive_health', which is on by default",
            "nginx.conf:11: keepalive 32: not needed: connections to backends are kept; see 'timeouts.backend_idle'",
            "nginx.conf:17: proxy_set_header Host $host: not needed: backends get the client's Host and Upgrade, "
                + "X-Forwarded-For, -Host and -Proto, and X-Request-Id",
            "nginx.conf:21: proxy_pass http://web/v1/: nginx sends the upstream's name as Host, Penstock the client's "
                + "Host; 'request_headers: { set: { Host: NAME } }' of a route sets another",
        ], left);
    }

    [Theory]
    [InlineData("ip_hash;", "balance: hash\n    hash: address")]
    [InlineData("hash $http_x_api_key consistent;", "balance: hash\n    hash: header:X-Api-Key")]
    [InlineData("hash $uri;", "balance: hash\n    hash: path")]
    [InlineData("random two least_conn;", "balance: power_of_two")]
    [InlineData("random;", "balance: random")]
    public void Balance_methods_are_converted(string method, string written)
    {
        (string yaml, string[] left) = ConversionRun.Of(Converters.Nginx, "a.conf",
            $"upstream web {{ {method} server 127.0.0.1:1; }}");
        Assert.Contains(written, yaml);
        Assert.Contains("- { upstream: web }", yaml); // a file of upstreams only
        Assert.Empty(left);
    }

    [Fact]
    public void What_cannot_be_converted_is_listed_with_its_line_and_reason()
    {
        (_, string[] left) = ConversionRun.Of(Converters.Nginx, "a.conf", """
            upstream web { server 127.0.0.1:1; server 127.0.0.1:2 down; sticky; }
            upstream spare { server 127.0.0.1:3; }
            limit_req_zone $request_id zone=odd:1m rate=1r/s;
            server {
                listen 443 ssl;
                server_name ~^www;
                location ~ \.php$ { proxy_pass http://web; }
                location /static/ { root /var/www; }
                location /a { proxy_pass http://web; limit_req zone=odd; limit_req zone=none; }
                location /v { proxy_pass http://$name; }
            }
            """);
        Assert.Equal(
        [
            "a.conf:1: server 127.0.0.1:2 down: left out: it is down; add it when it works",
            "a.conf:1: sticky: see 'sticky' of the upstream",
            "a.conf:2: upstream spare: no proxy_pass that could be converted uses it; add a route",
            "a.conf:5: listen 443 ssl: this server has no ssl_certificate and no ssl_certificate_key",
            "a.conf:6: server_name ~^www: a host is a name, or *. and a name; write one route for each",
            "a.conf:7: location ~ \\.php$: a path is exact or a prefix; write it as one of these",
            "a.conf:8: root /var/www: Penstock serves no files",
            "a.conf:8: location /static/: it has no proxy_pass, and Penstock serves no files",
            "a.conf:9: limit_req zone=odd: a limit counts by client, by address or for all, not by $request_id",
            "a.conf:9: limit_req zone=none: there is no zone 'none' that could be converted",
            "a.conf:9: proxy_pass http://web: nginx sends the upstream's name as Host, Penstock the client's Host; "
                + "'request_headers: { set: { Host: NAME } }' of a route sets another",
            "a.conf:10: proxy_pass http://$name: an upstream has fixed servers; add one under 'upstreams'",
        ], left);
    }

    [Fact]
    public void Server_names_are_hosts() => Assert.EndsWith("""
        routes:
          - { host: a.example, upstream: 127.0.0.1_1 }
          - { host: b.example, upstream: 127.0.0.1_1 }
          - { host: "*.b.example", upstream: 127.0.0.1_1 }
          - { upstream: 127.0.0.1_1 }

        """.ReplaceLineEndings("\n"), ConversionRun.Of(Converters.Nginx, "a.conf", """
            server { server_name a.example .b.example; location / { proxy_pass http://127.0.0.1:1; } }
            """).Yaml);

    [Fact]
    public void Requests_that_nginx_would_delay_are_mentioned() => Assert.Equal(
        ["a.conf:2: limit_req zone=z burst=5: requests are admitted at once or rejected, not delayed: it is converted "
            + "as with nodelay"],
        ConversionRun.Of(Converters.Nginx, "a.conf", """
            limit_req_zone $binary_remote_addr zone=z:1m rate=30r/m;
            server { location / { limit_req zone=z burst=5; proxy_pass http://127.0.0.1:1; } }
            """).Left);

    [Fact]
    public void Limit_by_a_field_identifies_clients_by_it() => Assert.StartsWith("""
        listen: [0.0.0.0:80]
        clients:
          identify: [header:X-Api-Key, address]
          unknown: own
        limits:
          z: { capacity: 1, rate: 30/m, by: client }
        """.ReplaceLineEndings("\n"), ConversionRun.Of(Converters.Nginx, "a.conf", """
            limit_req_zone $http_x_api_key zone=z:1m rate=30r/m;
            server { location / { limit_req zone=z; proxy_pass http://127.0.0.1:1; } }
            """).Yaml);

    [Theory]
    [InlineData("upstream a { server b", "a.conf:1: ';' is missing after 'b'")]
    [InlineData("upstream a { server b; ", "a.conf:1: '}' is missing at the end")]
    [InlineData("a;\n}", "a.conf:2: this '}' closes nothing")]
    [InlineData("a \"b", "a.conf:1: the quote \" is not closed")]
    [InlineData(";", "a.conf:1: a name is missing before ';'")]
    [InlineData("# nothing", "a.conf names no backend that can be converted")]
    public void Faulty_file_is_reported_with_its_line(string text, string fault) =>
        Assert.Equal(fault, ConversionRun.FaultOf(Converters.Nginx, "a.conf", text));

    [Fact]
    public void Words_end_at_blanks_and_marks_and_quotes_hold_them_together()
    {
        NginxDirective directive = Assert.Single(NginxFile.Parse(
            "log_format 'a \\'b;' \"c}\"d${e}f\\;g # h\n i {j;}", out (int, string)? fault));
        Assert.Null(fault);
        Assert.Equal("log_format", directive.Name);
        Assert.Equal(["a 'b;", "c}", "d${e}f\\;g", "i"], directive.Words);
        Assert.Equal("j", Assert.Single(directive.Block!).Name);
    }
}
