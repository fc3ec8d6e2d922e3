namespace Penstock.Control.Conversions;

/// <summary>What to say about lines of HAProxy that are not converted: the key of Penstock that does the same, or that
/// there is none. Each keyword of the table in docs/coming-from.md is converted or is here; a test compares.</summary>
internal static class HaproxyHints
{
    private const string Ciphers = "see 'min_version', 'ciphers' and 'groups' of 'listen[].tls'";
    private const string Http1 = "Penstock speaks HTTP/1.1";

    /// <summary>By the first word, or the first two.</summary>
    private static readonly Dictionary<string, string> All = Conversion.ByName(
    [
        ("no line uses it that could be converted", ["acl"]),
        ("see 'listen'", ["bind"]),
        ("the access log has no such fields; see 'access_log.format'", ["capture"]),
        ("a supervisor such as systemd runs Penstock; see deploy/README.md",
            ["chroot", "daemon", "group", "pidfile", "user"]),
        ("Penstock does not compress; the backends do", ["compression"]),
        ("see 'sticky' of the upstream", ["cookie", "stick"]),
        ("see 'routes'", ["default_backend"]),
        ("see 'errors', which has a body and fields for each status",
            ["errorfile", "errorfiles", "errorloc", "http-error"]),
        ("Penstock has no filters", ["filter"]),
        ("see 'max_connections' of backends", ["fullconn"]),
        ("see 'response_headers' of a route, which have fixed values",
            ["http-after-response", "http-response add-header", "http-response set-header"]),
        ("see 'request_headers' of a route, which have fixed values",
            ["http-request add-header", "http-request set-header", "option originalto"]),
        ("Penstock has no logins; the backends check them", ["http-request auth"]),
        ("Penstock has no cache", ["http-request cache-use"]),
        ("see 'request_headers.remove' of a route", ["http-request del-header"]),
        ("Penstock rejects by limits and unknown clients only; see 'limits' and 'clients.unknown'",
            ["http-request deny", "http-request reject", "http-request tarpit"]),
        ("a route always leads to backends; 'listen[].tls.redirect_from' sends a port to HTTPS",
            ["http-request redirect", "redirect", "redirect scheme"]),
        ("see 'rewrite' of a route, which changes prefixes",
            ["http-request replace-path", "http-request set-path", "http-request set-uri"]),
        ("a route always leads to backends", ["http-request return"]),
        ("see 'clients.trusted_proxies'", ["http-request set-src"]),
        ("Penstock has no variables of a request; see the conditions of 'routes'", ["http-request set-var"]),
        ("see 'response_headers.remove' of a route", ["http-response del-header"]),
        ("not needed: connections to backends are kept; see 'timeouts.backend_idle'", ["http-reuse"]),
        ("see 'access_log', such as 'access_log: syslog:unix:/dev/log', and 'log' for events", ["log"]),
        ("see 'access_log.format', which has its own names of variables", ["log-format"]),
        ("see 'bounds.connections_per_address'", ["maxconnrate"]),
        ("see GET /livez and /readyz of the admin API", ["monitor-uri"]),
        ("all working backups get requests when no other backend works", ["option allbackups"]),
        ("see 'health_check' of the upstream", ["option external-check", "option httpchk"]),
        ("bodies are streamed; see 'bounds.body_min_rate' against slow ones", ["option http-buffer-request"]),
        ("not needed: changes of health are always logged", ["option log-health-checks"]),
        ("Penstock balances HTTP", ["option mysql-check", "option pgsql-check", "option redis-check"]),
        ("see 'health_check: tcp' of the upstream", ["option ssl-hello-chk", "option tcp-check", "tcp-check"]),
        ("see 'access_log'", ["option tcplog"]),
        ("see 'retries.statuses' of the upstream", ["retry-on"]),
        ("a backend given by name becomes one for each of its addresses", ["server-template"]),
        (Ciphers,
            ["ssl-default-bind-ciphers", "ssl-default-bind-ciphersuites", "ssl-default-bind-curves",
            "ssl-default-bind-options", "ssl-dh-param-file"]),
        ("the admin API, 'penstock status' and 'penstock top' show this", ["stats"]),
        ("see 'bounds.connections_per_address', and 'limits'", ["tcp-request"]),
        ("see 'health_check.timeout' of the upstream", ["timeout check"]),
        ("see 'timeouts', whose values have a unit and are from 1ms to 24h", ["timeout"]),
        ("'timeouts.response' bounds both sides, 'timeouts.idle' the wait for a request", ["timeout client"]),
        ("see 'queue.timeout' of the upstream", ["timeout queue"]),
        ("see 'timeouts.response'", ["timeout server"]),
        ("see 'bounds.head'", ["tune.bufsize", "tune.maxrewrite"]),
        ("both sides always get X-Request-Id", ["unique-id-format", "unique-id-header"]),
        ("see 'routes' and 'sticky'", ["use-server"]),
    ]);

    /// <summary>The options of <c>bind</c>.</summary>
    private static readonly Dictionary<string, string> Bind = new(StringComparer.Ordinal)
    {
        ["accept-proxy"] = "add proxy_protocol to the listener, and the proxies in front to clients.trusted_proxies",
        ["alpn"] = Http1,
        ["ca-file"] = "see 'client_auth' of 'listen[].tls'",
        ["ciphers"] = Ciphers,
        ["ciphersuites"] = Ciphers,
        ["crl-file"] = "Penstock has no revocation lists; see 'client_auth' of 'listen[].tls'",
        ["crt-list"] = "see 'listen[].tls.certificates'; the one with the name that the client asks for is used",
        ["curves"] = Ciphers,
        ["ecdhe"] = Ciphers,
        ["maxconn"] = "see 'bounds.connections', for all listeners",
        ["mode"] = "see 'listen[].mode'",
        ["npn"] = Http1,
        ["proto"] = Http1,
        ["ssl-max-ver"] = Ciphers,
        ["ssl-min-ver"] = Ciphers,
        ["strict-sni"] = "a client that asks for an unknown name gets the first certificate",
        ["verify"] = "see 'client_auth' of 'listen[].tls'",
    };

    public static string Of(HaproxyLine line) => All.GetValueOrDefault($"{line.Word(0)} {line.Word(1)}")
        ?? All.GetValueOrDefault(line.Word(0)) ?? Conversion.NothingSame;

    public static string OfBind(string option) => Bind.GetValueOrDefault(option) ?? Conversion.NothingSame;
}
