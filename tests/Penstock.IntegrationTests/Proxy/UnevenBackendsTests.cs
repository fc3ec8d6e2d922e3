using System.Diagnostics;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Proxy;

/// <summary>Two backends that serve one request at a time, one ten times as slow as the other.
///
/// Ten clients ask without a pause. Taking turns, all but one of them soon stand at the slow one: 9 × 200 ms. By least
/// connections half of them do: 5 × 200 ms. By least time as many as wait as long as at the quick one: about one.
/// </summary>
public sealed class UnevenBackendsTests
{
    private const int Clients = 10;
    private const int QuickMs = 20;
    private const int SlowMs = 200;

    [Fact]
    public async Task Least_time_and_least_connections_beat_round_robin_by_what_the_arithmetic_says()
    {
        double turns = await P99Async(BalanceAlgorithm.RoundRobin);
        double connections = await P99Async(BalanceAlgorithm.LeastConnections);
        double time = await P99Async(BalanceAlgorithm.LeastTime);
        string all = $"p99: round robin {turns:0} ms, least connections {connections:0} ms, least time {time:0} ms";
        TestContext.Current.TestOutputHelper?.WriteLine(all);
        Assert.True(turns > 0.8 * (Clients - 1) * SlowMs, all);
        Assert.True(connections < 0.75 * turns, all); // 5/9 by the arithmetic
        Assert.True(time < 0.45 * turns, all); // 2/9 by the arithmetic: one that is served, one that has just come
    }

    private static async Task<double> P99Async(BalanceAlgorithm algorithm)
    {
        await using ScriptedBackend quick = OneAtATime(QuickMs);
        await using ScriptedBackend slow = OneAtATime(SlowMs);
        ProxyConfig config = TestProxy.Config(quick.Port, slow.Port);
        await using var proxy = new TestProxy(config with
        {
            Upstreams = [config.Upstreams[0] with { Balance = algorithm }],
        });
        var watch = Stopwatch.StartNew();
        double[][] times = await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => Task.Run(async () =>
        {
            using RawClient client = proxy.Connect();
            List<double> each = [];
            while (watch.ElapsedMilliseconds < 6000)
            {
                double began = watch.Elapsed.TotalMilliseconds;
                Assert.Equal(200, (await client.GetAsync()).Status);
                if (began > 2000) // once everybody stands where he will
                {
                    each.Add(watch.Elapsed.TotalMilliseconds - began);
                }
            }
            return each.ToArray();
        })));
        double[] all = [.. times.SelectMany(static t => t).Order()];
        return all[(int)(all.Length * 0.99)];
    }

    private static ScriptedBackend OneAtATime(int ms)
    {
        var turn = new SemaphoreSlim(1);
        return new ScriptedBackend(async peer =>
        {
            while (await peer.ReadRequestAsync() is not null)
            {
                await turn.WaitAsync();
                await Task.Delay(ms);
                turn.Release();
                await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
    }
}
