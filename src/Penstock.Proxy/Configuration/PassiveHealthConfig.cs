namespace Penstock.Proxy.Configuration;

/// <summary>Ejection by live traffic: when a backend does so much worse than the others that it is left out for a
/// while.</summary>
public sealed record PassiveHealthConfig
{
    /// <summary>Errors in a row that eject; 0: this does not (Envoy's consecutive_5xx, 5).</summary>
    /// <value>Key <c>passive_health.consecutive_errors</c>: <c>off</c>, or 1 to 1,000; default: 5.</value>
    public int ConsecutiveErrors { get; init; } = 5;

    /// <summary>Share of errors in a window that ejects, percent; 0: this does not.</summary>
    /// <value>Key <c>passive_health.error_share</c>: <c>off</c>, or 1% to 100%; default: 50%.</value>
    public int ErrorSharePercent { get; init; } = 50;

    /// <summary>A median latency of a window above so many times the others' ejects; 0: this does not. Off by default:
    /// backends may differ for good reasons.</summary>
    /// <value>Key <c>passive_health.latency_factor</c>: <c>off</c>, or 1.5 to 100; default: off.</value>
    public double LatencyFactor { get; init; }

    /// <summary>No latency below this ejects.</summary>
    /// <value>Key <c>passive_health.latency_floor</c>: duration; default: 100ms.</value>
    public TimeSpan LatencyFloor { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>A window with fewer requests says nothing (Envoy's failure_percentage_request_volume, 50).</summary>
    /// <value>Key <c>passive_health.min_requests</c>: 1 to 1,000,000; default: 50.</value>
    public int MinRequests { get; init; } = 50;

    /// <summary>What a share and a median are taken of (Envoy's interval, 10 s; here it slides).</summary>
    /// <value>Key <c>passive_health.window</c>: duration; default: 10s.</value>
    public TimeSpan Window { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long the first ejection lasts; the n-th in a row n times as long (Envoy's are 30 s).</summary>
    /// <value>Key <c>passive_health.ejection_time</c>: duration; default: 10s.</value>
    public TimeSpan EjectionTime { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>No ejection is longer, but for a random tenth (Envoy's max_ejection_time, 300 s).</summary>
    /// <value>Key <c>passive_health.max_ejection_time</c>: duration; default: 300s.</value>
    public TimeSpan MaxEjectionTime { get; init; } = TimeSpan.FromSeconds(300);

    /// <summary>Most of the backends that are out at once, percent, rounded down (Envoy's is 10).</summary>
    /// <value>Key <c>passive_health.max_ejected</c>: <c>off</c>, or 1% to 100%; default: 50%.</value>
    public int MaxEjectedPercent { get; init; } = 50;

    /// <summary>When fewer of the backends are left than this, percent, ejections are ignored (Envoy's
    /// healthy_panic_threshold, 50); 0: never.</summary>
    /// <value>Key <c>passive_health.panic_threshold</c>: <c>off</c>, or 1% to 100%; default: 50%.</value>
    public int PanicThresholdPercent { get; init; } = 50;
}
