using Penstock.Control.Conversions;
using Xunit;

namespace Penstock.UnitTests.Conversions;

public sealed class HaproxyConverterTests
{
    [Fact]
    public void Frontend_backends_checks_and_stick_table_are_converted()
    {
        (string yaml, string[] left) = ConversionRun.Of(Converters.Haproxy, "haproxy.cfg", """
            global
                log /dev/log local0
                maxconn 4000
            defaults
                mode http
                timeout connect 5s
                timeout client 30s
                timeout server 30000
                option redispatch
            frontend www
                bind *:8080
                stick-table type ip size 100k expire 30s store http_req_rate(10s)
                http-request track-sc0 src
                http-request deny deny_status 429 if { sc_http_req_rate(0) gt 20 }
                acl is_api path_beg /api/
                acl is_shop hdr(host) -i shop.example
                use_backend api if is_api is_shop
                default_backend web
            backend web
                balance leastconn
                option httpchk GET /health
                http-check expect status 200
                default-server inter 2s fall 3 rise 2
                server s1 10.0.0.1:80 check weight 2 maxconn 100
                server s2 10.0.0.2:80 check backup cookie s2
            backend api
                balance hdr(X-User)
                server a1 10.0.0.5:443 ssl verify none check # no path: a tcp check
            """);
        Assert.Equal("""
            listen: [0.0.0.0:8080]
            limits:
              www: { capacity: 20, rate: 2/s, by: address }
            upstreams:
              web:
                balance: least_connections
                backends:
                  - { url: http://10.0.0.1:80, weight: 2, max_connections: 100 }
                  - { url: http://10.0.0.2:80, backup: true }
                health_check:
                  path: /health
                  expect:
                    status: [200]
                  interval: 2s
                  fall: 3
                  rise: 2
              api:
                balance: hash
                hash: header:X-User
                tls: { verify: false }
                backends: [https://10.0.0.5:443]
                health_check: { type: tcp }
            routes:
              - { path: /api/*, host: shop.example, upstream: api, limit: www }
              - { upstream: web, limit: www }
            timeouts: { connect: 5s, response: 30s }
            bounds: { connections: 4000 }

            """.ReplaceLineEndings("\n"), yaml);
        Assert.Equal(
        [
            "haproxy.cfg:2: log /dev/log local0: see 'access_log', such as 'access_log: syslog:unix:/dev/log', and "
                + "'log' for events",
            "haproxy.cfg:7: timeout client 30s: 'timeouts.response' bounds both sides, 'timeouts.idle' the wait for a "
                + "request",
            "haproxy.cfg:25: cookie s2: see 'sticky' of the upstream",
        ], left);
    }

    [Fact]
    public void Listen_is_a_frontend_and_a_backend_and_a_field_names_the_client()
    {
        (string yaml, string[] left) = ConversionRun.Of(Converters.Haproxy, "a.cfg", """
            listen app
                bind :81,127.0.0.1:82
                stick-table type string store http_req_rate(1m)
                http-request track-sc1 req.hdr(X-API-Key)
                acl fast sc_http_req_rate(1) gt 600
                http-request deny if fast
                option httpchk
                server a 127.0.0.1:1 check inter 1500
                server b 127.0.0.1:2 check inter 2s
            """);
        Assert.Equal("""
            listen: [0.0.0.0:81, 127.0.0.1:82]
            clients:
              unknown: own
              identify: [header:X-API-Key, address]
            limits:
              app: { capacity: 600, rate: 10/s, by: client }
            upstreams:
              app:
                backends: [http://127.0.0.1:1, http://127.0.0.1:2]
                health_check: { path: /, method: OPTIONS, interval: 1500ms }
            routes:
              - { upstream: app, limit: app }

            """.ReplaceLineEndings("\n"), yaml);
        Assert.Equal(
            ["a.cfg:9: inter 2s: it is one value for all servers of an upstream, and another server has set it"], left);
    }

    [Fact]
    public void What_cannot_be_converted_is_listed_with_its_line_and_reason() => Assert.Equal(
        [
            "a.cfg:1: peers mine: Penstock has nothing that is the same",
            "a.cfg:5: mode tcp: Penstock balances HTTP",
            "a.cfg:6: stick-table type ip store gpc0: only tables that store http_req_rate(TIME) are converted",
            "a.cfg:7: http-request deny if { src 10.0.0.0/8 }: only 'if { sc_http_req_rate(0) gt N }' is a limit, "
                + "counted by src or a header field",
            "a.cfg:8: use_backend b if { path /x } or { path /y }: a route has conditions on path, host, method and "
                + "header fields, all of which must hold",
            "a.cfg:9: use_backend none if { path /z }: there is no backend 'none' with a server",
            "a.cfg:12: balance first: Penstock has no such algorithm; it uses round_robin",
            "a.cfg:14: server t 127.0.0.1:2 disabled: left out: it is disabled; 'penstock maintenance' does that",
            "a.cfg:15: backend none: it has no server",
        ],
        ConversionRun.Of(Converters.Haproxy, "a.cfg", """
            peers mine
                peer a 10.0.0.1:1
            frontend f
                bind :80
                mode tcp
                stick-table type ip store gpc0
                http-request deny if { src 10.0.0.0/8 }
                use_backend b if { path /x } or { path /y }
                use_backend none if { path /z }
                default_backend b
            backend b
                balance first
                server s 127.0.0.1:1
                server t 127.0.0.1:2 disabled
            backend none
            """).Left);

    [Theory]
    [InlineData("bind :80", "a.cfg:1: 'bind' is in no section, such as 'frontend NAME'")]
    [InlineData("frontend f\n  bind \":80", "a.cfg:2: a quote is not closed")]
    [InlineData("frontend f\n", "a.cfg names no backend that can be converted")]
    public void Faulty_file_is_reported_with_its_line(string text, string fault) =>
        Assert.Equal(fault, ConversionRun.FaultOf(Converters.Haproxy, "a.cfg", text));

    [Fact]
    public void Words_end_at_blanks_and_quotes_and_backslashes_hold_them_together()
    {
        HaproxySection section = Assert.Single(HaproxyFile.Parse("global\n a\\ b \"c # d\"e # f", out _));
        Assert.Equal(["a b", "c # de"], Assert.Single(section.Lines).Words);
    }
}
