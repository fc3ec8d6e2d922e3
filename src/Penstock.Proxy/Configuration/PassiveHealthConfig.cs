namespace Penstock.Proxy.Configuration;

/// <summary>Ejection by live traffic: when a backend is so much worse than the others that it gets no requests for a
/// while.</summary>
public sealed record PassiveHealthConfig
{
    /// <summary>Errors in a row that eject a backend; 0: this rule is off (Envoy's consecutive_5xx, 5).</summary>
    /// <value>Key <c>passive_health.consecutive_errors</c>: <c>off</c>, or 1 to 1,000; default: 5.</value>
    public int ConsecutiveErrors { get; init; } = 5;

    /// <summary>Share of errors in a window that ejects a backend, in percent; 0: this rule is off.</summary>
    /// <value>Key <c>passive_health.error_share</c>: <c>off</c>, or 1% to 100%; default: 50%.</value>
    public int ErrorSharePercent { get; init; } = 50;

    /// <summary>A backend is ejected when its median latency in a window is above this multiple of the others'; 0: this
    /// rule is off, the default, because backends may differ for good reasons.</summary>
    /// <value>Key <c>passive_health.latency_factor</c>: <c>off</c>, or 1.5 to 100; default: off.</value>
    public double LatencyFactor { get; init; }

    /// <summary>Median latencies below this never eject a backend.</summary>
    /// <value>Key <c>passive_health.latency_floor</c>: duration; default: 100ms.</value>
    public TimeSpan LatencyFloor { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Windows with fewer requests are ignored (Envoy's failure_percentage_request_volume, 50).</summary>
    /// <value>Key <c>passive_health.min_requests</c>: 1 to 1,000,000; default: 50.</value>
    public int MinRequests { get; init; } = 50;

    /// <summary>The time over which shares of errors and medians are computed (Envoy's interval, 10 s; here it
    /// slides).</summary>
    /// <value>Key <c>passive_health.window</c>: duration; default: 10s.</value>
    public TimeSpan Window { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long the first ejection lasts; the n-th in a row lasts n times as long (Envoy's default is 30
    /// s).</summary>
    /// <value>Key <c>passive_health.ejection_time</c>: duration; default: 10s.</value>
    public TimeSpan EjectionTime { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The longest ejection, without a random addition of up to a tenth (Envoy's max_ejection_time, 300
    /// s).</summary>
    /// <value>Key <c>passive_health.max_ejection_time</c>: duration; default: 300s.</value>
    public TimeSpan MaxEjectionTime { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>Maximum share of the backends that are ejected at the same time, in percent, rounded down (Envoy's
    /// default is 10).</summary>
    /// <value>Key <c>passive_health.max_ejected</c>: <c>off</c>, or 1% to 100%; default: 50%.</value>
    public int MaxEjectedPercent { get; init; } = 50;

    /// <summary>Ejections are ignored when fewer backends than this are left, in percent (Envoy's
    /// healthy_panic_threshold, 50); 0: never.</summary>
    /// <value>Key <c>passive_health.panic_threshold</c>: <c>off</c>, or 1% to 100%; default: 50%.</value>
    public int PanicThresholdPercent { get; init; } = 50;
}
