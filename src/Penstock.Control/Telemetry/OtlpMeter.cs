using System.Diagnostics.Metrics;
using Penstock.Control.Telemetry.Metrics;
using Penstock.Proxy.Observability;

namespace Penstock.Control.Telemetry;

/// <summary>The metrics of <see cref="MetricList"/> as instruments of the runtime, from which OpenTelemetry collects
/// them. Names are those of <c>GET /metrics</c> without the suffixes of Prometheus, which a collector adds again.
/// </summary>
internal sealed class OtlpMeter : IDisposable
{
    public const string Name = "Penstock";

    /// <summary>One collection asks every instrument, and all of them get the same reading.</summary>
    private static readonly TimeSpan SameCollection = TimeSpan.FromMilliseconds(200);

    private readonly Meter _meter = new(Name, ProductVersion.Short);
    private readonly List<(Metric Metric, Histogram<double> Instrument)> _histograms = [];
    private Dictionary<string, Durations> _recorded = [];
    private readonly Func<MetricReading> _read;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private MetricReading? _reading;
    private long _readAt;

    public OtlpMeter(Func<MetricReading> read, TimeProvider time)
    {
        (_read, _time) = (read, time);
        foreach (Metric metric in MetricList.All)
        {
            (string name, string? unit) = NameOf(metric.Name);
            switch (metric.Kind)
            {
                case MetricKind.Counter:
                    _meter.CreateObservableCounter(name, () => Measure(metric), unit, metric.Help);
                    break;
                case MetricKind.Gauge:
                    _meter.CreateObservableGauge(name, () => Measure(metric), unit, metric.Help);
                    break;
                default:
                    _histograms.Add((metric, _meter.CreateHistogram(name, unit, metric.Help, tags: null,
                        new InstrumentAdvice<double> { HistogramBucketBoundaries = metric.Bounds })));
                    break;
            }
        }
    }

    public void Dispose() => _meter.Dispose();

    private static (string Name, string? Unit) NameOf(string name)
    {
        name = WithoutEnd(name, "_total");
        return name.EndsWith("_seconds", StringComparison.Ordinal) ? (WithoutEnd(name, "_seconds"), "s")
            : name.EndsWith("_bytes", StringComparison.Ordinal) ? (WithoutEnd(name, "_bytes"), "By") : (name, null);

        static string WithoutEnd(string text, string end) =>
            text.EndsWith(end, StringComparison.Ordinal) ? text[..^end.Length] : text;
    }

    private IEnumerable<Measurement<double>> Measure(Metric metric)
    {
        lock (_lock)
        {
            if (_reading is null || _time.GetElapsedTime(_readAt) > SameCollection)
            {
                _reading = _read();
                _readAt = _time.GetTimestamp();
                RecordDurations(_reading);
            }
            return [.. metric.Read(_reading)
                .Select(sample => new Measurement<double>(sample.Value, Tags(metric, sample)))];
        }
    }

    /// <summary>Histograms of the runtime take single values only. So each bucket's mean is recorded as often as the
    /// bucket has grown since the last collection; counts and sums stay right.</summary>
    private void RecordDurations(MetricReading reading)
    {
        Dictionary<string, Durations> recorded = _recorded;
        _recorded = []; // without series that no longer exist
        foreach ((Metric metric, Histogram<double> instrument) in _histograms)
        {
            foreach (Sample sample in metric.Read(reading))
            {
                string series = $"{metric.Name} {string.Join('\0', sample.Labels)}";
                Durations now = sample.Durations!;
                Durations? before = recorded.GetValueOrDefault(series);
                _recorded[series] = now;
                KeyValuePair<string, object?>[] tags = Tags(metric, sample);
                for (int i = 0; i < now.Counts.Count; i++)
                {
                    long grown = now.Counts[i] - (before?.Counts[i] ?? 0);
                    double mean = (now.Seconds[i] - (before?.Seconds[i] ?? 0)) / Math.Max(1, grown);
                    for (long n = 0; n < grown; n++)
                    {
                        instrument.Record(now.ValueIn(i, mean), tags);
                    }
                }
            }
        }
    }

    private static KeyValuePair<string, object?>[] Tags(Metric metric, in Sample sample)
    {
        var tags = new KeyValuePair<string, object?>[metric.Labels.Length];
        for (int i = 0; i < tags.Length; i++)
        {
            tags[i] = new(metric.Labels[i], sample.Labels[i]);
        }
        return tags;
    }
}
