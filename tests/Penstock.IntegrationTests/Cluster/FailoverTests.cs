using Penstock.Control;
using Penstock.Control.Store;
using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>A node with two database servers in its address, of which one is writable.</summary>
[Collection(ClusterCollection.Name)]
public sealed class FailoverTests : ClusterTest
{
    private const string ReadOnly = "ALTER SYSTEM SET default_transaction_read_only = ";

    [Fact]
    public async Task Server_that_is_read_only_is_passed_over_at_the_start_and_left_under_way()
    {
        SharedPostgres.SkipUnlessInstalled();
        await using PostgresServer first = await PostgresServer.StartAsync();
        await using PostgresServer second = await PostgresServer.StartAsync();
        (string one, string two) = (await first.NewDatabaseAsync(), await second.NewDatabaseAsync());
        Assert.True(PostgresUrl.TryParse(one, out PostgresUrl? url));
        PostgresStore.Open(url).Dispose(); // a real standby would have the tables, too
        await SetReadOnlyAsync(first, one, "on");
        Assert.Contains("the server is read-only",
            Assert.Throws<StartException>(() => PostgresStore.Open(url)).Message);

        Nodes.Add(await Node.StartAsync(
            one.Replace($"127.0.0.1:{first.Port}", $"127.0.0.1:{first.Port},127.0.0.1:{second.Port}"), Backend));
        await Nodes[0].ConnectedAsync(true);
        await Nodes[0].PutAsync("c", 100, 1);
        Assert.Equal("1", await second.SqlAsync(two, "SELECT count(*) FROM penstock_clients"));

        await SetReadOnlyAsync(first, one, "off");
        await SetReadOnlyAsync(second, two, "on");
        await Eventually.TrueAsync(async () => (await Nodes[0].SendAsync("PUT", "/clients/d",
            new { capacity = 5, rate_per_sec = 1 })).Status is 200 or 201, "the node edits at the other server");
        Assert.Equal("1", await first.SqlAsync(one, "SELECT count(*) FROM penstock_clients WHERE client_id = 'd'"));
        await Nodes[0].ConnectedAsync(true);
        Assert.Equal("1", await first.SqlAsync(one, "SELECT count(*) FROM penstock_nodes"));
    }

    private static async Task SetReadOnlyAsync(PostgresServer server, string store, string value)
    {
        await server.SqlAsync(store, "SET default_transaction_read_only = off", ReadOnly + value,
            "SELECT pg_reload_conf()");
        await Eventually.TrueAsync(
            async () => await server.SqlAsync(store, "SHOW default_transaction_read_only") == value,
            "the server has the new setting");
    }
}
