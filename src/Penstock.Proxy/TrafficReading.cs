using Penstock.Proxy.Configuration;
using Penstock.Proxy.Observability;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy;

/// <summary>Where traffic flows, at one moment. Counts are since the start: for a period, take the difference of two
/// readings.</summary>
public sealed record TrafficReading
{
    /// <summary>When it was read, on the monotonic clock, in nanoseconds.</summary>
    public required long TimestampNs { get; init; }

    /// <summary>The listeners, from which clients come.</summary>
    public required IReadOnlyList<ListenerReading> Listeners { get; init; }

    /// <summary>How many requests ended with which status; 0: the client got no response.</summary>
    public required IReadOnlyDictionary<int, long> Statuses { get; init; }

    /// <summary>How many requests took which route, by listener.</summary>
    public required IReadOnlyList<FlowReading> Flows { get; init; }

    /// <summary>The upstreams, to which routes lead.</summary>
    public required IReadOnlyList<UpstreamReading> Upstreams { get; init; }
}

/// <summary>A listener.</summary>
/// <param name="Name">Its address, as configured.</param>
/// <param name="Open">Client connections that are open now.</param>
/// <param name="Latencies">From a request's first byte to its response's last, without rejected requests.</param>
public sealed record ListenerReading(string Name, long Open, LatencyHistogram Latencies);

/// <summary>The requests of a listener that took a route.</summary>
/// <param name="Listener">The listener's address, as configured.</param>
/// <param name="Route">The route's name; null: no route matched, or none was asked for.</param>
/// <param name="Requests">All of them.</param>
/// <param name="Failed">Those with a response of 5xx, or with none because of a backend.</param>
/// <param name="Rejected">Those that a limit rejected.</param>
public sealed record FlowReading(string Listener, string? Route, long Requests, long Failed, long Rejected);

/// <summary>An upstream.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Balance">How it picks a backend.</param>
/// <param name="Queued">Requests that wait for a slot at a backend now.</param>
/// <param name="Backends">Its backends.</param>
public sealed record UpstreamReading(
    string Name, BalanceAlgorithm Balance, int Queued, IReadOnlyList<BackendReading> Backends);

/// <summary>A backend. Its counts of 32 bits may wrap around; differences stay right.</summary>
/// <param name="Status">Its state.</param>
/// <param name="Succeeded">Complete responses without an error of the server.</param>
/// <param name="Failed">Responses with an error of the server, and requests without a complete response.</param>
/// <param name="Latencies">From the first byte sent to the head of a response without an error.</param>
public sealed record BackendReading(BackendStatus Status, uint Succeeded, uint Failed, LatencyHistogram Latencies);
