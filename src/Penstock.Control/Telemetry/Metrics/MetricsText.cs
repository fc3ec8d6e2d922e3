using Penstock.Proxy.Observability;
using Prometheus;

namespace Penstock.Control.Telemetry.Metrics;

/// <summary>Writes the metrics in the text formats of Prometheus. The library gets a new registry for each answer, so
/// that nothing remains of a backend or limit that no longer exists.</summary>
internal static class MetricsText
{
    public static async Task WriteAsync(Stream target, MetricReading reading, bool openMetrics)
    {
        CollectorRegistry registry = Prometheus.Metrics.NewCustomRegistry();
        MetricFactory factory = Prometheus.Metrics.WithCustomRegistry(registry);
        factory.ExemplarBehavior = ExemplarBehavior.NoExemplars();
        foreach (Metric metric in MetricList.All)
        {
            Add(factory, metric, reading);
        }
        await registry.CollectAndExportAsTextAsync(target,
            openMetrics ? ExpositionFormat.OpenMetricsText : ExpositionFormat.PrometheusText);
    }

    private static void Add(MetricFactory factory, Metric metric, MetricReading reading)
    {
        List<Sample> samples = [.. metric.Read(reading)];
        if (samples.Count == 0)
        {
            return; // without a value, a metric without labels would be 0
        }

        switch (metric.Kind)
        {
            case MetricKind.Counter:
                Counter counter = factory.CreateCounter(metric.Name, metric.Help, metric.Labels);
                samples.ForEach(sample => counter.WithLabels(sample.Labels).IncTo(sample.Value));
                break;
            case MetricKind.Gauge:
                Gauge gauge = factory.CreateGauge(metric.Name, metric.Help, metric.Labels);
                samples.ForEach(sample => gauge.WithLabels(sample.Labels).Set(sample.Value));
                break;
            default:
                Histogram histogram = factory.CreateHistogram(metric.Name, metric.Help, new HistogramConfiguration
                {
                    LabelNames = metric.Labels,
                    Buckets = [.. metric.Bounds],
                });
                samples.ForEach(sample => Observe(histogram.WithLabels(sample.Labels), sample.Durations!));
                break;
        }
    }

    /// <summary>The library has no way to set a bucket. So each bucket's mean is observed as often as the bucket has
    /// durations; the sum stays right.</summary>
    private static void Observe(Histogram.Child target, Durations durations)
    {
        for (int i = 0; i < durations.Counts.Count; i++)
        {
            if (durations.Counts[i] > 0)
            {
                double mean = durations.Seconds[i] / durations.Counts[i];
                target.Observe(durations.ValueIn(i, mean), durations.Counts[i]);
            }
        }
    }
}
