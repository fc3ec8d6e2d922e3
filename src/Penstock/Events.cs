using Microsoft.Extensions.Logging;
using Penstock.Proxy.Observability;

namespace Penstock;

/// <summary>The program's events: 200 to 299.</summary>
internal static class Events
{
    public static readonly EventList List = new();

    public static readonly EventId Started = List.Add(200, "started", "Penstock accepts connections.");
    public static readonly EventId Stopped = List.Add(201, "stopped", "Penstock has stopped.");
    public static readonly EventId Signal = List.Add(202, "signal", "Penstock received a signal.");
    public static readonly EventId ReloadBug = List.Add(204, "reload_bug",
        "A reload failed because of a bug in Penstock.");
    public static readonly EventId HandedOver = List.Add(205, "handed_over",
        "Another process has taken over; this one ends with its last client connection.");
    public static readonly EventId TookOver = List.Add(206, "took_over",
        "This process has taken over from another one.");
    public static readonly EventId SuccessorFailed = List.Add(207, "successor_failed",
        "The process that SIGUSR2 has started could not be started, or has ended.");

    /// <summary>The same at start as at a reload.</summary>
    public static readonly EventId ConfigWarning = Control.Telemetry.Events.ConfigWarning;
}
