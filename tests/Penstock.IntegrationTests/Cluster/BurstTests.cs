using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json;
using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>From the first request on, the nodes admit exactly the requests that the shared bucket has tokens for.
/// </summary>
[Collection(ClusterCollection.Name)]
public sealed class BurstTests(BurstTests.TwoSizes sizes, ITestOutputHelper output) : IClassFixture<BurstTests.TwoSizes>
{
    /// <summary>One token in six hours, so that no token is refilled during a test.</summary>
    private const double Rate = 0.000_05;

    /// <summary>One node, and three nodes with another database.</summary>
    public sealed class TwoSizes(SharedPostgres postgres) : ClusterTest
    {
        internal Node One => Nodes[0];
        internal Node[] Three => [.. Nodes.Skip(1)];

        public override async ValueTask InitializeAsync()
        {
            if (PostgresServer.Programs is null)
            {
                return;
            }

            PostgresServer server = await postgres.StartedAsync();
            Nodes.AddRange(await Node.StartAsync(1, await server.NewDatabaseAsync(), Backend));
            Nodes.AddRange(await Node.StartAsync(3, await server.NewDatabaseAsync(), Backend));
        }
    }

    [Fact]
    public async Task Recipe_of_the_readme_gives_five_and_then_429_twenty_times_in_a_row()
    {
        SharedPostgres.SkipUnlessInstalled();
        for (int time = 0; time < 20; time++)
        {
            await sizes.One.PutAsync($"user{time}", 5, Rate);
            using var client = new RawClient(sizes.One.EndPoint);
            var statuses = new List<int>();
            for (int i = 0; i < 8; i++)
            {
                statuses.Add((await client.GetAsync("/", $"X-Client-ID: user{time}\r\n")).Status);
            }

            Assert.Equal([200, 200, 200, 200, 200, 429, 429, 429], statuses);
        }
    }

    [Theory]
    [InlineData(5, 1)]
    [InlineData(5, 64)]
    [InlineData(60, 1)]
    [InlineData(60, 10)]
    [InlineData(60, 64)]
    [InlineData(333, 10)]
    [InlineData(333, 64)]
    [InlineData(10_000, 10)]
    public async Task Burst_on_a_full_bucket_passes_exactly_what_is_in_it(int capacity, int connections)
    {
        SharedPostgres.SkipUnlessInstalled();
        string id = $"full-{capacity}-{connections}";
        await sizes.One.PutAsync(id, capacity, Rate);

        Dictionary<int, int> statuses = await Burst.SendAsync(id, capacity + 20, connections, sizes.One);

        Assert.Equal(new() { [200] = capacity, [429] = 20 }, statuses);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(10)]
    [InlineData(50)]
    public async Task Set_tokens_are_exactly_what_passes(int connections)
    {
        SharedPostgres.SkipUnlessInstalled();
        string id = $"set-{connections}";
        await sizes.One.PutAsync(id, 1000, Rate);
        await Burst.SendAsync(id, 100, connections, sizes.One);

        await sizes.One.PutAsync(id, 1000, Rate, tokens: 30);

        Assert.Equal(new() { [200] = 30, [429] = 20 }, await Burst.SendAsync(id, 50, connections, sizes.One));
    }

    [Theory]
    [InlineData(640, 1280)]
    [InlineData(1280, 640)]
    [InlineData(5, 6)]
    [InlineData(100_000, 200)]
    public async Task Changed_capacity_neither_mints_nor_loses_tokens(long before, long after)
    {
        SharedPostgres.SkipUnlessInstalled();
        string id = $"from-{before}-to-{after}";
        await sizes.One.PutAsync(id, before, Rate);

        (int status, string body) = await sizes.One.SendAsync("PATCH", "/clients/" + id, new { capacity = after });

        int tokens = (int)Math.Min(before, after);
        Assert.True(status == 200, body);
        Assert.Equal(tokens, JsonDocument.Parse(body).RootElement.GetProperty("current_tokens").GetDouble(), 1e-2);
        Assert.Equal(new() { [200] = tokens, [429] = 20 },
            await Burst.SendAsync(id, tokens + 20, 10, sizes.One));
    }

    /// <summary>The tokens at the node, on their way to it and in the shared bucket are together at most the capacity.
    /// </summary>
    [Fact]
    public async Task Lowered_capacity_of_a_client_in_use_leaves_no_more_than_that_fifteen_times_in_a_row()
    {
        SharedPostgres.SkipUnlessInstalled();
        for (int time = 0; time < 15; time++)
        {
            string id = $"lowered-{time}";
            await sizes.One.PutAsync(id, 1000, Rate);
            await Burst.SendAsync(id, 300 + (20 * time), 4, sizes.One); // so that the node has some ahead

            await sizes.One.SendAsync("PATCH", "/clients/" + id, new { capacity = 400 });

            Assert.Equal(new() { [200] = 400, [429] = 20 }, await Burst.SendAsync(id, 420, 10, sizes.One));
        }
    }

    [Theory]
    [InlineData(5, 10)]
    [InlineData(60, 10)]
    [InlineData(60, 64)]
    [InlineData(333, 64)]
    public async Task Burst_at_one_of_three_nodes_passes_all_that_is_in_the_bucket(int capacity, int connections)
    {
        SharedPostgres.SkipUnlessInstalled();
        string id = $"one-{capacity}-{connections}";
        await AddAsync(id, capacity);

        Dictionary<int, int> statuses = await Burst.SendAsync(id, capacity + 20, connections, sizes.Three[1]);

        Assert.Equal(new() { [200] = capacity, [429] = 20 }, statuses);
    }

    [Theory]
    [InlineData(5, 10)]
    [InlineData(60, 20)]
    [InlineData(333, 20)]
    [InlineData(3000, 20)]
    public async Task Burst_at_three_nodes_passes_no_more_than_is_in_the_bucket(int capacity, int connections)
    {
        SharedPostgres.SkipUnlessInstalled();
        string id = $"all-{capacity}-{connections}";
        await AddAsync(id, capacity);

        int admitted = (await Burst.SendAsync(id, capacity + 20, connections, sizes.Three)).GetValueOrDefault(200);

        output.WriteLine($"{admitted} of {capacity} at the first go");
        Assert.InRange(admitted, 1, capacity);
        // A node without requests gives back its unused tokens, in the end all of them.
        for (var watch = Stopwatch.StartNew(); admitted < capacity;)
        {
            Assert.True(watch.Elapsed < TimeSpan.FromSeconds(20), $"{admitted} of {capacity} after 20 s");
            admitted += (await Burst.SendAsync(id, 5, 5, sizes.Three[0])).GetValueOrDefault(200);
            await Task.Delay(20);
        }
        Assert.Equal(capacity, admitted);
    }

    [Fact]
    public async Task Client_that_hammers_an_empty_bucket_waits_for_nothing()
    {
        SharedPostgres.SkipUnlessInstalled();
        await sizes.One.PutAsync("dry", 10, Rate);
        Assert.Equal(10, (await Burst.SendAsync("dry", 20, 4, sizes.One))[200]);
        long before = await WaitsAsync(sizes.One);

        Dictionary<int, int> statuses = await Burst.SendAsync("dry", 2000, 8, sizes.One);

        Assert.Equal(new() { [429] = 2000 }, statuses);
        // A node's information is out of date when the lease thread gets no processor time;
        // then requests may wait for one lease.
        Assert.InRange(await WaitsAsync(sizes.One) - before, 0, 32);
    }

    private async Task AddAsync(string id, int capacity)
    {
        await sizes.Three[0].PutAsync(id, capacity, Rate);
        foreach (Node node in sizes.Three)
        {
            await node.KnowsAsync(id, capacity);
        }
    }

    private static async Task<long> WaitsAsync(Node node) => JsonDocument.Parse((await node.GetAsync("/cluster")).Body)
        .RootElement.GetProperty("link").GetProperty("lease_waits").GetInt64();
}
