using Penstock.IntegrationTests.Store;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>One limit over several nodes: exact, however the traffic is distributed.</summary>
[Collection(ClusterCollection.Name)]
public sealed class SharedLimitTests(SharedLimitTests.ThreeNodes three) : IClassFixture<SharedLimitTests.ThreeNodes>
{
    /// <summary>All tests of this class share these nodes and their database, but use different clients.</summary>
    public sealed class ThreeNodes(SharedPostgres postgres) : ClusterTest
    {
        internal List<Node> All => Nodes;

        public override async ValueTask InitializeAsync()
        {
            if (PostgresServer.Programs is null)
            {
                return;
            }

            Nodes.AddRange(await Node.StartAsync(3, await (await postgres.StartedAsync()).NewDatabaseAsync(), Backend));
        }

        /// <summary>Registers a client at all three, or skips the test where PostgreSQL is not installed.</summary>
        internal Task AddAsync(string id, long capacity, double rate)
        {
            SharedPostgres.SkipUnlessInstalled();
            return RegisterAsync(id, capacity, rate);
        }
    }

    [Theory]
    [InlineData(100, 200, new[] { 0, 1, 2 })]
    [InlineData(100, 200, new[] { 0, 0, 0, 1, 2 })]
    [InlineData(50, 100, new[] { 1 })]
    [InlineData(400, 20, new[] { 0, 1, 2 })]
    [InlineData(4, 3, new[] { 0, 1, 2 })]
    public async Task Client_over_three_nodes_gets_its_limit_and_no_more(long capacity, double rate, int[] split)
    {
        string id = $"of-{capacity}-over-{split.Length}";
        await three.AddAsync(id, capacity, rate);

        using var hammer = Hammer.Start(id, [.. split.Select(node => three.All[node].EndPoint)]);
        await hammer.ForAsync(ClusterRun.Seconds);
        await hammer.StopAsync();

        hammer.AssertNeverMore(capacity, rate);
        Assert.All(hammer.Statuses.Keys, static status => Assert.True(status is 200 or 429));
    }

    [Fact]
    public async Task First_request_at_each_node_is_admitted_while_the_bucket_is_full()
    {
        await three.AddAsync("first", 100, 0.001);

        foreach (Node node in three.All)
        {
            using var client = new RawClient(node.EndPoint);
            RawResponse response = await client.GetAsync("/", "X-Client-ID: first\r\n");
            Assert.Equal(200, response.Status);
            Assert.StartsWith("\"client\";r=", response["RateLimit"]);
        }
    }

    [Fact]
    public async Task Set_tokens_are_what_all_nodes_together_admit()
    {
        await three.AddAsync("set", 1000, 0.001);
        using var before = Hammer.Start("set", [.. three.All.Select(node => node.EndPoint)]);
        await Eventually.TrueAsync(() => before.Admitted > 100, "100 are admitted");
        await before.StopAsync();

        await three.All[0].PutAsync("set", 1000, 0.001, 40);
        foreach (Node node in three.All)
        {
            await Eventually.TrueAsync(() => node.Host.Proxy.Limiter.Clients.TryGet("set", out ClientState c)
                && c.Tokens < 60,
                "the node knows");
        }
        using var after = Hammer.Start("set", [.. three.All.Select(node => node.EndPoint)]);
        await Eventually.TrueAsync(() => after.Admitted >= 39, "the nodes lease what was set");
        await after.MoreRejectedAsync(300);
        await after.StopAsync();

        Assert.InRange(after.Admitted, 39, 40);
    }
}
