using Penstock.IntegrationTests.Store;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>Nodes that share limits while the database becomes unreachable and reachable again.</summary>
[Collection(ClusterCollection.Name)]
public sealed class OutageTests(OutageTests.OwnPostgres own, ITestOutputHelper output)
    : ClusterTest, IClassFixture<OutageTests.OwnPostgres>
{
    private const long Capacity = 100;
    private const double Rate = 100;

    /// <summary>A PostgreSQL that these tests may stop.</summary>
    public sealed class OwnPostgres : IAsyncLifetime
    {
        internal PostgresServer Server { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            if (PostgresServer.Programs is not null)
            {
                Server = await PostgresServer.StartAsync();
            }
        }

        public ValueTask DisposeAsync() => Server?.DisposeAsync() ?? default;
    }

    public override ValueTask InitializeAsync()
    {
        SharedPostgres.SkipUnlessInstalled();
        return default;
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Database_that_restarts_under_load_costs_next_to_nothing(bool killed)
    {
        string store = await own.Server.NewDatabaseAsync();
        Nodes.AddRange(await Node.StartAsync(3, store, Backend));
        await RegisterAsync("c", Capacity, Rate);
        using Hammer hammer = HammerAll("c");
        await hammer.ForAsync(ClusterRun.Seconds / 2);

        await (killed ? own.Server.KillAsync() : own.Server.StopAsync());
        await own.Server.StartAgainAsync();
        await PaidBackAsync();
        hammer.AssertAtMost(Capacity, Rate);
        await SolventAsync(store);
        await hammer.ForAsync(Math.Max(ClusterRun.Seconds, hammer.Seconds + 0.2));
        await SettledAsync(hammer, store);

        Assert.All(hammer.Statuses.Keys, static answer => Assert.True(answer is 200 or 429));
        hammer.AssertAtMost(Capacity, Rate); // what was under way is lost, never given twice
    }

    [Fact]
    public async Task Database_that_is_away_for_long_unlimits_nobody_and_is_back_by_itself()
    {
        string store = await own.Server.NewDatabaseAsync();
        Nodes.AddRange(await Node.StartAsync(3, store, Backend));
        await RegisterAsync("edited", 1000, 1);
        await RegisterAsync("c", Capacity, Rate);
        using Hammer hammer = HammerAll("c");
        await hammer.ForAsync(ClusterRun.Seconds / 2);

        await own.Server.StopAsync();
        (int before, double since) = (hammer.Admitted, hammer.Seconds);
        foreach (Node node in Nodes)
        {
            await node.ConnectedAsync(false);
        }

        (int status, string body) =
            await Nodes[0].SendAsync("PUT", "/clients/c", new { capacity = 5, rate_per_sec = 1 });
        Assert.True(status == 503, body);
        await hammer.ForAsync(since + ClusterRun.OutageSeconds);
        (int meanwhile, double due) = (hammer.Admitted - before, Rate * (hammer.Seconds - since));
        output.WriteLine($"{meanwhile} admitted by the nodes alone, of {due:0} that came back; their shares are 85 %");
        Assert.InRange(meanwhile, 1, Capacity + due);
        hammer.AssertAtMost(Capacity, Rate);

        await own.Server.SqlWhileStoppedAsync(store, Edit(2000)); // nobody can hear of it
        await own.Server.StartAgainAsync();
        await own.Server.SqlAsync(store, Edit(3000)); // nor of this, as long as they are alone
        await PaidBackAsync();
        foreach (Node node in Nodes)
        {
            await node.KnowsAsync("edited", 3000);
        }

        hammer.AssertAtMost(Capacity, Rate); // all have paid before any took what came back meanwhile
        await SolventAsync(store);
        await hammer.ForAsync(hammer.Seconds + (ClusterRun.Seconds / 4));
        await SettledAsync(hammer, store);

        Assert.All(hammer.Statuses.Keys, static answer => Assert.True(answer is 200 or 429));
        hammer.AssertAtMost(Capacity, Rate);
        Assert.All(Nodes, static node => Assert.InRange(node.Log.Lines.Count(static line =>
            line.Contains("database unreachable", StringComparison.Ordinal)), 1, 3)); // said once, not at each try
        await Nodes[1].PutAsync("c", 5, 1);
        await Nodes[2].KnowsAsync("c", 5);
    }

    /// <summary>During the outage of one node the other nodes have the whole limit. So too much is admitted by the
    /// share that the lone node grants. The node repays this debt, at most the capacity.</summary>
    [Fact]
    public async Task Node_that_loses_the_database_gives_its_share_and_pays_it_back_and_hears_of_edits_afterwards()
    {
        await using var link = new FaultRelay(own.Server.Port);
        string store = await own.Server.NewDatabaseAsync();
        Nodes.AddRange(await Node.StartAsync(1, store, Backend));
        Nodes.Add(await Node.StartAsync(store.Replace($":{own.Server.Port}/", $":{link.Port}/"), Backend));
        await Nodes[0].SeesAsync(2);
        await RegisterAsync("edited", 1000, 1);
        await RegisterAsync("c", Capacity, Rate);
        using Hammer hammer = HammerAll("c");
        await hammer.ForAsync(ClusterRun.Seconds / 2);

        double since = hammer.Seconds;
        link.Up = new() { LimitBytes = 0, AtLimit = AtLimit.Reset };
        await Nodes[1].ConnectedAsync(false);
        await Nodes[0].PutAsync("edited", 2000, 1);
        await hammer.ForAsync(since + (ClusterRun.Seconds / 2));
        Assert.True(Nodes[1].Host.Proxy.Limiter.Clients.TryGet("edited", out ClientState before));
        Assert.Equal(1000, before.Limit.Capacity);
        long owed = Nodes[1].Host.Proxy.Limiter.LeasedBucketOf("c").Account.Debt;
        double asOf = hammer.Seconds;
        // If it was all its clients' node; it is about half here. On a busy machine tokens were left before, and it
        // gives its share of these, too.
        double share = 0.85 * (Capacity + (Rate * (asOf - since)));
        output.WriteLine($"{owed:0.0} owed, {share:0.0} would be the whole share");
        Assert.InRange(owed, 1, share + 1);
        hammer.AssertAtMost(Capacity, Rate, beyond: OwedAtMost());
        link.Up = new();
        await PaidBackAsync();
        double owedAtLast = OwedAtMost();
        await Nodes[1].KnowsAsync("edited", 2000);
        await SettledAsync(hammer, store);

        Assert.All(hammer.Statuses.Keys, static answer => Assert.True(answer is 200 or 429));
        hammer.AssertAtMost(Capacity, Rate, beyond: Math.Max(0, owedAtLast - Capacity));

        // It goes on until it is back.
        double OwedAtMost() => owed + (0.85 * Rate * (hammer.Seconds - asOf)) + 1;
    }

    /// <summary>Ends the load, and waits until nobody owes anything. A node that is back grants its share until all
    /// nodes have repaid, and owes it; it also owes tokens after an answer of the database that was late.</summary>
    private async Task SettledAsync(Hammer hammer, string store)
    {
        await hammer.StopAsync();
        await PaidBackAsync();
        await SolventAsync(store);
    }

    /// <summary>Waits until all nodes have reconnected and have repaid their debts.</summary>
    private async Task PaidBackAsync()
    {
        foreach (Node node in Nodes)
        {
            await node.ConnectedAsync(true);
            await Eventually.TrueAsync(() => node.Host.Proxy.Limiter.LeasedBucketOf("c").Account.Debt == 0,
                "the node owes nothing");
        }
    }

    /// <summary>Waits until the repaid tokens have been refilled.</summary>
    private Task SolventAsync(string store) => Eventually.TrueAsync(async () => await own.Server.SqlAsync(store, """
        SELECT penstock_refilled(tokens, rate_per_sec, tokens_at, clock_timestamp()) >= 0 FROM penstock_clients
        WHERE client_id = 'c'
        """) == "t", "the shared bucket is out of debt");

    private static string Edit(long capacity) =>
        $"UPDATE penstock_clients SET capacity = {capacity} WHERE client_id = 'edited'";
}
