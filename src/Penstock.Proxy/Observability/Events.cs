using Microsoft.Extensions.Logging;

namespace Penstock.Proxy.Observability;

/// <summary>Names of the data plane's event lines; operators filter and alert by them.</summary>
internal static class Events
{
    public static readonly EventId BackendDown = new(1, "backend_down");
    public static readonly EventId BackendUp = new(2, "backend_up");
    public static readonly EventId BackendUnresolved = new(3, "backend_unresolved");
    public static readonly EventId BackendResolved = new(4, "backend_resolved");
    public static readonly EventId AcceptPaused = new(5, "accept_paused");
    public static readonly EventId DrainEnded = new(6, "drain_ended");
    public static readonly EventId AccessLogFailed = new(7, "access_log_failed");
    public static readonly EventId AccessLogRecovered = new(8, "access_log_recovered");
    public static readonly EventId AccessLogReopened = new(12, "access_log_reopened");
    public static readonly EventId OriginInvalid = new(10, "origin_invalid");
    public static readonly EventId NoDescriptors = new(12, "no_descriptors");
    public static readonly EventId FewDescriptors = new(13, "few_descriptors");
    public static readonly EventId BackendState = new(11, "backend_state");
    public static readonly EventId CheckInconclusive = new(20, "check_inconclusive");
    public static readonly EventId BackendEjected = new(21, "backend_ejected");
    public static readonly EventId BackendReturned = new(22, "backend_returned");
    public static readonly EventId EjectionRefused = new(23, "ejection_refused");
    public static readonly EventId EjectionsIgnored = new(24, "ejections_ignored");
    public static readonly EventId EjectionsCount = new(25, "ejections_count");
    public static readonly EventId Bug = new(9, "bug");
}
