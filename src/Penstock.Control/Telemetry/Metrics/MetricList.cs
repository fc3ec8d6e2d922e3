using Penstock.Proxy.Observability;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.Control.Telemetry.Metrics;

/// <summary>All metrics. No metric has a client as a label, because there may be millions of clients.</summary>
internal static partial class MetricList
{
    private static readonly string[] Listener = ["listener"];
    private static readonly string[] Upstream = ["upstream"];
    private static readonly string[] Backend = ["upstream", "backend"];
    private static readonly string[] None = [];

    public static IReadOnlyList<Metric> All { get; } =
        [.. Requests(), .. Upstreams(), .. Backends(), .. Limits(), .. Store(), .. Program()];

    private static IEnumerable<Metric> Requests() =>
    [
        new("penstock_requests_total", MetricKind.Counter,
            "Requests that have ended. The code is the response's status, 0 if the client got none; the reason is that "
                + "of the access log.",
            ["listener", "method", "code", "reason"], static now => now.Loops.Requests.Select(static r =>
                new Sample([r.Listener, r.Method, r.Status.ToString(), r.Reason], r.Count))),
        new("penstock_request_duration_seconds", MetricKind.Histogram,
            "Time from a request's first byte to its response's last.",
            Listener, static now => OfListeners(now, static l => l.Requests)),
        new("penstock_request_overhead_seconds", MetricKind.Histogram,
            "Time from the end of a request's head until the request was sent to a backend for the first time: "
                + "decisions, waits for tokens, connecting. Without the wait for a slot.",
            Listener, static now => OfListeners(now, static l => l.Overheads))
        { Bounds = DurationHistogram.ShortBounds },
        new("penstock_request_body_bytes_total", MetricKind.Counter,
            "Bytes of request bodies that were sent to backends.",
            Listener, static now => OfListeners(now, static l => l.BytesIn)),
        new("penstock_response_body_bytes_total", MetricKind.Counter, "Bytes of response bodies.",
            Listener, static now => OfListeners(now, static l => l.BytesOut)),
        new("penstock_connections_accepted_total", MetricKind.Counter, "Client connections that were accepted.",
            Listener, static now => OfListeners(now, static l => l.Accepted)),
        new("penstock_connections", MetricKind.Gauge, "Client connections that are open.",
            Listener, static now => OfListeners(now, static l => l.Open)),
        new("penstock_connections_turned_away_total", MetricKind.Counter,
            "Client connections that were closed at once: their address had too many, or it may not use the PROXY "
                + "protocol.",
            Listener, static now => OfListeners(now, static l => l.TurnedAway)),
        new("penstock_tls_handshakes_total", MetricKind.Counter,
            "Handshakes of TLS with clients: `full`, `resumed`, `failed` (no agreement, or the client's certificate "
                + "was not accepted), `timed_out`, `left` (the client closed the connection).",
            ["listener", "result"], static now => now.Loops.Listeners.SelectMany(static l =>
                l.Handshakes.Select(h => new Sample([l.Listener, h.End], h.Count)))),
        new("penstock_tls_certificate_expiry_seconds", MetricKind.Gauge,
            "When the certificate expires, in seconds since 1970; by the first of its names.",
            ["listener", "name"], static now => now.Proxy.Certificates().Select(static one => new Sample(
                [one.Listener, one.Certificate.MainName], one.Certificate.NotAfter.ToUnixTimeSeconds()))),
        new("penstock_tunnels", MetricKind.Gauge, "Upgraded connections (WebSocket and others) that are open.",
            None, static now => One(now.Loops.Tunnels)),
        new("penstock_access_log_dropped_lines_total", MetricKind.Counter,
            "Access lines that could not be written.", None, static now => One(now.Loops.AccessLogLinesDropped)),
        new("penstock_access_log_dropped_bytes_total", MetricKind.Counter,
            "Bytes of these lines.", None, static now => One(now.Loops.AccessLogBytesDropped)),
    ];

    private static IEnumerable<Metric> Upstreams() =>
    [
        new("penstock_upstream_response_duration_seconds", MetricKind.Histogram,
            "Time from the first byte sent to a backend to the head of the response, for responses that were passed "
                + "on. It includes slow uploads, and not the attempts that failed.",
            Upstream, static now => now.Loops.Upstreams.Select(static u => new Sample([u.Upstream], 0, u.Responses))),
        new("penstock_upstream_queue", MetricKind.Gauge, "Requests that wait for a slot at a backend.",
            Upstream, static now => OfUpstreams(now, static u => u.Queued)),
        new("penstock_upstream_retries_total", MetricKind.Counter, "Retries paid from the budget.",
            Upstream, static now => OfUpstreams(now, static u => u.Retries)),
        new("penstock_upstream_retries_rejected_total", MetricKind.Counter,
            "Requests that were not retried because the budget was empty.",
            Upstream, static now => OfUpstreams(now, static u => u.RetriesRejected)),
    ];

    private static IEnumerable<Metric> Backends() =>
    [
        new("penstock_backend_up", MetricKind.Gauge,
            "1 if the backend may get requests: it is ready, not down and not ejected.",
            Backend, static now => OfBackends(now, static b => b.MayGetRequests() ? 1 : 0)),
        new("penstock_backend_state", MetricKind.Gauge, "1 for the state that the operator has set.",
            [.. Backend, "state"], static now => now.Backends.SelectMany(static one =>
                Enum.GetValues<BackendState>().Select(state => new Sample(
                    [one.Upstream.Name, one.Backend.Address, state.ToString().ToLowerInvariant()],
                    one.Backend.State == state ? 1 : 0)))),
        new("penstock_backend_ejected", MetricKind.Gauge, "1 while live traffic keeps the backend ejected.",
            Backend, static now => OfBackends(now, static b => b.Ejected is null ? 0 : 1)),
        new("penstock_backend_weight", MetricKind.Gauge, "The configured weight, or the one set by the API.",
            Backend, static now => OfBackends(now, static b => b.Weight)),
        new("penstock_backend_in_flight", MetricKind.Gauge, "Exchanges in flight.",
            Backend, static now => OfBackends(now, static b => b.InFlight)),
        new("penstock_backend_latency_seconds", MetricKind.Gauge,
            "Recent average of the time until the response's first byte; absent before the first response.",
            Backend, static now => now.Backends.Where(static one => one.Backend.LatencyMs is not null)
                .Select(static one => Of(one, one.Backend.LatencyMs!.Value / 1000))),
        new("penstock_backend_requests_total", MetricKind.Counter, "Requests sent to the backend.",
            Backend, static now => OfBackends(now, static b => b.Requests)),
        new("penstock_backend_failures_total", MetricKind.Counter,
            "Requests and connection attempts that brought no valid response.",
            Backend, static now => OfBackends(now, static b => b.Failures)),
        new("penstock_backend_ejections_total", MetricKind.Counter, "How often live traffic has ejected the backend.",
            Backend, static now => OfBackends(now, static b => b.Ejections)),
        new("penstock_backend_health_changes_total", MetricKind.Counter,
            "How often health checks have changed the backend's health.",
            Backend, static now => OfBackends(now, static b => b.HealthChanges)),
        new("penstock_health_checks_total", MetricKind.Counter, "Health checks by result.",
            [.. Backend, "result"], static now => now.Backends.SelectMany(static one => new[]
            {
                new Sample([one.Upstream.Name, one.Backend.Address, "passed"], one.Backend.ChecksPassed),
                new Sample([one.Upstream.Name, one.Backend.Address, "failed"], one.Backend.ChecksFailed),
            })),
    ];

    private static IEnumerable<Metric> Limits() =>
    [
        new("penstock_limit_decisions_total", MetricKind.Counter,
            "Requests by limit and decision: `admitted` (by all limits), `rejected`, `dry_run_rejected`. The limit "
                + "`client` is registered clients' own.",
            ["limit", "decision"], static now => now.Loops.Limits.SelectMany(static l => new[]
            {
                new Sample([l.Limit, "admitted"], l.Admitted),
                new Sample([l.Limit, "rejected"], l.Rejected),
                new Sample([l.Limit, "dry_run_rejected"], l.DryRunRejected),
            })),
        new("penstock_clients", MetricKind.Gauge, "Registered clients.",
            None, static now => One(now.Proxy.Limiter.Clients.Count)),
        new("penstock_tracked_buckets", MetricKind.Gauge,
            "Buckets of unregistered clients. A full bucket stays until another client needs its place.",
            None, static now => One(now.Proxy.Limiter.Tracked)),
        new("penstock_displaced_buckets_total", MetricKind.Counter,
            "How often the bucket of a new client has replaced one in use. If it grows, raise `clients.max_tracked`.",
            None, static now => One(now.Proxy.Limiter.Displaced)),
    ];

    private static Sample[] One(double value) => [new([], value)];

    private static IEnumerable<Sample> OfListeners(MetricReading now, Func<ListenerMetrics, double> value) =>
        now.Loops.Listeners.Select(listener => new Sample([listener.Listener], value(listener)));

    private static IEnumerable<Sample> OfListeners(MetricReading now, Func<ListenerMetrics, Durations> value) =>
        now.Loops.Listeners.Select(listener => new Sample([listener.Listener], 0, value(listener)));

    private static IEnumerable<Sample> OfUpstreams(MetricReading now, Func<UpstreamStatus, double> value) =>
        now.Upstreams.Select(upstream => new Sample([upstream.Name], value(upstream)));

    private static IEnumerable<Sample> OfBackends(MetricReading now, Func<BackendStatus, double> value) =>
        now.Backends.Select(one => Of(one, value(one.Backend)));

    private static Sample Of((UpstreamStatus Upstream, BackendStatus Backend) one, double value) =>
        new([one.Upstream.Name, one.Backend.Address], value);
}
