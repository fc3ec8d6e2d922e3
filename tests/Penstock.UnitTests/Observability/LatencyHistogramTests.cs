using Penstock.Proxy.Observability;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Observability;

public sealed class LatencyHistogramTests
{
    [Theory]
    [InlineData(20_000)]
    [InlineData(1_000_000)]
    [InlineData(1_499_999)]
    [InlineData(33_333_333)]
    [InlineData(999_999_999)]
    [InlineData(60_000_000_000)]
    public void Median_is_right_to_an_eighth(long latencyNs)
    {
        var histogram = new LatencyHistogram();
        histogram.Add(LatencyHistogram.BucketOf(latencyNs), 3);
        Assert.InRange(histogram.QuantileNs(0.5), latencyNs * 7 / 8, latencyNs * 9 / 8);
    }

    [Fact]
    public void Median_has_half_on_each_side()
    {
        var histogram = new LatencyHistogram();
        histogram.Add(LatencyHistogram.BucketOf(1_000_000), 50);
        histogram.Add(LatencyHistogram.BucketOf(100_000_000), 49);
        Assert.InRange(histogram.QuantileNs(0.5), 800_000, 1_200_000);
        histogram.Add(LatencyHistogram.BucketOf(100_000_000), 2);
        Assert.InRange(histogram.QuantileNs(0.5), 80_000_000, 120_000_000);
    }

    [Theory]
    [InlineData(long.MinValue)]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(long.MaxValue)]
    public void Every_latency_has_a_bucket(long latencyNs) =>
        Assert.InRange(LatencyHistogram.BucketOf(latencyNs), 0, LatencyHistogram.Buckets - 1);

    [Fact]
    public void Buckets_grow_with_latency()
    {
        int before = 0;
        for (long ns = 1; ns < 1L << 40; ns += Math.Max(1, ns / 16))
        {
            int bucket = LatencyHistogram.BucketOf(ns);
            Assert.InRange(bucket, before, before + 1);
            before = bucket;
        }
        Assert.Equal(LatencyHistogram.Buckets - 1, before);
    }

    [Fact]
    public void Differences_are_right_also_when_counts_wrap_around()
    {
        var before = new TrafficCounts { Successes = uint.MaxValue - 2, Errors = 1 };
        var now = new TrafficCounts { Successes = 7, Errors = 3 };
        before.Latencies.Add(5, uint.MaxValue);
        now.Latencies.Add(5, 1);
        TrafficCounts window = now.Since(before);
        Assert.Equal((10u, 2u, 2u), (window.Successes, window.Errors, window.Latencies.Total));
    }
}
