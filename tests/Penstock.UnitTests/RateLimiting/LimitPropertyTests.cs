using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Xunit;

namespace Penstock.UnitTests.RateLimiting;

/// <summary>The properties of a correct limiter, each held by the one-word bucket against an ideal one in exact
/// fractions. "Within a unit" is the resolution of the word, 2^-<see cref="Limit.UnitBits"/> token: a nanosecond's
/// worth or two.</summary>
public sealed class LimitPropertyTests
{
    private const long Second = 1_000_000_000;
    private const long Day = 86_400 * Second;

    /// <summary>Capacity, and tokens per second as a fraction.</summary>
    public static TheoryData<long, long, long> Limits => new()
    {
        { 1, 1, 86_400 },
        { 1_000, 1, 86_400 },
        { 3, 1, 3 },
        { 7, 1, 10 },
        { 50, 22, 7 },
        { 100, 10, 1 },
        { 20, 3_333_333, 10 },
        { 1, 1_000_000, 1 },
        { 50, 1_000_000, 1 },
        { 1_000_000_000, 1, 1 },
        { 1_000_000_000, 1_000_000, 1 },
    };

    [Theory]
    [MemberData(nameof(Limits))]
    public void Random_steps_decide_as_the_exact_bucket(long capacity, long numerator, long denominator)
    {
        var limit = new Limit("x", new LimitConfig(capacity, (double)numerator / denominator));
        var exact = new ExactBucket(capacity, numerator, denominator);
        var random = new Random(unchecked((int)(capacity + (31 * numerator) + denominator)));
        double nsPerToken = 1e9 * denominator / numerator;
        int most = (int)Math.Min(capacity + 1, 1000);
        (long now, long word, int edges, int admitted) = (0, 0, 0, 0);
        for (int step = 0; step < 100_000; step++)
        {
            if (step == 0 || now > 100 * 365 * Day)
            {
                // From an empty bucket at the start of a process that runs for a hundred years.
                (now, word, exact) = (0, 0, new ExactBucket(capacity, numerator, denominator));
                Assert.True(limit.TryTake(ref word, 0, (int)capacity));
                exact.Take((int)capacity);
            }

            // Mostly near the edge: on average the bucket refills as many tokens as the requests take.
            int cost = 1 + (random.Next(8) == 0 ? random.Next(most) : 0);
            now += (long)(random.NextDouble() * nsPerToken * cost * random.Next(4));
            exact.Refill(now);
            bool ours = limit.TryTake(ref word, limit.Clock(now), cost);
            bool theirs = exact.Has(cost) && cost <= capacity;
            if (ours != theirs)
            {
                edges++;
                Assert.True(exact.IsAtTheEdge(cost, limit.UnitBits),
                    $"step {step}: {ours} for {cost} at {now} ns, the exact bucket has {exact.Value:R}");
            }
            if (ours)
            {
                exact.Take(cost);
                admitted++;
            }
        }
        Assert.InRange(admitted, 10_000, 99_999);
        Assert.InRange(edges, 0, 10_000);
        // After all steps the two differ as little as after one: rounding errors do not accumulate.
        Assert.InRange(limit.Tokens(word, limit.Clock(now)) - exact.Value,
            -Math.ScaleB(2, -limit.UnitBits) - (capacity * 1e-15),
            Math.ScaleB(2, -limit.UnitBits) + (capacity * 1e-15));
    }

    [Theory]
    [MemberData(nameof(Limits))]
    public void Property_1_any_window_admits_at_most_capacity_and_rate_times_its_length(
        long capacity, long numerator, long denominator)
    {
        // Over every window at once: N(b) − r·b − min over a of (N(a) − r·a) ≤ capacity. All times r's denominator.
        var limit = new Limit("x", new LimitConfig(capacity, (double)numerator / denominator));
        var random = new Random(1);
        Int128 one = (Int128)denominator * Second;
        Int128 unit = (one >> limit.UnitBits) + 1;
        Int128 lowest = 0;
        Int128 count = 0;
        double nsPerToken = 1e9 * denominator / numerator;
        (long now, long word) = (0, 0);
        for (int step = 0; step < 300_000; step++)
        {
            now += (long)(random.NextDouble() * nsPerToken * random.Next(3));
            now = Math.Min(now, 100 * 365 * Day);
            int cost = random.Next(4) == 0 ? (int)Math.Min(capacity, 1 + random.Next(100)) : 1;
            lowest = Int128.Min(lowest, (count * one) - ((Int128)now * numerator));
            if (limit.TryTake(ref word, limit.Clock(now), cost))
            {
                count += cost;
            }
            Int128 window = (count * one) - ((Int128)now * numerator) - lowest;
            Assert.True(window <= (capacity * one) + unit, $"step {step}");
        }
    }

    [Theory]
    [MemberData(nameof(Limits))]
    public void Property_2_under_saturation_not_one_token_is_lost(long capacity, long numerator, long denominator)
    {
        // Requests take all tokens before the next one is refilled: never more than the capacity is admitted.
        var limit = new Limit("x", new LimitConfig(capacity, (double)numerator / denominator));
        var random = new Random(2);
        double nsPerToken = 1e9 * denominator / numerator;
        (long now, long word, Int128 count) = (0, 0, 0);
        Assert.True(limit.TryTake(ref word, 0, (int)capacity));
        count += capacity;
        for (int step = 0; step < 100_000; step++)
        {
            long next = Math.Max(now + 1, limit.AdmitsAtNs(word, now, 1));
            now = Math.Min(Math.Min(now + (long)(random.NextDouble() * nsPerToken * 3), next), 100 * 365 * Day);
            while (limit.TryTake(ref word, limit.Clock(now), 1))
            {
                count++;
            }
        }
        Int128 most = capacity + ((Int128)now * numerator / ((Int128)denominator * Second));
        // A bucket of capacity 1 is full when its token is there: the time until it is taken, up to a unit, is lost.
        Int128 lost = capacity > 1 ? 0 : count >> limit.UnitBits;
        Assert.InRange(count, most - 1 - lost, most + 1);
    }

    [Theory]
    [MemberData(nameof(Limits))]
    public void Property_3_a_rejected_request_takes_nothing(long capacity, long numerator, long denominator)
    {
        var limit = new Limit("x", new LimitConfig(capacity, (double)numerator / denominator));
        var random = new Random(3);
        double nsPerToken = 1e9 * denominator / numerator;
        (long now, long word, int rejected) = (Second, 0, 0);
        Assert.True(limit.TryTake(ref word, limit.Clock(now), (int)capacity));
        for (int step = 0; step < 100_000; step++)
        {
            now += (long)(random.NextDouble() * nsPerToken);
            long before = word;
            if (!limit.TryTake(ref word, limit.Clock(now), 1 + random.Next(5)))
            {
                rejected++;
                Assert.Equal(before, word);
            }
        }
        Assert.InRange(rejected, 10_000, 100_000);
    }

    [Theory]
    [MemberData(nameof(Limits))]
    public void Property_4_more_than_the_capacity_is_never_admitted_and_nothing_is_promised(
        long capacity, long numerator, long denominator)
    {
        var limit = new Limit("x", new LimitConfig(capacity, (double)numerator / denominator));
        foreach (long now in new[] { 0, 1, Second, Day, 100 * 365 * Day, long.MaxValue })
        {
            foreach (int cost in new[] { (int)capacity + 1, 1_500_000_000, int.MaxValue })
            {
                long word = 0;
                Assert.False(limit.TryTake(ref word, limit.Clock(now), cost));
                Assert.Equal(0, word);
                Assert.Equal(-1, limit.SecondsUntil(word, limit.Clock(now), cost));
                Assert.Equal(-1, limit.AdmitsAtNs(word, now, cost));
            }
            long full = 0;
            Assert.True(limit.TryTake(ref full, limit.Clock(now), (int)capacity));
        }
    }

    [Theory]
    [MemberData(nameof(Limits))]
    public void Property_5_the_time_to_wait_is_tight(long capacity, long numerator, long denominator)
    {
        var limit = new Limit("x", new LimitConfig(capacity, (double)numerator / denominator));
        var exact = new ExactBucket(capacity, numerator, denominator);
        var random = new Random(5);
        double nsPerToken = 1e9 * denominator / numerator;
        long unitNs = (long)Math.Ceiling(nsPerToken / Math.Pow(2, limit.UnitBits));
        (long now, long word, int waited) = (0, 0, 0);
        for (int step = 0; step < 20_000 && now < 50 * 365 * Day; step++)
        {
            now += (long)(random.NextDouble() * nsPerToken);
            exact.Refill(now);
            int cost = (int)Math.Min(capacity, 1 + random.Next(3));
            long at = limit.AdmitsAtNs(word, now, cost);
            long seconds = limit.SecondsUntil(word, limit.Clock(now), cost);
            Assert.InRange(at - now, exact.NsUntil(cost) - unitNs - 1, exact.NsUntil(cost) + unitNs + 1);
            Assert.Equal(at > now, Rejects(limit, word, now, cost));
            if (at > now)
            {
                waited++;
                Assert.True(Rejects(limit, word, at - 1, cost), $"step {step}: a nanosecond early");
                Assert.False(Rejects(limit, word, at, cost), $"step {step}: in time");
                // What the client is told is whole seconds: enough, and one less is not.
                Assert.False(Rejects(limit, word, now + (seconds * Second), cost), $"step {step}: after {seconds} s");
                Assert.True(Rejects(limit, word, now + ((seconds - 1) * Second) - unitNs - 1, cost));
            }
            if (limit.TryTake(ref word, limit.Clock(now), cost))
            {
                exact.Take(cost);
            }
        }
        Assert.True(waited > 0 || capacity > 20_000);
    }

    [Theory]
    [MemberData(nameof(Limits))]
    public void Property_6_a_clock_that_jumps_makes_no_bucket_negative_or_more_than_full(
        long capacity, long numerator, long denominator)
    {
        var limit = new Limit("x", new LimitConfig(capacity, (double)numerator / denominator));
        var random = new Random(6);
        long[] jumps = [-30 * Day, -3600 * Second, -1, 0, 1, 3600 * Second, 30 * Day, 10 * 365 * Day];
        (long now, long word) = (Day, 0);
        for (int step = 0; step < 100_000; step++)
        {
            now = Math.Clamp(now + jumps[random.Next(jumps.Length)], -Day, 100 * 365 * Day);
            limit.TryTake(ref word, limit.Clock(now), 1 + random.Next((int)Math.Min(capacity, 1000)));
            long clock = limit.Clock(now);
            Assert.InRange(limit.Tokens(word, clock), 0, capacity);
            Assert.InRange(limit.WholeTokens(word, clock), 0, capacity);
            // A bucket may be negative, down to minus its capacity; a clock that was set back has the same effect.
            long most = limit.WindowSeconds + 1 + (denominator / numerator);
            Assert.InRange(limit.SecondsToNextToken(word, clock), 0, most);
        }
        // Idle for its window, it is full, and no more than full.
        long full = Math.Min(now + (limit.WindowSeconds * Second), long.MaxValue / 2);
        long later = Math.Max(full, limit.AdmitsAtNs(word, now, (int)capacity));
        Assert.True(limit.TryTake(ref word, limit.Clock(later), (int)capacity));
        Assert.False(limit.TryTake(ref word, limit.Clock(later), 1));
    }

    [Theory]
    [MemberData(nameof(Limits))]
    public void Property_9_another_limit_keeps_the_tokens_as_far_as_they_fit(
        long capacity, long numerator, long denominator)
    {
        var random = new Random(9);
        var config = new LimitConfig(capacity, (double)numerator / denominator);
        var bucket = new LocalBucket("x", config, Second);
        long now = Second;
        for (int step = 0; step < 5_000; step++)
        {
            now += random.NextInt64(Second);
            bucket.TryTake(now, 1 + random.Next((int)Math.Min(capacity, 1000)), out _, out _);
            var next = new LimitConfig(1 + random.NextInt64(Math.Min(capacity * 2, 1_000_000_000)),
                config.RatePerSecond * (1 + random.Next(3)));
            if (Limiter.Fault(next.Capacity, next.RatePerSecond) is not null)
            {
                continue;
            }
            double before = bucket.TokensAt(now);
            bucket = bucket.Change(new Limit("x", next), tokens: null, now);
            double kept = Math.Min(before, next.Capacity);
            double unit = Math.ScaleB(1, -bucket.Limit.UnitBits) + (kept * 1e-14);
            Assert.InRange(bucket.TokensAt(now), kept - unit, kept + (kept * 1e-14));
        }
    }

    private static bool Rejects(Limit limit, long word, long nowNs, int cost) =>
        !limit.TryTake(ref word, limit.Clock(nowNs), cost);
}
