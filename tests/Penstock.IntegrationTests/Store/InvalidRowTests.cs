using Penstock.IntegrationTests.Admin;
using Penstock.IntegrationTests.Cluster;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Store;

/// <summary>Rows in the store that other programs wrote and whose numbers are invalid for a limiter.</summary>
public sealed class InvalidRowTests(SharedPostgres postgres)
{
    [Theory]
    [InlineData("rate_per_sec = 'fast'")]
    [InlineData("rate_per_sec = 9e999")]
    [InlineData("rate_per_sec = 1e-30")]
    [InlineData("capacity = 1000000000, rate_per_sec = 0.0000002")]
    public async Task Sqlite_row_that_is_invalid_is_ignored_with_a_word_and_the_others_are_in_force(string damage)
    {
        using var file = new StoreFile();
        await using (AdminFixture first = await AdminFixture.StartAsync(file.Setting))
        {
            await first.CreateAsync("bad");
            await first.CreateAsync("good", 100, 10);
        }
        file.Execute($"UPDATE clients SET {damage} WHERE client_id = 'bad'");

        await using AdminFixture second = await AdminFixture.StartAsync(file.Setting);

        (await second.SendAsync("GET", "/clients/bad")).IsError(404);
        Assert.Equal(10, (await second.SendAsync("GET", "/clients/good"))["current_tokens"].GetDouble(), 0.5);
        Assert.Contains("client bad in the store is ignored: ", Assert.Single(second.Log.Lines,
            static line => line.Contains("ignored", StringComparison.Ordinal)));
        Assert.Equal("ready", (await second.SendAsync("GET", "/readyz"))["status"].GetString());
        Assert.Equal(201, (await second.SendAsync("PUT", "/clients/bad",
            """{"capacity":5,"rate_per_sec":1}""")).Status);
    }

    [Theory]
    [InlineData("tokens = 'many'")]
    [InlineData("tokens = 9e999")]
    [InlineData("tokens_at_unix_ms = 'noon'")]
    [InlineData("tokens_at_unix_ms = -9000000000000000")]
    public async Task Sqlite_row_with_invalid_tokens_gives_at_most_a_full_bucket(string damage)
    {
        using var file = new StoreFile();
        await using (AdminFixture first = await AdminFixture.StartAsync(file.Setting))
        {
            await first.CreateAsync("a", 100, 10);
        }

        file.Execute($"UPDATE clients SET {damage} WHERE client_id = 'a'");

        await using AdminFixture second = await AdminFixture.StartAsync(file.Setting);

        Assert.InRange((await second.SendAsync("GET", "/clients/a"))["current_tokens"].GetDouble(), 0, 100);
    }

    [Fact]
    public async Task Postgres_row_that_is_invalid_is_ignored_with_a_word_and_the_limit_of_before_holds_on()
    {
        PostgresServer server = await postgres.StartedAsync();
        string store = await server.NewDatabaseAsync();
        await using var backend = ScriptedBackend.Always("ok");
        await using (Node node = await Node.StartAsync(store, backend))
        {
            await node.PutAsync("a", 100, 1);
            await node.PutAsync("b", 100, 1);
            await server.SqlAsync(store, "UPDATE penstock_clients SET rate_per_sec = 1e-30 WHERE client_id = 'a'");
            await server.SqlAsync(store, "UPDATE penstock_clients SET capacity = 50 WHERE client_id = 'b'");
            await node.KnowsAsync("b", 50);
            await node.KnowsAsync("a", 100);
            Assert.Equal(1, node.Log.Count("client_ignored"));
        }

        await using Node again = await Node.StartAsync(store, backend);
        await again.KnowsAsync("b", 50);
        Assert.False(again.Host.Proxy.Limiter.Clients.TryGet("a", out _));
        Assert.Equal(1, again.Log.Count("client_ignored"));
        await server.SqlAsync(store, "UPDATE penstock_clients SET rate_per_sec = 2 WHERE client_id = 'a'");
        await again.KnowsAsync("a", 100);
    }
}
