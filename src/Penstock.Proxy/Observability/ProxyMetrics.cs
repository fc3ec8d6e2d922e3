namespace Penstock.Proxy.Observability;

/// <summary>Figures of the data plane since start, over all loops. Each was right at one moment during the reading, not
/// all at the same one.</summary>
public sealed record ProxyMetrics
{
    /// <summary>Requests that have ended.</summary>
    public required IReadOnlyList<RequestCount> Requests { get; init; }

    /// <summary>Each listener, including closed ones.</summary>
    public required IReadOnlyList<ListenerMetrics> Listeners { get; init; }

    /// <summary>Each upstream in use.</summary>
    public required IReadOnlyList<UpstreamMetrics> Upstreams { get; init; }

    /// <summary>Each limit that has been configured since start; <c>client</c> is registered clients' own.</summary>
    public required IReadOnlyList<LimitMetrics> Limits { get; init; }

    /// <summary>Upgraded connections that are open.</summary>
    public required long Tunnels { get; init; }

    /// <summary>Access lines that could not be written.</summary>
    public required long AccessLogLinesDropped { get; init; }

    /// <summary>Bytes of access lines that could not be written.</summary>
    public required long AccessLogBytesDropped { get; init; }
}

/// <summary>Requests that ended alike.</summary>
/// <param name="Listener">The listener's address, as configured.</param>
/// <param name="Method">A method of RFC 9110 or PATCH; else <c>other</c>.</param>
/// <param name="Status">The response's status; 0: the client got none.</param>
/// <param name="Reason">How the exchange ended, as in the access log.</param>
/// <param name="Count">How many.</param>
public readonly record struct RequestCount(string Listener, string Method, int Status, string Reason, long Count);

/// <summary>Durations in buckets.</summary>
/// <param name="Bounds">Upper bounds in seconds, of all buckets but the last.</param>
/// <param name="Counts">The number of durations in each bucket.</param>
/// <param name="Seconds">Their sum in each bucket.</param>
public sealed record Durations(
    IReadOnlyList<double> Bounds, IReadOnlyList<long> Counts, IReadOnlyList<double> Seconds)
{
    /// <summary>A value of the bucket that is near the mean of its durations. The mean itself can be outside only if
    /// its sum was read a moment after its count.</summary>
    public double ValueIn(int bucket, double mean) => Math.Clamp(mean,
        bucket == 0 ? 0 : Math.BitIncrement(Bounds[bucket - 1]),
        bucket == Bounds.Count ? double.MaxValue : Bounds[bucket]);
}

/// <summary>What a listener has counted.</summary>
/// <param name="Listener">Its address, as configured.</param>
/// <param name="Accepted">Accepted client connections.</param>
/// <param name="Open">Open client connections.</param>
/// <param name="TurnedAway">Client connections that were closed at once, by a bound or because they may not use the
/// PROXY protocol.</param>
/// <param name="BytesIn">Bytes of request bodies.</param>
/// <param name="BytesOut">Bytes of response bodies.</param>
/// <param name="Requests">Times from a request's first byte to its response's last.</param>
/// <param name="Overheads">Times from the end of a request's head to its first sending, without the wait for a slot.
/// </param>
/// <param name="Handshakes">How handshakes of TLS ended, by a word for the end.</param>
public sealed record ListenerMetrics(string Listener, long Accepted, long Open, long TurnedAway, long BytesIn,
    long BytesOut, Durations Requests, Durations Overheads, IReadOnlyList<(string End, long Count)> Handshakes);

/// <summary>What an upstream has counted.</summary>
/// <param name="Upstream">Its name.</param>
/// <param name="Responses">Times from the first byte sent to the head of the response that was passed on.</param>
public sealed record UpstreamMetrics(string Upstream, Durations Responses);

/// <summary>What a limit has decided.</summary>
/// <param name="Limit">Its name.</param>
/// <param name="Admitted">Requests that it admitted, and that no other limit rejected.</param>
/// <param name="Rejected">Requests that it rejected.</param>
/// <param name="DryRunRejected">Requests that it would have rejected without dry run.</param>
public sealed record LimitMetrics(string Limit, long Admitted, long Rejected, long DryRunRejected);
