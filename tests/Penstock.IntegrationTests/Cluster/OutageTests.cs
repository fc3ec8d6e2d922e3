using System.Diagnostics;
using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>Nodes that share limits, while the database comes and goes and while others edit.</summary>
[Collection(ClusterCollection.Name)]
public sealed class OutageTests(SharedPostgres shared, ITestOutputHelper output) : IAsyncLifetime
{
    private readonly ScriptedBackend _backend = ScriptedBackend.Always("ok");
    private readonly List<Node> _nodes = [];

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public async ValueTask DisposeAsync()
    {
        foreach (var node in _nodes)
            await node.DisposeAsync();
        await _backend.DisposeAsync();
    }

    [Fact]
    public async Task Database_that_crashes_under_load_unlimits_nobody_and_is_back_by_itself()
    {
        SharedPostgres.SkipUnlessInstalled();
        await using var postgres = await PostgresServer.StartAsync();
        _nodes.AddRange(await Node.StartAsync(3, await postgres.NewDatabaseAsync(), _backend));
        await RegisterAsync("c", 100, 100);
        using var hammer = Hammer.Start("c", [.. _nodes.Select(static node => node.EndPoint)]);
        await hammer.ForAsync(2);

        await postgres.StopAsync(kill: true);
        foreach (var node in _nodes)
        {
            await Node.UntilAsync(async () => (await node.GetAsync("/readyz")).Body is var ready
                && ready.Contains("\"status\":\"degraded\"", StringComparison.Ordinal)
                && ready.Contains("share of each limit", StringComparison.Ordinal), "the node knows that it is alone");
        }
        var (status, body) = await _nodes[0].SendAsync("PUT", "/clients/c", new { capacity = 5, rate_per_sec = 1 });
        Assert.True(status == 503, body);
        await hammer.ForAsync(6);

        await postgres.StartAgainAsync();
        foreach (var node in _nodes)
        {
            await Node.UntilAsync(async () => (await node.GetAsync("/readyz")).Body
                .Contains("\"status\":\"ready\"", StringComparison.Ordinal), "the node is back by itself");
        }
        await hammer.ForAsync(hammer.Seconds + 2);
        await hammer.StopAsync();

        Assert.All(hammer.Statuses.Keys, static answer => Assert.True(answer is 200 or 429));
        hammer.AssertExact(100, 100, atLeast: 0.8); // tokens under way at the crash are lost, never given twice
        Assert.All(_nodes, static node => Assert.InRange(node.Log.Lines.Count(static line =>
            line.Contains("database is out of reach", StringComparison.Ordinal)), 1, 3)); // said once, not at each try
        await _nodes[1].PutAsync("c", 5, 1);
        await _nodes[2].KnowsAsync("c", 5);
    }

    [Fact]
    public async Task Edit_on_one_node_is_in_force_on_another_and_fills_no_bucket()
    {
        _nodes.AddRange(await Node.StartAsync(2, await (await shared.StartedAsync()).NewDatabaseAsync(), _backend));
        await RegisterAsync("c", 1000, 0.001, tokens: 100);
        var took = new List<double>();
        for (int edit = 1; edit <= 50; edit++)
        {
            long start = Stopwatch.GetTimestamp();
            await _nodes[0].PutAsync("c", 1000 + edit, 0.001);
            await _nodes[1].KnowsAsync("c", 1000 + edit);
            took.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        took.Sort();
        output.WriteLine($"median {took[25]:0.0} ms, longest {took[^1]:0.0} ms");

        using var hammer = Hammer.Start("c", [.. _nodes.Select(static node => node.EndPoint)]);
        await Eventually.TrueAsync(() => hammer.Admitted >= 99, "what was left is admitted");
        await hammer.MoreRejectedAsync(500);
        await hammer.StopAsync();
        Assert.InRange(hammer.Admitted, 99, 100);
    }

    private async Task RegisterAsync(string id, long capacity, double rate, double? tokens = null)
    {
        await _nodes[0].PutAsync(id, capacity, rate, tokens);
        foreach (var node in _nodes)
            await node.KnowsAsync(id, capacity);
    }
}
