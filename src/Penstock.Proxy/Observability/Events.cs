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
        "The name of a backend resolves, for the first time or to other addresses.");
    public static readonly EventId AcceptPaused = List.Add(5, "accept_paused",
        "No more client connections are accepted for now.");
    public static readonly EventId DrainEnded = List.Add(6, "drain_ended",
        "Connections were cut at a stop: they were still busy after `timeouts.shutdown`.");
    public static readonly EventId AccessLogFailed = List.Add(7, "access_log_failed",
        "The access log cannot be written; lines are lost.");
    public static readonly EventId AccessLogRecovered = List.Add(8, "access_log_recovered",
        "The access log is written again.");
    public static readonly EventId Bug = List.Add(9, "bug",
        "Penstock met an error of its own. Please report it, with the lines around it.");
    public static readonly EventId OriginInvalid = List.Add(10, "origin_invalid",
        "A connection did not begin with the PROXY protocol header that it must begin with.");
    public static readonly EventId BackendState = List.Add(11, "backend_state",
        "An operator set the state of a backend.");
    public static readonly EventId NoDescriptors = List.Add(12, "no_descriptors",
        "No connection to a backend can be opened, because descriptors have run out.");
    public static readonly EventId FewDescriptors = List.Add(13, "few_descriptors",
        "At start: the limit of descriptors allows only few client connections.");
    public static readonly EventId AccessLogReopened = List.Add(14, "access_log_reopened",
        "The access log was opened anew.");
    public static readonly EventId CheckInconclusive = List.Add(20, "check_inconclusive",
        "A health check could not be made; the health of the backend stays as it is.");
    public static readonly EventId BackendEjected = List.Add(21, "backend_ejected",
        "Live traffic spoke against a backend: it gets no requests for a while.");
    public static readonly EventId BackendReturned = List.Add(22, "backend_returned",
        "The ejection of a backend has ended.");
    public static readonly EventId BackendNotEjected = List.Add(23, "backend_not_ejected",
        "Live traffic speaks against a backend, but it is kept: too few would be left.");
    public static readonly EventId EjectionsIgnored = List.Add(24, "ejections_ignored",
        "Ejected backends get requests all the same, because fewer than `panic_threshold` would be left.");
    public static readonly EventId EjectionsCount = List.Add(25, "ejections_count",
        "Enough backends are left: those that are ejected get no requests again.");
}
