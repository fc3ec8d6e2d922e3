using Penstock.Proxy;
using Penstock.Proxy.Balancing;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Balancing;

/// <summary>Every algorithm's shares over 100,000 picks, within the tolerance that docs/balancing.md states.</summary>
public sealed class DistributionTests
{
    private const int Picks = 100_000;

    private static readonly int[][] Weights = [[1, 1], [1, 2, 3, 4], [10, 1], [5, 1, 1], [256, 1, 1, 128]];

    private readonly PickRandom _random = new(42);

    public static TheoryData<BalanceAlgorithm, double> Tolerances => new()
    {
        { BalanceAlgorithm.RoundRobin, 0.0001 },
        { BalanceAlgorithm.LeastConnections, 0.01 },
        { BalanceAlgorithm.Random, 0.01 },
        { BalanceAlgorithm.LeastTime, 0.01 },
        { BalanceAlgorithm.Hash, 0.015 },
    };

    [Theory]
    [MemberData(nameof(Tolerances))]
    public void Shares_of_idle_backends_are_their_weights(BalanceAlgorithm algorithm, double tolerance)
    {
        foreach (int[] weights in Weights)
        {
            AssertShares(algorithm, weights, down: -1, tolerance);
        }
    }

    [Theory]
    [MemberData(nameof(Tolerances))]
    public void Shares_without_a_backend_that_is_down_are_the_weights_of_the_others(
        BalanceAlgorithm algorithm, double tolerance)
    {
        foreach (int[] weights in Weights.Where(static w => w.Length > 2))
        {
            AssertShares(algorithm, weights, down: 0, tolerance);
        }
    }

    [Fact]
    public void Power_of_two_of_equal_weights_shares_evenly_and_of_unequal_ones_leans_to_the_heavy()
    {
        AssertShares(BalanceAlgorithm.PowerOfTwo, [1, 1, 1, 1], down: -1, 0.01);
        double[] shares = Shares(BalanceAlgorithm.PowerOfTwo, [1, 2, 3, 4], down: -1);
        Assert.Equal(shares.Order(), shares);
    }

    [Fact]
    public void Least_connections_of_idle_backends_does_not_favour_the_first()
    {
        double[] shares = Shares(BalanceAlgorithm.LeastConnections, [1, 1, 1, 1, 1], down: -1);
        Assert.All(shares, static s => Assert.InRange(s, 0.19, 0.21));
    }

    [Theory]
    [InlineData(BalanceAlgorithm.RoundRobin)]
    [InlineData(BalanceAlgorithm.LeastConnections)]
    [InlineData(BalanceAlgorithm.Random)]
    [InlineData(BalanceAlgorithm.PowerOfTwo)]
    [InlineData(BalanceAlgorithm.LeastTime)]
    [InlineData(BalanceAlgorithm.Hash)]
    public void Slow_start_drain_backup_and_bounds_are_obeyed(BalanceAlgorithm algorithm)
    {
        Upstream upstream = Make(algorithm, [1, 1, 1, 1],
            static (b, i) => b with { Backup = i == 3, MaxConnections = i == 2 ? 2 : 0 });
        IReadOnlyList<Backend> backends = upstream.Backends;
        backends[0].SetState(BackendState.Drain, 0);
        backends[1].SlowStart = TimeSpan.FromSeconds(10);
        backends[1].Health = new HealthState(BackendHealth.Down, "test", null);
        backends[1].Health = new HealthState(BackendHealth.Up, null, null);
        backends[1].Advance(0);
        Assert.Equal(0.1, backends[1].Ramp, 3);

        int[] counts = new int[4];
        for (int i = 0; i < Picks; i++)
        {
            Backend backend = upstream.Pick(Request((ulong)i))!;
            counts[IndexOf(backends, backend)]++;
            backend.Leave();
        }
        Assert.Equal(0, counts[0]); // drains
        Assert.Equal(0, counts[3]); // a backup
        Assert.InRange(counts[1] / (double)Picks, 0, 0.13); // a tenth of the weight of the other one, and ties

        // The one that is at its bound gets no more, the one in slow start takes the rest.
        Assert.True(backends[2].TryEnter() && backends[2].TryEnter());
        Assert.Same(backends[1], upstream.Pick(Request(1)));
        backends[1].Health = new HealthState(BackendHealth.Down, "test", null);
        Assert.Same(backends[3], upstream.Pick(Request(2)));
    }

    [Fact]
    public void Slow_start_grows_to_the_full_weight()
    {
        Upstream upstream = Make(BalanceAlgorithm.RoundRobin, [2, 2]);
        Backend backend = upstream.Backends[0];
        backend.SlowStart = TimeSpan.FromSeconds(10);
        backend.SetState(BackendState.Maintenance, 0);
        backend.SetState(BackendState.Ready, 0);
        List<double> ramps = [];
        for (long second = 0; second <= 10; second++)
        {
            backend.Advance(second * 1_000_000_000);
            ramps.Add(Math.Round(backend.Ramp, 2));
        }
        Assert.Equal([0.1, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1], ramps);
        Assert.Equal(2 * Backend.WeightUnit, backend.Weight);
    }

    [Fact]
    public void Peek_is_what_the_next_pick_does_and_changes_nothing()
    {
        foreach (BalanceAlgorithm algorithm in Enum.GetValues<BalanceAlgorithm>())
        {
            Upstream upstream = Make(algorithm, [3, 1, 2]);
            for (int i = 0; i < 1000; i++)
            {
                ulong key = StableHash.Mix((ulong)i);
                Backend? first = upstream.Peek(Request(key, peek: true));
                Assert.Same(first, upstream.Peek(Request(key, peek: true)));
                Backend picked = upstream.Pick(Request(key))!;
                Assert.Same(first, picked);
                if (i % 3 == 0)
                {
                    picked.Leave(); // loads differ from one to the next
                }
            }
        }
    }

    [Fact]
    public void Least_time_sends_to_where_the_wait_is_shortest()
    {
        Upstream upstream = Make(BalanceAlgorithm.LeastTime, [1, 1]);
        Backend quick = upstream.Backends[0];
        Backend slow = upstream.Backends[1];
        for (int i = 0; i < LatencyAverage.NewAnswers; i++)
        {
            quick.Latency.Add(20_000_000, 1_000_000_000);
            slow.Latency.Add(200_000_000, 1_000_000_000);
        }
        for (int i = 0; i < 7; i++)
        {
            Assert.Same(quick, upstream.Pick(Request(0, nowNs: 1_000_000_000))); // 20 ms × 7 is less than 200 ms
        }
        for (int i = 0; i < 4; i++)
        {
            Assert.True(quick.TryEnter());
        }
        Assert.Same(slow, upstream.Pick(Request(0, nowNs: 1_000_000_000)));
    }

    [Fact]
    public void Hash_with_nearly_all_down_spreads_the_keys_over_the_others_and_keeps_each_where_it_is()
    {
        Upstream upstream = Make(BalanceAlgorithm.Hash, [.. Enumerable.Repeat(1, 200)]);
        foreach (Backend backend in upstream.Backends.Skip(2))
        {
            backend.Health = new HealthState(BackendHealth.Down, "test", null);
        }
        int[] counts = new int[200];
        for (int i = 0; i < 10_000; i++)
        {
            ulong key = StableHash.Mix((ulong)i);
            Backend first = upstream.Pick(Request(key))!;
            Assert.Same(first, upstream.Pick(Request(key)));
            first.Leave();
            first.Leave();
            counts[IndexOf(upstream.Backends, first)]++;
        }
        Assert.InRange(counts[0], 4_500, 5_500);
        Assert.Equal(10_000, counts[0] + counts[1]);
    }

    private static void AssertShares(BalanceAlgorithm algorithm, int[] weights, int down, double tolerance)
    {
        double[] shares = new DistributionTests().Shares(algorithm, weights, down);
        double sum = weights.Where((_, i) => i != down).Sum();
        for (int i = 0; i < weights.Length; i++)
        {
            double expected = i == down ? 0 : weights[i] / sum;
            Assert.True(Math.Abs(shares[i] - expected) <= tolerance,
                $"{algorithm} {string.Join(',', weights)}: backend {i} has {shares[i]:0.0000}, not {expected:0.0000}");
        }
    }

    private double[] Shares(BalanceAlgorithm algorithm, int[] weights, int down)
    {
        Upstream upstream = Make(algorithm, weights);
        if (down >= 0)
        {
            upstream.Backends[down].Health = new HealthState(BackendHealth.Down, "test", null);
        }
        int[] counts = new int[weights.Length];
        for (int i = 0; i < Picks; i++)
        {
            Backend backend = upstream.Pick(Request(StableHash.Mix((ulong)i)))!;
            counts[IndexOf(upstream.Backends, backend)]++;
            backend.Leave();
        }
        return [.. counts.Select(static c => c / (double)Picks)];
    }

    private static int IndexOf(IReadOnlyList<Backend> backends, Backend backend) => backends.ToList().IndexOf(backend);

    private static Upstream Make(BalanceAlgorithm algorithm, int[] weights,
        Func<BackendConfig, int, BackendConfig>? change = null) => new(new UpstreamConfig
        {
            Name = "web",
            Balance = algorithm,
            Backends = [.. weights.Select(static (w, i) => new BackendConfig
            {
                Host = "127.0.0.1",
                Port = i + 1,
                Weight = w,
            }).Select(change ?? (static (b, _) => b))],
        }, new MonotonicClock(TimeProvider.System));

    private PickRequest Request(ulong key, bool peek = false, long nowNs = 1) =>
        new() { Tried = [], Random = _random, AffinityHash = key, Peek = peek, NowNs = nowNs };
}
