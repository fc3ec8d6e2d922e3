using Penstock.Proxy.Observability;

namespace Penstock.Control.Telemetry.Metrics;

/// <summary>The kind of a metric (Prometheus data model).</summary>
internal enum MetricKind
{
    /// <summary>Only grows, until a restart.</summary>
    Counter,

    /// <summary>Goes up and down.</summary>
    Gauge,

    /// <summary>Durations in buckets.</summary>
    Histogram,
}

/// <summary>One value of a metric.</summary>
/// <param name="Labels">A value for each label of the metric.</param>
/// <param name="Value">The value; of a histogram without meaning.</param>
/// <param name="Durations">The value of a histogram; otherwise null.</param>
internal readonly record struct Sample(string[] Labels, double Value, Durations? Durations = null);

/// <summary>The one definition of a metric. Its values, <c>GET /metrics</c> and docs/metrics.md come from it.</summary>
/// <param name="Name">The name, with the unit and the suffix that Prometheus expects.</param>
/// <param name="Kind">The kind.</param>
/// <param name="Help">What it says, as a sentence.</param>
/// <param name="Labels">The names of its labels.</param>
/// <param name="Read">Its values now.</param>
internal sealed record Metric(string Name, MetricKind Kind, string Help, string[] Labels,
    Func<MetricReading, IEnumerable<Sample>> Read)
{
    /// <summary>Of a histogram: upper bounds in seconds, of all buckets but the last.</summary>
    public IReadOnlyList<double> Bounds { get; init; } = DurationHistogram.UsualBounds;
}
