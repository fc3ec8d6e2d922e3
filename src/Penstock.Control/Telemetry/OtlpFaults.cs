using System.Diagnostics.Tracing;
using System.Globalization;
using Microsoft.Extensions.Logging;

namespace Penstock.Control.Telemetry;

/// <summary>Logs why OpenTelemetry's library cannot send, which it reports as events of the runtime only. At most one
/// line a minute.</summary>
internal sealed class OtlpFaults(TimeProvider time, ILogger log) : EventListener
{
    private static readonly TimeSpan Pause = TimeSpan.FromMinutes(1);

    private readonly Lock _lock = new();
    private long? _lastLogged;

    protected override void OnEventSourceCreated(EventSource eventSource)
    {
        if (eventSource.Name.StartsWith("OpenTelemetry-", StringComparison.Ordinal))
        {
            EnableEvents(eventSource, EventLevel.Error);
        }
    }

    protected override void OnEventWritten(EventWrittenEventArgs eventData)
    {
        if (log is null) // the base class calls before this one's parameters are set
        {
            return;
        }
        lock (_lock)
        {
            if (_lastLogged is { } last && time.GetElapsedTime(last) < Pause)
            {
                return;
            }
            _lastLogged = time.GetTimestamp();
        }
        string text = string.Format(CultureInfo.InvariantCulture, eventData.Message ?? eventData.EventName ?? "",
            [.. eventData.Payload ?? (IReadOnlyList<object?>)[]]);
        log.LogWarning(Events.OtlpFailing, "traces or metrics could not be sent by OTLP: {Cause}",
            text.Split('\n', 2)[0].Trim());
    }
}
