using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Xunit;

namespace Penstock.UnitTests.RateLimiting;

/// <summary>The figures that a limit reports; <see cref="LimitPropertyTests"/> compares its arithmetic with an ideal
/// bucket.</summary>
public sealed class LimitTests
{
    [Fact]
    public void TryTake_over_any_window_admits_capacity_plus_rate_times_time()
    {
        var limit = new Limit("x", new LimitConfig(20, 333_333.3));
        long word = 0;
        long admitted = 0;
        long now = 0;
        for (int i = 0; i < 1_000_000; i++)
        {
            now += 1000;
            admitted += limit.TryTake(ref word, limit.Clock(now), 1) ? 1 : 0;
        }
        // A full bucket, and 333.3333 tokens per millisecond for one second: exact to the token.
        Assert.InRange(admitted, 20 + 333_333 - 1, 20 + 333_333 + 1);
    }

    [Theory]
    [InlineData(10, 2.0, 1)]
    [InlineData(3, 0.25, 4)]
    [InlineData(1, 0.1, 10)]
    [InlineData(2, 1.0 / 3, 3)]
    [InlineData(1, 1.0 / 3600, 3600)]
    [InlineData(1, 1.0 / 86400, 86400)]
    [InlineData(5, 7.0 / 86400, 12343)]
    public void Rate_means_the_fraction_that_was_written(long capacity, double rate, long seconds)
    {
        // 0.1 and one per day are not exact in binary; a bucket that used the rounded rate would refill a moment late.
        var limit = new Limit("x", new LimitConfig(capacity, rate));
        long start = 123_456_789_012;
        long word = 0;
        Assert.True(limit.TryTake(ref word, limit.Clock(start), (int)capacity));
        Assert.Equal(seconds, limit.SecondsToNextToken(word, limit.Clock(start)));
        Assert.Equal(seconds, limit.SecondsUntil(word, limit.Clock(start), 1));
        Assert.True(limit.TryTake(ref word, limit.Clock(start + (seconds * 1_000_000_000)), 1));
    }

    [Fact]
    public void Clock_far_in_the_future_or_before_the_start_stays_in_range()
    {
        foreach (double rate in new[] { 1.0 / 8_640_000, 1, 1_000_000 })
        {
            var limit = new Limit("x", new LimitConfig(300, rate));
            long tenYears = (long)(10 * 365.25 * 24 * 3600) * 1_000_000_000;
            long word = 0;
            Assert.Equal(0, limit.Clock(-5));
            Assert.True(limit.TryTake(ref word, limit.Clock(tenYears), 1));
            Assert.InRange(limit.Tokens(word, limit.Clock(tenYears)), 298.999, 299.001);
            Assert.InRange(limit.Tokens(word, limit.Clock(0)), 0, 300); // even if the clock stepped back
            Assert.Equal(300, limit.WholeTokens(word, limit.Clock(2 * tenYears)));
        }
    }

    [Theory]
    [InlineData(0, 1)]
    [InlineData(1_000_000_001, 1)]
    [InlineData(10, 0)]
    [InlineData(10, -1)]
    [InlineData(10, double.NaN)]
    [InlineData(10, 1_000_001)]
    [InlineData(1_000_000_000, 1.0 / 86400)]
    public void Fault_rejects_what_cannot_be_represented(long capacity, double rate) =>
        Assert.NotNull(Limiter.Fault(capacity, rate));

    [Theory]
    [InlineData(1, 1.0 / 86400)]
    [InlineData(1_000_000_000, 1_000_000)]
    [InlineData(1_000_000_000, 1)]
    public void Fault_accepts_the_stated_range(long capacity, double rate) =>
        Assert.Null(Limiter.Fault(capacity, rate));

    [Fact]
    public void Policy_and_state_fields_are_structured_fields()
    {
        var limit = new Limit("default", new LimitConfig(100, 10));
        Assert.Equal("\"default\";q=100;w=10", System.Text.Encoding.ASCII.GetString(limit.PolicyField));
        Assert.Equal("\"default\";r=", System.Text.Encoding.ASCII.GetString(limit.StateField));
    }
}
