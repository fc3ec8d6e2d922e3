using Penstock.Proxy;
using Penstock.Proxy.Balancing;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Balancing;

/// <summary>Two backends that serve one request at a time, one ten times as slow as the other, simulated.
///
/// Ten clients send without a pause. With round robin nine of them soon wait at the slow backend: 9 × 200 ms. With
/// least connections five do: 5 × 200 ms. With least time the waits at both backends become equal.
/// </summary>
public sealed class UnevenBackendsTests(ITestOutputHelper output)
{
    private const int Clients = 10;
    private const int QuickMs = 20;
    private const int SlowMs = 200;
    private const long MsNs = 1_000_000;

    [Fact]
    public void Least_time_and_least_connections_beat_round_robin_by_what_the_arithmetic_says()
    {
        double turns = P99Ms(BalanceAlgorithm.RoundRobin);
        double connections = P99Ms(BalanceAlgorithm.LeastConnections);
        double time = P99Ms(BalanceAlgorithm.LeastTime);
        string all = $"p99: round robin {turns:0} ms, least connections {connections:0} ms, least time {time:0} ms";
        output.WriteLine(all);
        Assert.True(turns > 0.8 * (Clients - 1) * SlowMs, all);
        Assert.True(connections < 0.7 * turns, all); // 5/9 by the arithmetic
        Assert.True(time < 0.35 * turns, all); // 2/9 or 3/9: one or two before it at the slow one
    }

    [Theory]
    [InlineData(BalanceAlgorithm.LeastConnections)]
    [InlineData(BalanceAlgorithm.PowerOfTwo)]
    [InlineData(BalanceAlgorithm.LeastTime)]
    public void Slow_backend_gets_few_requests_where_the_balancer_looks_at_load(BalanceAlgorithm algorithm)
    {
        // Twelve clients; one of three backends takes 300 ms instead of 2.
        Upstream upstream = Make(algorithm, 3);
        var random = new PickRandom(42);
        var due = new PriorityQueue<(Backend? Backend, long SentNs), long>();
        for (int i = 0; i < 12; i++)
        {
            due.Enqueue((null, 0), i * MsNs);
        }
        int[] counts = new int[3];
        while (due.TryDequeue(out (Backend? Backend, long SentNs) answer, out long nowNs) && nowNs < 20_000 * MsNs)
        {
            answer.Backend?.Leave();
            answer.Backend?.Latency.Add(nowNs - answer.SentNs, nowNs);
            Backend picked = upstream.Pick(new PickRequest { Tried = [], Random = random, NowNs = nowNs })!;
            int index = upstream.Backends.ToList().IndexOf(picked);
            counts[index]++;
            due.Enqueue((picked, nowNs), nowNs + ((index == 0 ? 300 : 2) * MsNs));
        }
        output.WriteLine(string.Join(' ', counts));
        Assert.InRange(counts[0], 1, counts.Sum() / 10);
        Assert.InRange(counts[1], counts.Sum() / 4, counts.Sum() * 3 / 4);
    }

    private static Upstream Make(BalanceAlgorithm algorithm, int backends) => new(new UpstreamConfig
    {
        Name = "web",
        Balance = algorithm,
        Backends = [.. Enumerable.Range(1, backends).Select(
            static n => new BackendConfig { Host = "127.0.0.1", Port = n })],
    }, new MonotonicClock(TimeProvider.System));

    private static double P99Ms(BalanceAlgorithm algorithm)
    {
        Upstream upstream = Make(algorithm, 2);
        long[] freeNs = new long[2];
        var random = new PickRandom(42);
        var due = new PriorityQueue<(Backend? Backend, long SentNs), long>();
        for (int i = 0; i < Clients; i++)
        {
            due.Enqueue((null, 0), i * MsNs);
        }
        List<double> waits = [];
        while (due.TryDequeue(out (Backend? Backend, long SentNs) answer, out long nowNs)
            && nowNs < 60_000 * MsNs)
        {
            if (answer.Backend is { } from)
            {
                from.Leave();
                from.Latency.Add(nowNs - answer.SentNs, nowNs);
                if (answer.SentNs > 5_000 * MsNs) // once everybody stands where he will
                {
                    waits.Add((nowNs - answer.SentNs) / (double)MsNs);
                }
            }
            Backend picked = upstream.Pick(new PickRequest { Tried = [], Random = random, NowNs = nowNs })!;
            int index = picked == upstream.Backends[0] ? 0 : 1;
            freeNs[index] = Math.Max(nowNs, freeNs[index]) + ((index == 0 ? QuickMs : SlowMs) * MsNs);
            due.Enqueue((picked, nowNs), freeNs[index]);
        }
        waits.Sort();
        return waits[(int)(waits.Count * 0.99)];
    }
}
