using Penstock.Proxy.Observability;
using Xunit;

namespace Penstock.UnitTests.Observability;

public sealed class DurationHistogramTests
{
    [Fact]
    public void Bound_belongs_to_its_bucket_and_what_is_above_all_bounds_to_the_last()
    {
        var one = new DurationHistogram([0.001, 1]);
        foreach (long ns in new[] { -5, 0, 1_000_000, 1_000_001, 1_000_000_000, 1_000_000_001, 60_000_000_000 })
        {
            one.Add(ns);
        }

        Durations sum = DurationHistogram.Sum([one]);

        Assert.Equal([0.001, 1], sum.Bounds);
        Assert.Equal([3, 2, 2], sum.Counts);
        Assert.Equal([0.001, 1.001000001, 61.000000001], sum.Seconds.Select(static s => Math.Round(s, 9)));
    }

    [Fact]
    public void Loops_are_added_up()
    {
        DurationHistogram[] loops = [.. Enumerable.Range(0, 3)
            .Select(static _ => new DurationHistogram(DurationHistogram.UsualBounds))];
        foreach (DurationHistogram loop in loops)
        {
            loop.Add(2_000_000);
        }

        Durations sum = DurationHistogram.Sum(loops);

        Assert.Equal(3, sum.Counts[1]);
        Assert.Equal(3, sum.Counts.Sum());
        Assert.Equal(0.006, sum.Seconds.Sum(), 1e-9);
    }
}
