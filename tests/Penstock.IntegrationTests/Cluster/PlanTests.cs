using System.Text.Json;
using Penstock.Control.Store;
using Penstock.IntegrationTests.Store;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>Plans and access set at one node, and their effect at another node; also with nodes of an old version and
/// with SQL that does not use plans.</summary>
[Collection(ClusterCollection.Name)]
public sealed class PlanTests(SharedPostgres postgres) : ClusterTest
{
    private string _store = "";

    public override async ValueTask InitializeAsync()
    {
        _store = await (await postgres.StartedAsync()).NewDatabaseAsync();
        Nodes.AddRange(await Node.StartAsync(2, _store, Backend));
    }

    [Fact]
    public async Task Edit_of_a_plan_on_one_node_is_enforced_on_another_and_fills_no_bucket()
    {
        const int Tokens = 100;
        await SendAsync("PUT", "/plans/gold", new { capacity = 1000, rate_per_sec = 0.001 });
        await SendAsync("PUT", "/clients/c", new { plan = "gold", current_tokens = Tokens });
        await Nodes[1].KnowsAsync("c", 1000);
        using var client = new RawClient(Nodes[1].EndPoint);
        int admitted = 0;
        for (int edit = 1; edit <= 50; edit++)
        {
            await SendAsync("PUT", "/plans/gold", new { capacity = 1000 + edit, rate_per_sec = 0.001 });
            RawResponse response;
            do
            {
                response = await client.GetAsync("/", "X-Client-ID: c\r\n");
                Assert.True(response.Status is 200 or 429, response.Head);
                if (response.Status == 200)
                {
                    admitted++;
                }
            }
            while (response["RateLimit-Policy"]?.Contains($";q={1000 + edit};") != true);
        }
        Assert.InRange(admitted, 1, Tokens); // 50 edits brought not one

        await SendAsync("PUT", "/plans/gold", new { capacity = 5, rate_per_sec = 0.001 });
        await Nodes[1].KnowsAsync("c", 5);
        using Hammer hammer = HammerAll("c");
        await hammer.MoreRejectedAsync(500);
        await hammer.StopAsync();
        Assert.InRange(admitted + hammer.Admitted, 0, Tokens);
        Assert.InRange(hammer.Admitted, 0, 5 + 5); // what each node had at hand, clamped
    }

    [Fact]
    public async Task Block_on_one_node_is_enforced_on_another_and_so_is_its_end()
    {
        await RegisterAsync("c", 1000, 1);
        using var client = new RawClient(Nodes[1].EndPoint);

        await SendAsync("PATCH", "/clients/c", new { access = "blocked" });
        await Eventually.TrueAsync(() => Status(client) == 403, "it is blocked");
        await SendAsync("PATCH", "/clients/c", new { access = "exempt" });
        await Eventually.TrueAsync(() => Status(client) == 200, "it may pass");
        Assert.Contains("\"exempt\":true", (await Nodes[1].SendAsync("POST", "/explain",
            new { headers = new Dictionary<string, string> { ["X-Client-ID"] = "c" } })).Body);
    }

    [Fact]
    public async Task Statements_of_a_node_that_knows_no_plans_go_on_working()
    {
        PostgresServer server = await postgres.StartedAsync();
        await SendAsync("PUT", "/plans/gold", new { capacity = 1000, rate_per_sec = 0.001 });
        await SendAsync("PUT", "/clients/c", new { plan = "gold", access = "exempt", current_tokens = 700 });

        // its reset: the numbers as it reads them, and the tokens
        await server.SqlAsync(_store, """
            INSERT INTO penstock_clients AS c (client_id, capacity, rate_per_sec, tokens) VALUES ('c', 1000, 0.001, 900)
            ON CONFLICT (client_id) DO UPDATE SET capacity = excluded.capacity, rate_per_sec = excluded.rate_per_sec,
                tokens = excluded.tokens, epoch = 0
            """);
        await server.SqlAsync(_store,
            "INSERT INTO penstock_clients (client_id, capacity, rate_per_sec, tokens) VALUES ('new', 7, 1, 7)");
        Assert.Contains("\"plan\":\"gold\",\"access\":\"exempt\"", (await Nodes[1].GetAsync("/clients/c")).Body);
        await Nodes[1].KnowsAsync("new", 7);

        // Its edit: the client then has its own numbers; everything else stays.
        await server.SqlAsync(_store, "UPDATE penstock_clients SET capacity = 500 WHERE client_id = 'c'");
        await Nodes[1].KnowsAsync("c", 500);
        (int _, string body) = await Nodes[1].GetAsync("/clients/c");
        Assert.Contains("\"access\":\"exempt\"", body);
        Assert.DoesNotContain("plan", body);
    }

    [Fact]
    public async Task Edits_by_sql_are_met_and_what_cannot_be_is_rejected()
    {
        PostgresServer server = await postgres.StartedAsync();
        await SendAsync("PUT", "/plans/gold", new { capacity = 1000, rate_per_sec = 0.001 });
        await RegisterAsync("c", 50, 0.001, 20);

        await server.SqlAsync(_store, "UPDATE penstock_clients SET plan = 'gold' WHERE client_id = 'c'");
        await Nodes[1].KnowsAsync("c", 1000);
        await server.SqlAsync(_store, "UPDATE penstock_plans SET capacity = 400 WHERE plan = 'gold'");
        await Nodes[1].KnowsAsync("c", 400);
        await Eventually.TrueAsync(async () => JsonElement.Parse((await Nodes[1].GetAsync("/clients/c")).Body)
            .GetProperty("current_tokens").GetDouble() is > 19 and < 21, "the tokens are those that it had");

        foreach (string sql in new[]
        {
            "DELETE FROM penstock_plans", "TRUNCATE penstock_plans",
            "UPDATE penstock_clients SET plan = 'glod' WHERE client_id = 'c'",
        })
        {
            await Assert.ThrowsAnyAsync<Exception>(() => server.SqlAsync(_store, sql));
        }
    }

    [Fact]
    public async Task Tokens_that_came_back_before_an_edit_came_back_at_the_rate_of_then()
    {
        PostgresServer server = await postgres.StartedAsync();
        string database = await server.NewDatabaseAsync(); // without nodes, which would lease
        using IClientStore store = ClientStores.Open(database, TimeProvider.System);
        store.PutPlan("gold", new(1000, 0.001));
        store.Put("c", new(1000, 0.001), 100, new() { Plan = "gold" });

        // As if each edit was made an hour after the one before it.
        await server.SqlAsync(database, "UPDATE penstock_clients SET tokens_at = tokens_at - interval '1 hour'");
        store.PutPlan("gold", new(1000, 0.01));
        await server.SqlAsync(database, "UPDATE penstock_clients SET tokens_at = tokens_at - interval '1 hour'");
        await server.SqlAsync(database, "UPDATE penstock_plan_past SET until = until - interval '1 hour'");
        store.PutPlan("gold", new(1000, 0.001));

        Assert.InRange(store.Find("c")!.Value.Tokens, 100 + 3.6 + 36, 100 + 3.6 + 36 + 0.6);
        Assert.InRange(store.Put("c", new(500, 1), null).Tokens, 100 + 3.6 + 36, 100 + 3.6 + 36 + 0.6);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Database_of_an_earlier_schema_keeps_its_clients_and_gets_plans(int schema)
    {
        PostgresServer server = await postgres.StartedAsync();
        string database = await server.NewDatabaseAsync();
        Assert.True(PostgresUrl.TryParse(database, out PostgresUrl? url));
        using (var connection = PostgresConnection.Open(url))
        {
            PostgresSchema.Migrate(connection.Raw, url.Name, last: schema);
        }

        await server.SqlAsync(database,
            "INSERT INTO penstock_clients (client_id, capacity, rate_per_sec, tokens) VALUES ('c', 10, 0.001, 4)");

        using IClientStore store = ClientStores.Open(database, TimeProvider.System);

        ClientState found = store.Find("c")!.Value;
        Assert.Equal((10, null), (found.Limit.Capacity, found.Terms));
        Assert.InRange(found.Tokens, 4, 4.5);
        store.PutPlan("gold", new(1000, 0.001));
        ClientState planned = store.Put("c", new(1000, 0.001), null, new() { Plan = "gold" });
        Assert.Equal(1000, planned.Limit.Capacity);
        Assert.InRange(planned.Tokens, 4, 4.5);
    }

    private static int Status(RawClient client) =>
        client.GetAsync("/", "X-Client-ID: c\r\n").GetAwaiter().GetResult().Status;

    private async Task SendAsync(string method, string path, object body)
    {
        (int status, string text) = await Nodes[0].SendAsync(method, path, body);
        Assert.True(status is 200 or 201, text);
    }
}
