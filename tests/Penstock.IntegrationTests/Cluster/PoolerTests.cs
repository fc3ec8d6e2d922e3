using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>Nodes whose database is behind PgBouncer in transaction mode, where programs share sessions.</summary>
[Collection(ClusterCollection.Name)]
public sealed class PoolerTests(SharedPostgres postgres) : ClusterTest
{
    private const string SettingsSql = """
        SELECT current_setting('synchronous_commit'), current_setting('statement_timeout'),
            current_setting('lock_timeout'), current_setting('idle_in_transaction_session_timeout'),
            (SELECT count(*) FROM pg_prepared_statements), (SELECT count(*) FROM pg_listening_channels())
        """;

    [Fact]
    public async Task Nodes_behind_a_pooler_start_again_share_tokens_and_edits_and_leave_nothing_in_the_session()
    {
        PostgresServer server = await postgres.StartedAsync();
        Assert.SkipUnless(PgBouncer.IsInstalled, "PgBouncer is not installed");
        string direct = await server.NewDatabaseAsync();
        await using PgBouncer pooler = await PgBouncer.StartAsync(server);
        string store = pooler.UrlOf(direct);
        string untouched = await PostgresServer.SqlAtAsync(pooler.Port, direct, SettingsSql);
        for (int start = 1; start <= 3; start++) // a start found the names of the one before
        {
            await (await Node.StartAsync(store, Backend)).DisposeAsync();
        }

        Nodes.AddRange(await Node.StartAsync(2, store, Backend));
        Nodes.Add(await Node.StartAsync(direct, Backend)); // nodes with and without the pooler go together
        await Nodes[0].SeesAsync(3);
        await RegisterAsync("c", 100, 0.001);
        using Hammer hammer = HammerAll("c");
        await Eventually.TrueAsync(() => hammer.Admitted >= 97, "nearly all tokens are admitted");
        await hammer.MoreRejectedAsync(300);
        await hammer.StopAsync();
        Assert.InRange(hammer.Admitted, 97, 100);

        await Nodes[2].PutAsync("c", 200, 1);
        await Nodes[0].KnowsAsync("c", 200);
        await Nodes[1].SendAsync("DELETE", "/clients/c");
        await Eventually.TrueAsync(() => !Nodes[0].Host.Proxy.Limiter.Clients.TryGet("c", out _), "a deletion arrives");
        Assert.Contains(Nodes[0].Log.Lines,
            static line => line.Contains("connection pooler", StringComparison.Ordinal));
        Assert.DoesNotContain(Nodes[2].Log.Lines,
            static line => line.Contains("connection pooler", StringComparison.Ordinal));
        Assert.Equal(untouched, await PostgresServer.SqlAtAsync(pooler.Port, direct, SettingsSql));
    }
}
