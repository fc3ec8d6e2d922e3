using Penstock.Proxy;
using Penstock.Proxy.Balancing;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Balancing;

public sealed class BalancerTests
{
    private readonly PickRandom _random = new(42);

    [Fact]
    public void SmoothRoundRobin_weights_5_1_1_give_a_a_b_a_c_a_a()
    {
        Backend[] backends = Backends(5, 1, 1);
        Balancer balancer = Create(BalanceAlgorithm.RoundRobin, backends);
        string picks = string.Concat(Enumerable.Range(0, 14).Select(_ =>
            (char)('a' + Array.IndexOf(backends, balancer.Pick(Request(_random))))));
        Assert.Equal("aabacaaaabacaa", picks);
    }

    [Fact]
    public void SmoothRoundRobin_equal_weights_alternate()
    {
        Backend[] backends = Backends(1, 1, 1);
        Balancer balancer = Create(BalanceAlgorithm.RoundRobin, backends);
        Assert.Equal([0, 1, 2, 0, 1, 2], Enumerable.Range(0, 6).Select(_ =>
            Array.IndexOf(backends, balancer.Pick(Request(_random)))));
    }

    [Fact]
    public void SmoothRoundRobin_many_threads_share_exactly()
    {
        Backend[] backends = Backends(3, 2, 1);
        Balancer balancer = Create(BalanceAlgorithm.RoundRobin, backends);
        int[] picks = new int[3];
        Parallel.For(0, 8, _ =>
        {
            var random = new PickRandom(1);
            for (int i = 0; i < 6_000; i++)
            {
                Interlocked.Increment(ref picks[Array.IndexOf(backends, balancer.Pick(Request(random)))]);
            }
        });
        Assert.Equal([24_000, 16_000, 8_000], picks);
    }

    [Theory]
    [InlineData(BalanceAlgorithm.RoundRobin, 0.0001)]
    [InlineData(BalanceAlgorithm.LeastConnections, 0.01)]
    [InlineData(BalanceAlgorithm.Random, 0.01)]
    public void Pick_idle_backends_share_by_weight(BalanceAlgorithm algorithm, double tolerance)
    {
        foreach (int[] weights in new int[][] { [1, 1], [1, 2, 3, 4], [10, 1], [256, 1, 1] })
        {
            Backend[] backends = Backends(weights);
            AssertShares(Create(algorithm, backends), backends, [.. weights.Select(static w => (double)w)],
                tolerance);
        }
    }

    [Theory]
    [InlineData(BalanceAlgorithm.RoundRobin)]
    [InlineData(BalanceAlgorithm.LeastConnections)]
    [InlineData(BalanceAlgorithm.Random)]
    [InlineData(BalanceAlgorithm.PowerOfTwo)]
    public void Pick_backend_that_is_down_gets_nothing(BalanceAlgorithm algorithm)
    {
        Backend[] backends = Backends(1, 1, 1);
        backends[1].Health = new HealthState(BackendHealth.Down, "test", null);
        AssertShares(Create(algorithm, backends), backends, [1, 0, 1], 0.01);
    }

    [Theory]
    [InlineData(BalanceAlgorithm.RoundRobin)]
    [InlineData(BalanceAlgorithm.LeastConnections)]
    [InlineData(BalanceAlgorithm.Random)]
    [InlineData(BalanceAlgorithm.PowerOfTwo)]
    public void Pick_leaves_out_what_was_tried_and_ends_with_null(BalanceAlgorithm algorithm)
    {
        Backend[] backends = Backends(1, 5, 2);
        Balancer balancer = Create(algorithm, backends);
        var tried = new List<Backend>();
        for (int i = 0; i < 3; i++)
        {
            Backend? pick = balancer.Pick(Request(_random, tried));
            Assert.NotNull(pick);
            Assert.DoesNotContain(pick, tried);
            tried.Add(pick);
        }
        Assert.Null(balancer.Pick(Request(_random, tried)));
    }

    [Theory]
    [InlineData(BalanceAlgorithm.LeastConnections)]
    [InlineData(BalanceAlgorithm.PowerOfTwo)]
    public void Pick_two_backends_prefers_the_one_with_fewer_in_flight_per_weight(BalanceAlgorithm algorithm)
    {
        Backend[] backends = Backends(1, 4);
        Enter(backends[0], 1);
        Enter(backends[1], 3);
        Balancer balancer = Create(algorithm, backends);
        for (int i = 0; i < 100; i++)
        {
            Assert.Same(backends[1], balancer.Pick(Request(_random))); // 3/4 is less than 1/1
        }
        Enter(backends[1], 2);
        for (int i = 0; i < 100; i++)
        {
            Assert.Same(backends[0], balancer.Pick(Request(_random))); // 5/4 is more than 1/1
        }
    }

    [Fact]
    public void PowerOfTwo_avoids_the_most_loaded_of_many()
    {
        Backend[] backends = Backends(1, 1, 1, 1);
        Enter(backends[2], 50);
        AssertShares(Create(BalanceAlgorithm.PowerOfTwo, backends), backends, [1, 1, 0, 1], 0.01);
    }

    [Fact]
    public void Upstream_uses_a_backup_only_when_no_other_can_take_the_request()
    {
        var config = new UpstreamConfig
        {
            Name = "web",
            Backends = [Config(1), Config(2) with { Backup = true }],
        };
        var upstream = new Upstream(config, new MonotonicClock(TimeProvider.System));
        IReadOnlyList<Backend> backends = upstream.Backends;
        Assert.Same(backends[0], upstream.Pick(Request(_random)));
        backends[0].Health = new HealthState(BackendHealth.Down, "test", null);
        Assert.Same(backends[1], upstream.Pick(Request(_random)));
        backends[1].Health = backends[0].Health;
        Assert.Null(upstream.Pick(Request(_random)));
    }

    [Fact]
    public void Upstream_respects_max_connections_under_concurrency()
    {
        var config = new UpstreamConfig
        {
            Name = "web",
            Balance = BalanceAlgorithm.LeastConnections,
            Backends = [Config(1) with { MaxConnections = 7 }, Config(2) with { MaxConnections = 5 }],
        };
        var upstream = new Upstream(config, new MonotonicClock(TimeProvider.System));
        IReadOnlyList<Backend> backends = upstream.Backends;
        int picked = 0;
        Parallel.For(0, 64, i =>
        {
            if (upstream.Pick(Request(new PickRandom((ulong)i))) is not null)
            {
                Interlocked.Increment(ref picked);
            }
        });
        Assert.Equal(12, picked);
        Assert.Equal([7, 5], backends.Select(static b => b.InFlight));
        backends[1].Leave();
        Assert.Same(backends[1], upstream.Pick(Request(_random)));
    }

    private static Balancer Create(BalanceAlgorithm algorithm, Backend[] backends) =>
        Balancer.Create(new UpstreamConfig { Name = "web", Backends = [], Balance = algorithm }, backends);

    private static PickRequest Request(PickRandom random, List<Backend>? tried = null) =>
        new() { Tried = tried ?? [], Random = random };

    private void AssertShares(Balancer balancer, Backend[] backends, double[] weights, double tolerance)
    {
        const int Picks = 100_000;
        int[] counts = new int[backends.Length];
        for (int i = 0; i < Picks; i++)
        {
            counts[Array.IndexOf(backends, balancer.Pick(Request(_random)))]++;
        }
        double total = weights.Sum();
        for (int i = 0; i < counts.Length; i++)
        {
            double share = weights[i] / total;
            Assert.InRange((double)counts[i] / Picks, share - tolerance, share + tolerance);
        }
    }

    private static void Enter(Backend backend, int times)
    {
        for (int i = 0; i < times; i++)
        {
            backend.TryEnter();
        }
    }

    private static BackendConfig Config(int port) => new() { Host = "127.0.0.1", Port = port };

    private static Backend[] Backends(params int[] weights) =>
        [.. weights.Select(static (w, i) => new Backend("web", Config(i + 1) with { Weight = w }))];
}
