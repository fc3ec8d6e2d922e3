using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>One limit over several nodes: exact, whatever the split of the traffic.</summary>
[Collection(ClusterCollection.Name)]
public sealed class SharedLimitTests(SharedPostgres postgres) : ClusterTest
{
    private string _store = "";

    public override async ValueTask InitializeAsync()
    {
        _store = await (await postgres.StartedAsync()).NewDatabaseAsync();
        Nodes.AddRange(await Node.StartAsync(3, _store, Backend));
    }

    [Theory]
    [InlineData(100, 200, new[] { 0, 1, 2 })]
    [InlineData(100, 200, new[] { 0, 0, 0, 1, 2 })]
    [InlineData(50, 100, new[] { 1 })]
    [InlineData(400, 20, new[] { 0, 1, 2 })]
    [InlineData(4, 3, new[] { 0, 1, 2 })]
    public async Task Client_over_three_nodes_gets_its_limit_and_no_more(long capacity, double rate, int[] split)
    {
        await RegisterAsync("c", capacity, rate);

        using var hammer = Hammer.Start("c", [.. split.Select(node => Nodes[node].EndPoint)]);
        await hammer.ForAsync(ClusterRun.Seconds);
        await hammer.StopAsync();

        hammer.AssertExact(capacity, rate);
        Assert.All(hammer.Statuses.Keys, static status => Assert.True(status is 200 or 429));
    }

    [Fact]
    public async Task First_request_at_each_node_is_admitted_while_the_bucket_is_full()
    {
        await RegisterAsync("c", 100, 0.001);

        foreach (var node in Nodes)
        {
            using var client = new RawClient(node.EndPoint);
            var response = await client.GetAsync("/", "X-Client-ID: c\r\n");
            Assert.Equal(200, response.Status);
            Assert.StartsWith("\"client\";r=", response["RateLimit"]);
        }
    }

    [Fact]
    public async Task Tokens_of_an_idle_node_and_of_one_that_leaves_go_back()
    {
        await RegisterAsync("c", 1000, 0.001);
        using var hammer = Hammer.Start("c", Nodes[0].EndPoint);
        await Eventually.TrueAsync(() => hammer.Admitted > 200, "200 are admitted");
        await hammer.StopAsync();

        // what is neither used nor another node's standing credit is there again
        await Node.UntilAsync(async () => await TokensAsync() >= 1000 - hammer.Admitted - (3 * 31) - 1,
            "the idle node gave its tokens back");
        using var other = Hammer.Start("c", Nodes[1].EndPoint);
        await Eventually.TrueAsync(() => hammer.Admitted + other.Admitted >= 1000 - (2 * 31) - 1,
            "the other node leases all that is left");
        await other.MoreRejectedAsync(300);
        await other.StopAsync();
        Assert.InRange(hammer.Admitted + other.Admitted, 0, 1000);

        // the credit of a node that leaves is the others'
        await Nodes[2].DisposeAsync();
        Nodes.RemoveAt(2);
        Assert.InRange(await TokensAsync(), 0, 62);
    }

    [Fact]
    public async Task Set_tokens_are_what_all_nodes_together_admit()
    {
        await RegisterAsync("c", 1000, 0.001);
        using var before = HammerAll("c");
        await Eventually.TrueAsync(() => before.Admitted > 100, "100 are admitted");
        await before.StopAsync();

        await Nodes[0].PutAsync("c", 1000, 0.001, 40);
        foreach (var node in Nodes)
        {
            await Eventually.TrueAsync(() => node.Host.Proxy.Limiter.TryGet("c", out var c) && c.Tokens < 60,
                "the node knows");
        }
        using var after = HammerAll("c");
        await Eventually.TrueAsync(() => after.Admitted >= 39, "the nodes lease what was set");
        await after.MoreRejectedAsync(300);
        await after.StopAsync();

        Assert.InRange(after.Admitted, 39, 40);
    }

    private async Task<double> TokensAsync()
    {
        var server = await postgres.StartedAsync();
        return double.Parse(await server.SqlAsync(_store, "SELECT tokens FROM penstock_clients WHERE client_id = 'c'"));
    }
}
