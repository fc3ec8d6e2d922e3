using System.Numerics;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Xunit;

namespace Penstock.UnitTests.RateLimiting;

/// <summary>The one-word bucket against a token bucket in exact rational arithmetic.</summary>
public sealed class LimitTests
{
    [Theory]
    [InlineData(100, 10.0, 1)]
    [InlineData(1, 1.0 / 86400, 2)]
    [InlineData(7, 0.1, 3)]
    [InlineData(1_000_000_000, 1_000_000.0, 4)]
    [InlineData(50, 1_000_000.0, 5)]
    [InlineData(3, 1.0 / 3, 6)]
    [InlineData(1000, 333_333.3, 7)]
    public void TryTake_random_walk_agrees_with_exact_bucket(long capacity, double rate, int seed)
    {
        var limit = new Limit("x", new LimitConfig(capacity, rate));
        var exact = new ExactBucket(capacity, rate);
        var random = new Random(seed);
        double nsPerToken = 1e9 / rate;
        long now = 0;
        long word = 0;
        for (int step = 0; step < 50_000; step++)
        {
            now += (long)(random.NextDouble() * nsPerToken * random.Next(4));
            bool admitted = limit.TryTake(ref word, limit.Clock(now), 1);
            if (admitted != exact.TryTake(now, tolerant: true, admitted))
            {
                Assert.Fail($"step {step} at {now} ns: admitted {admitted}, exact bucket has {exact.TokensText(now)}");
            }
            double tokens = limit.Tokens(word, limit.Clock(now));
            Assert.InRange(tokens, -1e-9, capacity);
        }
    }

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

    [Fact]
    public void TryTake_rejected_leaves_the_word_alone()
    {
        var limit = new Limit("x", new LimitConfig(1, 1));
        long word = 0;
        Assert.True(limit.TryTake(ref word, limit.Clock(1_000_000_000), 1));
        long before = word;
        for (int i = 0; i < 100; i++)
        {
            Assert.False(limit.TryTake(ref word, limit.Clock(1_000_000_000 + i), 1));
        }
        Assert.Equal(before, word);
    }

    [Fact]
    public void TryTake_cost_above_capacity_is_never_admitted()
    {
        var limit = new Limit("x", new LimitConfig(5, 1));
        long word = 0;
        Assert.False(limit.TryTake(ref word, limit.Clock(long.MaxValue / 1000), 6));
        Assert.True(limit.TryTake(ref word, limit.Clock(long.MaxValue / 1000), 5));
    }

    [Theory]
    [InlineData(10, 2.0)]
    [InlineData(3, 0.25)]
    [InlineData(1, 1.0 / 3600)]
    public void SecondsToNextToken_is_tight(long capacity, double rate)
    {
        var limit = new Limit("x", new LimitConfig(capacity, rate));
        long start = 123_456_789_000;
        long word = 0;
        while (limit.TryTake(ref word, limit.Clock(start), 1))
        {
        }
        long wait = limit.SecondsToNextToken(word, limit.Clock(start));
        long early = word;
        long inTime = word;
        Assert.False(limit.TryTake(ref early, limit.Clock(start + ((long)(1e9 / rate) - 1_000_000)), 1));
        Assert.True(limit.TryTake(ref inTime, limit.Clock(start + (wait * 1_000_000_000)), 1));
        Assert.Equal((long)Math.Ceiling(1 / rate), wait);
    }

    [Fact]
    public void Clock_far_in_the_future_or_before_the_start_stays_in_range()
    {
        foreach (double rate in new[] { 1.0 / 8_640_000, 1, 1_000_000 })
        {
            var limit = new Limit("x", new LimitConfig(1_000, rate));
            long tenYears = (long)(10 * 365.25 * 24 * 3600) * 1_000_000_000;
            long word = 0;
            Assert.Equal(0, limit.Clock(-5));
            Assert.True(limit.TryTake(ref word, limit.Clock(tenYears), 1));
            Assert.InRange(limit.Tokens(word, limit.Clock(tenYears)), 998.999, 999.001);
            Assert.InRange(limit.Tokens(word, limit.Clock(0)), 0, 1000); // even if the clock stepped back
            Assert.Equal(1000, limit.WholeTokens(word, limit.Clock(2 * tenYears)));
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
    public void Fault_refuses_what_cannot_be_represented(long capacity, double rate) =>
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

    /// <summary>Tokens as a fraction over 2^1074 · 10^9: no rounding at all.</summary>
    private sealed class ExactBucket
    {
        private readonly BigInteger _denominator;
        private readonly BigInteger _perNs;
        private readonly BigInteger _capacity;
        private BigInteger _tokens;
        private long _at;

        public ExactBucket(long capacity, double rate)
        {
            long raw = BitConverter.DoubleToInt64Bits(rate);
            int shift = 1075 - (int)((raw >> 52) & 0x7FF);
            BigInteger mantissa = (raw & 0xF_FFFF_FFFF_FFFF) | 0x10_0000_0000_0000;
            _denominator = BigInteger.Pow(2, Math.Max(0, shift)) * 1_000_000_000;
            _perNs = shift < 0 ? mantissa << -shift : mantissa;
            _capacity = capacity * _denominator;
            _tokens = _capacity;
        }

        /// <summary>Decides as <paramref name="seen"/> when the bucket is within a 500th of a token of the edge: there
        /// the unit of the word decides (1/1024 token for the fastest rate).</summary>
        public bool TryTake(long now, bool tolerant, bool seen)
        {
            _tokens = BigInteger.Min(_capacity, _tokens + (_perNs * (now - _at)));
            _at = now;
            BigInteger gap = _tokens - _denominator;
            bool admitted = tolerant && BigInteger.Abs(gap) * 500 < _denominator ? seen : gap >= 0;
            _tokens -= admitted ? _denominator : 0;
            return admitted;
        }

        public string TokensText(long now) =>
            ((double)(BigInteger.Min(_capacity, _tokens + (_perNs * (now - _at))) * 1_000_000 / _denominator) / 1e6)
            .ToString("F6");
    }
}
