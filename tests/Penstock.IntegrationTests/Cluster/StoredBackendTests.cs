using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>Backends that the admin API of one node keeps in the store, and their effect at the other nodes.</summary>
[Collection(ClusterCollection.Name)]
public sealed class StoredBackendTests(SharedPostgres postgres) : ClusterTest
{
    private const string Path = "/upstreams/web/backends";

    private string _store = "";

    public override async ValueTask InitializeAsync()
    {
        _store = await (await postgres.StartedAsync()).NewDatabaseAsync();
        Nodes.AddRange(await Node.StartAsync(2, _store, Backend));
    }

    [Fact]
    public async Task Backend_that_one_node_stores_is_used_by_all_until_any_node_removes_it()
    {
        Assert.Equal(201,
            (await Nodes[0].SendAsync("POST", Path, new { url = "127.0.0.1:10", weight = 3, stored = true })).Status);
        Assert.Equal(201, (await Nodes[0].SendAsync("POST", Path, new { url = "127.0.0.1:11" })).Status);

        await HasAsync(Nodes[1], "\"weight\":3");
        Assert.Equal(404, (await Nodes[1].GetAsync(Path + "/127.0.0.1:11")).Status);
        Nodes.Add(await Node.StartAsync(_store, Backend));
        await HasAsync(Nodes[2], "\"weight\":3");

        await (await postgres.StartedAsync()).SqlAsync(_store,
            """UPDATE penstock_backends SET settings = settings || '{"weight": 7}'""");
        foreach (Node node in Nodes)
        {
            await HasAsync(node, "\"weight\":7");
        }

        Assert.Equal(204, (await Nodes[1].SendAsync("DELETE", Path + "/127.0.0.1:10")).Status);
        foreach (Node node in Nodes)
        {
            await Eventually.TrueAsync(async () => (await node.GetAsync(Path + "/127.0.0.1:10")).Status == 404,
                "the node has removed it");
        }
        Assert.Equal(200, (await Nodes[0].GetAsync(Path + "/127.0.0.1:11")).Status);
    }

    private static Task HasAsync(Node node, string weight) => Eventually.TrueAsync(
        async () => (await node.GetAsync(Path + "/127.0.0.1:10")).Body.Contains(weight), $"the node has {weight}");
}
