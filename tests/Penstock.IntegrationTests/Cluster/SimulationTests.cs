using Penstock.Control.Cluster;
using Penstock.Control.Store;
using Penstock.IntegrationTests.Store;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>A hundred nodes in virtual time: the real leases with the arithmetic of the statement. Checks the figures
/// that docs/scale.md computes.</summary>
[Collection(ClusterCollection.Name)]
public sealed class SimulationTests(SharedPostgres postgres, ITestOutputHelper output)
{
    private const int Seed = 20261121;
    private const int Clients = 200;
    private const int SameClients = 20;

    /// <summary>Milliseconds, as in docs/scale.md: between two statements of a node when requests wait all the time,
    /// and when none does; with a statement of 2 ms.</summary>
    private const double ShortTickMs = 20;
    private const double CalmTickMs = 50 + 2;

    [Fact]
    public void Hundred_nodes_admit_never_more_than_the_limit_and_all_of_it_where_it_is_asked_for()
    {
        const double Seconds = 15;
        (List<LimitConfig> limits, List<double> load) = ManyKinds(20_000);
        var cluster = new SimulatedCluster(100, limits, Seed);

        cluster.Run(Seconds, load);

        (int saturated, double least) = (0, 1.0);
        for (int client = 0; client < Clients; client++)
        {
            (long admitted, double allowed) = (cluster.AdmittedOf(client), cluster.AllowedOf(client));
            Assert.True(cluster.ExcessOf(client) <= 1e-6, $"client {client}: {cluster.ExcessOf(client)} too many");
            least = Math.Min(least, (double)admitted / cluster.IdealOf(client));
            bool isSaturated = load[client] * Seconds >= 4 * allowed;
            if (isSaturated)
            {
                saturated++;
            }
            // a token is whole, and those at nodes that have not been asked for them again are not lost
            (long due, long held) = (cluster.IdealOf(client), cluster.HeldOf(client));
            Assert.True(admitted >= ((isSaturated ? 0.97 : 0.95) * due) - 1 || admitted + held >= due - 1,
                $"client {client}: {admitted} admitted, one bucket admits {due}, {held} at the nodes");
        }
        output.WriteLine($"{saturated} saturated; at least {least:p1} of what one bucket admits; "
            + $"{cluster.Buckets.Rows} rows in {cluster.Buckets.Statements} asks");
        Assert.InRange(saturated, 20, Clients - 20);
        Assert.InRange(cluster.Buckets.Statements / Seconds / 100, 1000 / CalmTickMs, (1000 / ShortTickMs) + 1);
    }

    /// <summary>For each token of a small bucket that one node takes in advance, the other nodes reject a request.
    /// </summary>
    [Theory]
    [InlineData(3, 1, 1, 3)]
    [InlineData(3, 1, 1, 0.8)]
    [InlineData(3, 2, 2, 50)]
    [InlineData(10, 5, 1, 4)]
    public void Small_buckets_lose_no_token_to_nodes_that_do_not_use_it(
        int nodes, long capacity, double rate, double perSecond)
    {
        const double Seconds = 20;
        var cluster = new SimulatedCluster(
            nodes, Enumerable.Repeat(new LimitConfig(capacity, rate), SameClients).ToList(), Seed);

        cluster.Run(Seconds, Enumerable.Repeat(perSecond, SameClients).ToList());

        (long admitted, long due) = Sums(cluster);
        output.WriteLine($"{admitted} admitted, one bucket admits {due}");
        Assert.InRange(admitted, (long)Math.Ceiling(0.99 * due), long.MaxValue);
        Assert.True(Enumerable.Range(0, SameClients).Max(cluster.ExcessOf) <= 1e-6);
    }

    private static (long Admitted, long Due) Sums(SimulatedCluster cluster)
    {
        IEnumerable<int> all = Enumerable.Range(0, SameClients);
        return (all.Sum(cluster.AdmittedOf), all.Sum(cluster.IdealOf));
    }

    /// <summary>For those who rebuild the leases without meaning to change what they decide: with
    /// <c>PENSTOCK_GRANTS=FILE</c> the first run writes all decisions of a few clusters as hashes to the file, and
    /// later ones compare. (Not between machines: the last bit of a logarithm may be another one there.)</summary>
    [Fact]
    public void Decisions_are_those_of_the_recording_and_the_same_each_time()
    {
        string[] lines = [Digest(100, 20_000, 5, 1), Digest(3, 2_000, 10, 2), Digest(1, 2_000, 5, 3)];
        Assert.Equal(lines[2], Digest(1, 2_000, 5, 3));
        output.WriteLine(string.Join('\n', lines));
        if (Environment.GetEnvironmentVariable("PENSTOCK_GRANTS") is not { Length: > 0 } file)
        {
            return;
        }

        if (!File.Exists(file))
        {
            File.WriteAllLines(file, lines);
        }

        Assert.Equal(File.ReadAllLines(file), lines);
    }

    private static string Digest(int nodes, double perSecond, double seconds, int seed)
    {
        (List<LimitConfig> limits, List<double> load) = ManyKinds(perSecond);
        var cluster = new SimulatedCluster(nodes, limits, seed);
        cluster.Run(seconds, load);
        return $"{nodes} nodes, seed {seed}: {cluster.Buckets.Digest:x16}";
    }

    /// <summary>Two hundred clients under five limits, by Zipf's law.</summary>
    private static (List<LimitConfig> Limits, List<double> Load) ManyKinds(double perSecond)
    {
        LimitConfig[] kinds = [new(100, 20), new(1000, 200), new(20, 2), new(5000, 100), new(1, 1)];
        var weights = Enumerable.Range(1, Clients).Select(static rank => Math.Pow(rank, -1.1)).ToList();
        return ([.. Enumerable.Range(0, Clients).Select(i => kinds[i % kinds.Length])],
            [.. weights.Select(weight => weight / weights.Sum() * perSecond)]);
    }

    /// <summary>The limit counts from the moment at which the bucket was full and nobody had a lease. From any later
    /// one it may be more by what the nodes then held, which is about a second's use, and half of what the bucket can
    /// hold, at most.</summary>
    [Theory]
    [InlineData(1, 100, 200, 150)]
    [InlineData(3, 100, 200, 150)]
    [InlineData(3, 1000, 50, 45)]
    [InlineData(10, 1000, 1000, 800)]
    public void Burst_after_steady_use_gets_no_more_than_the_limit_and_what_the_nodes_held(
        int nodes, long capacity, double rate, double steady)
    {
        const double Seconds = 0.5;
        var cluster = new SimulatedCluster(nodes, [new(capacity, rate)], Seed);
        cluster.Run(10, [steady]);
        (long before, long held) = (cluster.AdmittedOf(0), cluster.HeldOf(0));

        cluster.Run(Seconds, [20 * (capacity + rate)]);

        double beyond = cluster.AdmittedOf(0) - before - capacity - (rate * Seconds);
        output.WriteLine($"{beyond:0} more than the limit, {held} were held");
        Assert.InRange(beyond, double.MinValue, held);
        Assert.InRange(beyond, double.MinValue, (capacity / 2.0) + 1);
        Assert.True(cluster.ExcessOf(0) <= 1e-6); // from the beginning
    }

    /// <summary>The rows that docs/scale.md says a client costs a node.</summary>
    [Theory]
    [InlineData(100, 1000, 100, 5)]
    [InlineData(100, 1000, 100, 50)]
    [InlineData(100, 1000, 100, 5000)]
    [InlineData(100, 100, 10, 50)]
    [InlineData(100, 100, 10, 500)]
    [InlineData(3, 1000, 100, 5)]
    [InlineData(3, 1000, 100, 50)]
    [InlineData(3, 1000, 100, 500)]
    [InlineData(3, 100, 10, 50)]
    [InlineData(1, 1000, 100, 50)]
    [InlineData(1, 1000, 1000, 500)]
    public void Rows_of_a_client_are_no_more_than_computed(int nodes, long capacity, double rate, double perSecond)
    {
        const double WarmUpSeconds = 15;
        const double Seconds = 5;
        var limits = Enumerable.Repeat(new LimitConfig(capacity, rate), SameClients).ToList();
        var cluster = new SimulatedCluster(nodes, limits, Seed);
        var load = Enumerable.Repeat(perSecond, SameClients).ToList();
        cluster.Run(WarmUpSeconds, load);
        long before = cluster.Buckets.Rows;
        cluster.Run(Seconds, load);

        double seen = (cluster.Buckets.Rows - before) / Seconds / SameClients / nodes;
        double most = perSecond > rate ? DryRows(perSecond / nodes) : CalmRows(perSecond / nodes);
        output.WriteLine($"{seen:0.000} rows/s of a client at a node, at most {most:0.000}");
        Assert.InRange(seen, 0, most);
        Assert.True(Enumerable.Range(0, SameClients).Max(cluster.ExcessOf) <= 1e-6);
    }

    /// <summary>The simulated statement equals the real one.</summary>
    [Fact]
    public async Task Simulated_buckets_do_the_arithmetic_of_the_statement()
    {
        const int Nodes = 7;
        const double Rate = 1.0 / (99 * 24 * 3600); // hardly any, so that time does not matter
        PostgresServer server = await postgres.StartedAsync();
        string store = await server.NewDatabaseAsync();
        Assert.True(PostgresUrl.TryParse(store, out PostgresUrl? url));
        using var real = PostgresStore.Open(url);
        using var connection = LeaseConnection.Open(url);
        await server.SqlAsync(store, $"""
            INSERT INTO penstock_nodes (node_id, version, last_seen)
            SELECT i, '', now() + interval '1 hour' FROM generate_series(1, {Nodes}) i
            """);
        var simulated = new SimulatedBuckets();
        var random = new Random(Seed);
        var clients = new List<ClientState>();
        foreach (long capacity in new[] { 1, 2, 3, 10, 31, 32, 100, 1000, 100_000, 1_000_000_000 })
        {
            clients.Add(real.Put("client-" + capacity, new(capacity, Rate), null));
            simulated.Add("client-" + capacity, new(capacity, Rate), capacity);
        }

        for (int round = 0; round < 100; round++)
        {
            List<LeaseAsk> asks = [.. clients.Where(_ => random.Next(3) > 0).Select(client =>
            {
                long need = (long)(client.Limit.Capacity * Math.Pow(random.NextDouble(), 4));
                long want = need + (long)((client.Limit.Capacity - need) * random.NextDouble());
                double back = Math.Round(client.Limit.Capacity * (random.NextDouble() - 0.4)) / 2;
                return new LeaseAsk(client.ClientId, client.Epoch, need, want, back);
            })];
            List<LeaseGrant> granted = await connection.LeaseAsync(asks);
            List<LeaseGrant> expected = [];
            simulated.Lease(asks, expected, Nodes, nowNs: 0);

            Assert.Equal(expected.Select(Whole).Order(), granted.Select(Whole).Order());
            foreach ((LeaseGrant mine, LeaseGrant its) in expected.OrderBy(Id).Zip(granted.OrderBy(Id)))
            {
                Assert.Equal(mine.Left, its.Left, 1e-3);
            }
        }

        static string Whole(LeaseGrant grant) => $"{grant.ClientId}: {grant.Granted} of {grant.LeasedByAll}";
        static string Id(LeaseGrant grant) => grant.ClientId;
    }

    /// <summary>A client whose bucket has enough: each request that finds no token leases one, and what is leased ahead
    /// and not used goes back; the more requests come, the more is leased ahead.</summary>
    /// <param name="perSecond">Requests at this node.</param>
    private static double CalmRows(double perSecond) => Math.Min(2 * perSecond, 1.4);

    /// <summary>A client whose bucket is empty: whoever meets it when it may have a token asks, and there are so many
    /// statements at most.</summary>
    private static double DryRows(double perSecond) => Math.Min(2 * perSecond, (1000 / ShortTickMs) + 1);
}
