using Microsoft.Extensions.Logging;

namespace Penstock.Proxy.Observability;

/// <summary>The data plane's events: 1 to 99.</summary>
internal static class Events
{
    public static readonly EventList List = new();

    public static readonly EventId BackendDown = List.Add(1, "backend_down",
        "Health checks took a backend out of use.");
    public static readonly EventId BackendUp = List.Add(2, "backend_up", "A backend is in use again.");
    public static readonly EventId BackendUnresolved = List.Add(3, "backend_unresolved",
        "The name of a backend does not resolve: there is nothing to send requests to.");
    public static readonly EventId BackendResolved = List.Add(4, "backend_resolved",
        "The name of a backend resolves: for the first time, or to other addresses than before.");
    public static readonly EventId AcceptPaused = List.Add(5, "accept_paused",
        "Penstock accepts no client connections for a moment; new ones wait in the kernel.");
    public static readonly EventId DrainEnded = List.Add(6, "drain_ended",
        "A stop reached `timeouts.shutdown`: Penstock closed the connections that were still busy.");
    public static readonly EventId AccessLogFailed = List.Add(7, "access_log_failed",
        "The access log cannot be written; lines are lost.");
    public static readonly EventId AccessLogRecovered = List.Add(8, "access_log_recovered",
        "The access log can be written again.");
    public static readonly EventId Bug = List.Add(9, "bug",
        "An unexpected exception in Penstock. Please report it with the log lines around it.");
    public static readonly EventId OriginInvalid = List.Add(10, "origin_invalid",
        "A connection was closed, because it did not begin with the PROXY protocol header that its listener requires.");
    public static readonly EventId BackendState = List.Add(11, "backend_state",
        "An operator set the state of a backend.");
    public static readonly EventId NoDescriptors = List.Add(12, "no_descriptors",
        "No connection to a backend can be opened, because the process has no free file descriptor.");
    public static readonly EventId FewDescriptors = List.Add(13, "few_descriptors",
        "At start: the limit of file descriptors allows only few client connections.");
    public static readonly EventId AccessLogReopened = List.Add(14, "access_log_reopened",
        "The access log was reopened.");
    public static readonly EventId CheckInconclusive = List.Add(20, "check_inconclusive",
        "A health check could not be made; the health of the backend stays as it is.");
    public static readonly EventId BackendEjected = List.Add(21, "backend_ejected",
        "A backend did worse than the others in live traffic: it gets no requests for a while.");
    public static readonly EventId BackendReturned = List.Add(22, "backend_returned",
        "The ejection of a backend has ended.");
    public static readonly EventId BackendNotEjected = List.Add(23, "backend_not_ejected",
        "A backend has bad results in live traffic but stays in use: too few would be left, or all fail alike.");
    public static readonly EventId EjectionsIgnored = List.Add(24, "ejections_ignored",
        "Ejected backends get requests nevertheless, because fewer than `panic_threshold` would be left.");
    public static readonly EventId EjectionsCount = List.Add(25, "ejections_count",
        "Ejected backends get no requests again, because enough others are left.");
    public static readonly EventId CheckFailed = List.Add(26, "check_failed",
        "At level `debug`: a single health check failed.");
    public static readonly EventId BackendInsecure = List.Add(28, "backend_insecure",
        "TLS with a backend failed, or its certificate is not accepted; at most one line a minute for each cause.");
    public static readonly EventId HandshakeFailed = List.Add(27, "handshake_failed",
        "At level `debug`: a client and a listener could not agree on TLS.");
}
