using System.Text.Json;
using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>Requests that wait for tokens while the database answers late or is unreachable.</summary>
[Collection(ClusterCollection.Name)]
public sealed class SilentDatabaseTests(SharedPostgres postgres) : ClusterTest
{
    private const double Rate = 0.000_001;
    private const string Waiting = "lease_waiting";
    private const string Waits = "lease_waits";
    private const string TimedOut = "lease_wait_timeouts";

    private static readonly Fault LateAnswers = new() { Latency = TimeSpan.FromSeconds(3) };

    [Fact]
    public async Task Request_waits_no_longer_than_it_may()
    {
        await using FaultRelay link = await StartAsync(TimeSpan.FromMilliseconds(40));
        using var client = new RawClient(Nodes[0].EndPoint);
        link.Down = LateAnswers;

        RawResponse response = await client.GetAsync("/", "X-Client-ID: c\r\n");

        Assert.Equal((429, "1"), (response.Status, response["Retry-After"]));
        Assert.Equal((1, 1, 0), (await LinkAsync(Waits), await LinkAsync(TimedOut), await LinkAsync(Waiting)));
        link.Down = new();
        await Eventually.TrueAsync(async () => (await client.GetAsync("/", "X-Client-ID: c\r\n")).Status == 200,
            "the answer is there");
    }

    [Fact]
    public async Task Client_that_closes_while_it_waits_leaves_the_line_and_takes_no_token()
    {
        await using FaultRelay link = await StartAsync(TimeSpan.FromSeconds(20));
        link.Down = LateAnswers;
        using (var client = new RawClient(Nodes[0].EndPoint))
        {
            await client.SendAsync("GET / HTTP/1.1\r\nHost: test\r\nX-Client-ID: c\r\n\r\n");
            await WaitingAsync(1);
        }

        await WaitingAsync(0);

        link.Down = new();
        Assert.Equal(0, Backend.Connections);
        Assert.Equal(new() { [200] = 10, [429] = 5 }, await Burst.SendAsync("c", 15, 3, Nodes[0]));
        Assert.Equal(0, await LinkAsync(TimedOut));
    }

    [Fact]
    public async Task Requests_get_their_tokens_in_the_order_in_which_they_came()
    {
        await using FaultRelay link = await StartAsync(TimeSpan.FromSeconds(20));
        link.Down = LateAnswers;
        var clients = new List<RawClient>();
        for (int i = 0; i < 10; i++)
        {
            clients.Add(new RawClient(Nodes[0].EndPoint));
            await clients[i].SendAsync($"GET / HTTP/1.1\r\nHost: test\r\nX-Client-ID: c\r\n\r\n");
            await WaitingAsync(i + 1);
        }

        // As many requests wait as the bucket has tokens; one more cannot get a token.
        using var late = new RawClient(Nodes[0].EndPoint);
        Assert.Equal(429, (await late.GetAsync("/", "X-Client-ID: c\r\n")).Status);

        link.Down = new();
        foreach (RawClient client in clients)
        {
            Assert.Equal(200, (await client.ReadAsync())!.Status);
            client.Dispose();
        }
    }

    [Fact]
    public async Task Node_without_a_database_lets_nobody_wait_and_has_its_share_from_the_first_request_on()
    {
        await using FaultRelay link = await StartAsync(TimeSpan.FromSeconds(20));
        link.Up = new() { LimitBytes = 0, AtLimit = AtLimit.Reset };
        await Nodes[0].ConnectedAsync(false);

        Dictionary<int, int> statuses = await Burst.SendAsync("c", 30, 3, Nodes[0]);

        Assert.Equal(new() { [200] = 8, [429] = 22 }, statuses); // 85 % of 10, by the only node
        Assert.Equal(0, await LinkAsync(Waits));
    }

    private async Task<FaultRelay> StartAsync(TimeSpan patience)
    {
        PostgresServer server = await postgres.StartedAsync();
        var link = new FaultRelay(server.Port);
        string store = (await server.NewDatabaseAsync()).Replace($":{server.Port}/", $":{link.Port}/");
        Nodes.Add(await Node.StartAsync(store, Backend, patience: patience));
        await RegisterAsync("c", 10, Rate);
        return link;
    }

    private Task WaitingAsync(int count) =>
        Eventually.TrueAsync(async () => await LinkAsync(Waiting) == count, $"{count} requests wait");

    private async Task<long> LinkAsync(string name) => JsonDocument.Parse((await Nodes[0].GetAsync("/cluster")).Body)
        .RootElement.GetProperty("link").GetProperty(name).GetInt64();
}
