using System.Text;
using Penstock.IntegrationTests.Store;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>Many clients at once, at one of the nodes that share a store.</summary>
[Collection(ClusterCollection.Name)]
public sealed class ImportTests(SharedPostgres postgres) : IAsyncLifetime
{
    private const int Count = 20_000;

    /// <summary>The pause between two checks; reading so many clients often would slow the nodes down.</summary>
    private static readonly TimeSpan LookEvery = TimeSpan.FromMilliseconds(20);

    private readonly ScriptedBackend _backend = ScriptedBackend.Always("ok");
    private List<Node> _nodes = [];

    public async ValueTask InitializeAsync() => _nodes =
        await Node.StartAsync(2, await (await postgres.StartedAsync()).NewDatabaseAsync(), _backend);

    public async ValueTask DisposeAsync()
    {
        foreach (Node node in _nodes)
        {
            await node.DisposeAsync();
        }

        await _backend.DisposeAsync();
    }

    [Fact]
    public async Task Import_at_a_node_arrives_whole_at_the_other_and_both_edit_afterwards()
    {
        Assert.Equal($$"""{"created":{{Count}},"updated":0,"unchanged":0}""", await ImportAsync(100));
        await KnownToBothAsync(100);

        Assert.Equal($$"""{"created":0,"updated":{{Count}},"unchanged":0}""", await ImportAsync(200));
        await KnownToBothAsync(200);

        await _nodes[1].PutAsync("c7", 300, 1);
        await _nodes[0].KnowsAsync("c7", 300);
        await _nodes[0].PutAsync("c8", 301, 1);
        await _nodes[1].KnowsAsync("c8", 301);
        Assert.Equal($$"""{"created":0,"updated":2,"unchanged":{{Count - 2}}}""", await ImportAsync(200));
        await KnownToBothAsync(200);
    }

    [Fact]
    public async Task Import_of_a_client_in_use_never_gives_it_more_than_its_limit()
    {
        await _nodes[0].PutAsync("c0", 500, 0.001);
        await _nodes[1].KnowsAsync("c0", 500);
        var hammer = Hammer.Start("c0", [.. _nodes.Select(node => node.EndPoint)]);
        await Eventually.TrueAsync(() => hammer.Admitted > 100, "100 are admitted");

        await ImportAsync(1000, rate: "0.001");
        await KnownToBothAsync(1000);
        await hammer.MoreRejectedAsync(1000);
        await hammer.StopAsync();

        // its tokens are those that it had of 500
        Assert.InRange(hammer.Admitted, 101, 500);
        Assert.All(hammer.Statuses.Keys, static status => Assert.True(status is 200 or 429));
    }

    private async Task<string> ImportAsync(long capacity, string rate = "1")
    {
        var file = new StringBuilder("client_id,capacity,rate_per_sec\n");
        for (int i = 0; i < Count; i++)
        {
            file.Append($"c{i},{capacity},{rate}\n");
        }

        using var http = new HttpClient { BaseAddress = _nodes[0].Host.AdminUrl };
        using var content = new StringContent(file.ToString(), Encoding.UTF8, "text/csv");
        using HttpResponseMessage answer = await http.PostAsync("/clients/import", content);
        return (await answer.Content.ReadAsStringAsync()).TrimEnd();
    }

    private async Task KnownToBothAsync(long capacity)
    {
        foreach (Node node in _nodes)
        {
            Limiter limiter = node.Host.Proxy.Limiter;
            await Eventually.TrueAsync(() => limiter.Clients.Count == Count && Enumerable.Range(0, Count)
                    .All(i => limiter.Clients.TryGet($"c{i}", out ClientState client)
                        && client.Limit.Capacity == capacity),
                $"the node knows all clients with capacity {capacity}", LookEvery);
        }
    }
}
