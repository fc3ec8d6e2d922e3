using Penstock.Proxy;
using Penstock.Proxy.Balancing;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Balancing;

/// <summary>Least time over simulated backends, on a clock of the test's own.</summary>
public sealed class LeastTimeTests(ITestOutputHelper output)
{
    private const long MsNs = 1_000_000;
    private const long SecondNs = 1_000_000_000;

    [Theory]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(20)]
    public void One_slow_answer_costs_a_backend_hardly_anything(int clients)
    {
        // A answers in 1 ms, B in 5; one answer of A takes 1 s.
        var run = new Simulation(clients, [1, 5]);
        run.For(5 * SecondNs);
        run.NextOf(0, 1000);
        run.For(1 * SecondNs);
        double[] shares = run.For(2 * SecondNs);
        output.WriteLine($"shares in the second second after it: {string.Join(' ', shares)}");
        Assert.True(shares[0] > 0.5);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(10)]
    public void Slow_time_moves_the_traffic_and_is_forgiven_within_fifteen_seconds(int clients)
    {
        // For half a minute every response of A takes 1 s: A gets almost no requests, and recovers afterwards.
        var run = new Simulation(clients, [1, 5]);
        run.For(5 * SecondNs);
        run.Latency[0] = 1000;
        double[] whileSlow = run.For(30 * SecondNs);
        run.Latency[0] = 1;
        long backNs = 0;
        while (run.For(SecondNs)[0] <= 0.5)
        {
            backNs += SecondNs;
            Assert.True(backNs < 15 * SecondNs);
        }
        output.WriteLine($"A's share while slow {whileSlow[0]:0.000}, most after {backNs / 1e9} s");
        Assert.True(whileSlow[0] < 0.01);
    }

    [Theory]
    [InlineData(1, 3)]
    [InlineData(3, 3)]
    [InlineData(8, 3)]
    [InlineData(1, 10)]
    public void Equal_backends_share_fairly(int clients, int count)
    {
        // Latencies of 1 ms and more, exponentially distributed, the very first one of each backend fifty times that.
        double[] latency = [.. Enumerable.Repeat(1.0, count)];
        var run = new Simulation(clients, latency) { Spread = true };
        for (int i = 0; i < count; i++)
        {
            run.NextOf(i, 10 * (i + 1));
        }
        double[] shares = run.For(10 * SecondNs);
        output.WriteLine($"shares: {string.Join(' ', shares.Select(static s => s.ToString("0.000")))}");
        Assert.All(shares, s => Assert.InRange(s * count, 0.6, 1.4));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(12)]
    public void Equal_latencies_of_unequal_weights_share_by_weight(int clients)
    {
        var run = new Simulation(clients, [2, 2], weights: [1, 4]);
        run.For(1 * SecondNs);
        double[] shares = run.For(5 * SecondNs);
        output.WriteLine($"shares: {string.Join(' ', shares)}");
        Assert.InRange(shares[0], 0.1, 0.3);
    }

    [Fact]
    public void Backend_that_has_become_quick_is_found_out()
    {
        var run = new Simulation(1, [1, 500]);
        run.For(20 * SecondNs);
        run.Latency[1] = 0.2;
        run.Latency[0] = 3;
        run.For(15 * SecondNs);
        Assert.True(run.For(SecondNs)[1] > 0.5);
    }

    [Fact]
    public void Slow_backend_gets_no_more_than_looks()
    {
        var run = new Simulation(1, [1, 300]);
        run.For(5 * SecondNs);
        double[] shares = run.For(30 * SecondNs);
        output.WriteLine($"shares: {string.Join(' ', shares)}");
        Assert.InRange(shares[1], 0.0001, 0.002);
    }

    [Fact]
    public void Rare_requests_are_not_spent_on_looking()
    {
        // One request every two seconds: each could be used to measure the slow one, but 15 of 16 go to the fast one.
        var run = new Simulation(1, [1, 300]) { PauseNs = 2 * SecondNs };
        run.For(20 * SecondNs);
        Assert.InRange(run.For(2000 * SecondNs)[1], 0.01, 0.15);
    }

    [Fact]
    public void Quick_errors_do_not_make_a_backend_quick()
    {
        var average = new LatencyAverage();
        for (int i = 0; i < 10; i++)
        {
            average.Add(20 * MsNs, i * MsNs);
        }
        for (int i = 0; i < 10_000; i++)
        {
            average.AddFailure(10_000, i * 100 * MsNs);
        }
        Assert.InRange(average.At(1000 * SecondNs), 15 * MsNs, 25 * MsNs);
    }

    [Fact]
    public void Backend_that_never_answered_is_asked_once_a_second_while_another_answers()
    {
        Upstream upstream = Make([1, 1]);
        Backend known = upstream.Backends[0];
        for (int i = 0; i < LatencyAverage.NewAnswers; i++)
        {
            known.Latency.Add(20 * MsNs, 0);
        }
        var random = new PickRandom(1);
        int asked = 0;
        for (long now = 0; now < 10 * SecondNs; now += 10 * MsNs)
        {
            Backend picked = upstream.Pick(Request(random, now))!;
            asked += picked == known ? 0 : 1;
            picked.Leave(); // connection refused: nothing is learnt
            if (picked == known)
            {
                known.Latency.Add(20 * MsNs, now);
            }
        }
        Assert.Equal(10, asked);
    }

    [Fact]
    public void Average_shrinks_by_the_exponential_of_ten_seconds()
    {
        var average = new LatencyAverage();
        average.Add(100 * MsNs, SecondNs);
        Assert.Equal(100 * MsNs, average.At(SecondNs), MsNs);
        Assert.Equal(100 * MsNs / Math.E, average.At(11 * SecondNs), MsNs);
        Assert.Equal(100 * MsNs / Math.Pow(Math.E, 6), average.At(61 * SecondNs), MsNs);
    }

    [Fact]
    public void Average_follows_what_lasts_within_some_answers()
    {
        var average = new LatencyAverage();
        long now = 0;
        for (int i = 0; i < 1000; i++)
        {
            average.Add(1 * MsNs, now += MsNs);
        }
        average.Add(1000 * MsNs, now += MsNs);
        Assert.InRange(average.At(now), 1 * MsNs, 2.1 * MsNs);
        for (int i = 0; i < 20; i++)
        {
            average.Add(1000 * MsNs, now += MsNs);
        }
        Assert.InRange(average.At(now), 300 * MsNs, 1000 * MsNs);
    }

    private static Upstream Make(int[] weights) => new(new UpstreamConfig
    {
        Name = "web",
        Balance = BalanceAlgorithm.LeastTime,
        Backends = [.. weights.Select(static (w, i) => new BackendConfig
        {
            Host = "127.0.0.1",
            Port = i + 1,
            Weight = w,
        })],
    }, new MonotonicClock(TimeProvider.System));

    private static PickRequest Request(PickRandom random, long nowNs) =>
        new() { Tried = [], Random = random, NowNs = nowNs };

    /// <summary>Clients that send their next request when the last one is answered, or some time later.</summary>
    private sealed class Simulation
    {
        private readonly Upstream _upstream;
        private readonly List<Backend> _backends;
        private readonly PickRandom _random = new(42);
        private readonly PriorityQueue<(Backend? Backend, long SentNs), long> _due = new();
        private readonly Dictionary<int, double> _next = [];
        private long _nowNs = 1;

        public Simulation(int clients, double[] latencyMs, int[]? weights = null)
        {
            Latency = latencyMs;
            _upstream = Make(weights ?? [.. latencyMs.Select(static _ => 1)]);
            _backends = [.. _upstream.Backends];
            for (int i = 0; i < clients; i++)
            {
                _due.Enqueue((null, 0), _nowNs);
            }
        }

        /// <summary>Milliseconds of each backend.</summary>
        public double[] Latency { get; }

        /// <summary>Exponentially distributed above half of it.</summary>
        public bool Spread { get; init; }

        public long PauseNs { get; init; }

        /// <summary>Sets the latency of the next response of a backend.</summary>
        public void NextOf(int backend, double ms) => _next[backend] = ms;

        /// <returns>Each backend's share of the requests that were sent in that time.</returns>
        public double[] For(long ns)
        {
            long endNs = _nowNs + ns;
            double[] counts = new double[_backends.Count];
            while (_due.TryPeek(out _, out long atNs) && atNs <= endNs)
            {
                _nowNs = atNs;
                (Backend? backend, long sentNs) = _due.Dequeue();
                if (backend is not null)
                {
                    backend.Leave();
                    backend.Latency.Add(_nowNs - sentNs, _nowNs);
                    if (PauseNs > 0)
                    {
                        _due.Enqueue((null, 0), _nowNs + PauseNs);
                        continue;
                    }
                }
                Backend picked = _upstream.Pick(Request(_random, _nowNs))!;
                int index = _backends.IndexOf(picked);
                counts[index]++;
                _due.Enqueue((picked, _nowNs), _nowNs + (long)(LatencyOf(index) * MsNs));
            }
            _nowNs = endNs;
            double sum = counts.Sum();
            return [.. counts.Select(c => c / Math.Max(1, sum))];
        }

        private double LatencyOf(int index)
        {
            if (_next.Remove(index, out double ms))
            {
                return ms;
            }
            double unit = (_random.NextWord() >> 11) / (double)(1UL << 53);
            return Spread ? Latency[index] * (0.5 - (0.5 * Math.Log(1 - unit))) : Latency[index];
        }
    }
}
