namespace Penstock.UnitTests.Config;

/// <summary>Files that together contain every key, each with a value that is not its default.</summary>
internal static class EveryKey
{
    public const string TokenHash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    public const string Full = $$$"""
        listen:
          - 127.0.0.1:8081
          - { address: "unix:/run/penstock/http.sock", proxy_protocol: true, mode: 0660 }
        admin:
          listen: unix:/run/penstock/admin.sock
          mode: 0660
          token: "abc"
          tokens:
            - name: ops
              role: admin
              sha256: {{{TokenHash}}}
        clients:
          identify: [header:X-Key, query:key]
          unknown: own
          trusted_proxies: [10.0.0.0/8, unix]
          ipv6_prefix: 56
          exempt: [192.0.2.0/28, monitoring]
          preflight: free
          max_tracked: 5000
          save_unregistered: true
        limits:
          default: { capacity: 100, rate: 10/s }
          logins: { capacity: 5, rate: 5/m, by: address, statuses: [401, 403], dry_run: true, hidden: true }
          uploads: { concurrent: 4 }
          site: { capacity: 5000, rate: 2000/s, by: all }
        plans: { gold: { capacity: 1000, rate: 50/s } }
        limit: [site]
        limit_fields: legacy
        errors:
          any: { headers: { Access-Control-Allow-Origin: "*", Vary: [Origin, Accept] } }
          503: { body: "<p>Back in a moment ({{request_id}})</p>", content_type: text/html }
        timeouts:
          { connect: 3s, head: 11s, response: 61s, idle: 91s, backend_idle: 5s, tunnel: 2h, tokens: 200ms,
            shutdown: 31s, drain_delay: 2s }
        bounds:
          { request_line: 4KiB, head: 16KiB, head_fields: 50, body: 1MiB, body_min_rate: 480,
            requests_per_connection: 100, connections: 1000, connections_per_address: 50, half_close: allow }
        loops: 2
        access_log:
          to: syslog:udp://192.0.2.9
          format: '$client_address $method $path $status $duration_ms $reason'
          only: { status: [4xx, 500-503, 101], min_duration: 500ms }
          sample: { 429: 1/100, 4xx: 1/10 }
          query: true
        log: { level: warning }
        store: sqlite:other.db
        tls:
          acme:
            names: [example.com, www.example.com]
            email: ops@example.com
            directory: [zerossl, "https://ca.example.com/directory"]
            eab: { kid: abc, hmac_key: c2VjcmV0LW9uZQ }
            storage: certificates
            challenge: tls-alpn-01
          tickets: { keys: tickets, rotate: 6h }
        watch: false
        upstreams:
          web:
            backends:
              - http://127.0.0.1:9001
              - { url: http://127.0.0.1:9002, weight: 2, max_connections: 100, backup: true }
            balance: hash
            hash: { key: header:X-Tenant, bound: 125% }
            sticky: { secret: "0123456789abcdef", cookie: session, max_age: 2h, secure: true, idle: 20m }
            slow_start: 10s
            retries: { attempts: 3, budget: 30%, min_per_second: 5, per_try_timeout: 2s, statuses: [502, 503] }
            queue: { length: 100, timeout: 2s }
            hedge: { after: 200ms }
            limit: uploads
            health_check:
              { path: /health, method: GET, headers: { Host: a.example },
                expect: { status: [200-299, 304], body: fine }, interval: 3s, fast_interval: 1s, timeout: 2s,
                rise: 3, fall: 4, initial: up }
            passive_health:
              { consecutive_errors: 6, error_share: 40%, latency_factor: 3, latency_floor: 200ms, min_requests: 60,
                window: 20s, ejection_time: 11s, max_ejection_time: 200s, max_ejected: 60%, panic_threshold: 40% }
            backend_idle: 3s
            send_proxy: v2
          files:
            backends: [unix:/run/files.sock]
            health_check: { type: tcp, interval: 9s }
        routes:
          - name: api
            host: api.example.com
            path: /v1/*
            method: [GET, HEAD]
            headers: { X-Version: "2", X-Debug: "*" }
            query: { preview: "1" }
            upstream: web
            limit: [default, logins]
            cost: 2
            timeouts: { connect: 1s, response: 9s }
            rewrite: { strip_prefix: /v1, add_prefix: /api }
            retries: { attempts: 1, per_try_timeout: 1s, statuses: [504] }
            request_headers: { set: { X-A: a }, add: { X-B: [b, c] }, remove: [Cookie] }
            response_headers: { set: { X-C: c }, add: { X-D: d }, remove: Server }
          - { upstream: web }
          - { path: /files/*, upstream: files }
        """;

    public const string Flat = """
        listen: :8081
        backends:
          - http://127.0.0.1:9001
          - { url: http://127.0.0.1:9002, weight: 2, max_connections: 100 }
        balance: p2c
        hash: path
        sticky: { secret: "0123456789abcdef" }
        slow_start: 10s
        retries: off
        queue: off
        hedge: off
        health_check: tcp
        passive_health: off
        send_proxy: v1
        limits: { default: { capacity: 10, rate: 1/s } }
        admin: off
        access_log: syslog:unix:/dev/log
        store: memory
        """;
}
