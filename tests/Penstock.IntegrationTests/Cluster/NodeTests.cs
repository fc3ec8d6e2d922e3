using System.Net;
using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>Nodes that are idle, leave or die, and nodes whose clocks are wrong.</summary>
[Collection(ClusterCollection.Name)]
public sealed class NodeTests(SharedPostgres postgres) : ClusterTest
{
    private const long Capacity = 100;
    private const double Rate = 200;

    [Fact]
    public async Task Node_that_is_killed_takes_no_more_than_its_tokens_with_it()
    {
        string store = await (await postgres.StartedAsync()).NewDatabaseAsync();
        Nodes.AddRange(await Node.StartAsync(2, store, Backend));
        DirectoryInfo folder = Directory.CreateTempSubdirectory("penstock-test-");
        var endPoint = new IPEndPoint(IPAddress.Loopback, PenstockProcess.FreePort());
        await File.WriteAllTextAsync(Path.Combine(folder.FullName, "penstock.yaml"), $$"""
            listen: {{endPoint}}
            admin: { listen: 127.0.0.1:{{PenstockProcess.FreePort()}} }
            store: "{{store}}"
            access_log: "off"
            clients: { identify: [header:X-Client-ID, address] }
            backends: [http://127.0.0.1:{{Backend.Port}}]
            """);
        await using PenstockProcess mortal = await PenstockProcess.StartedAsync(folder.FullName, "run");
        await Nodes[0].SeesAsync(3);
        await RegisterAsync("c", Capacity, Rate);
        using var hammer = Hammer.Start("c", [.. Nodes.Select(static node => node.EndPoint), endPoint]);
        await hammer.ForAsync(ClusterRun.Seconds / 2);

        await mortal.KillAsync();
        await hammer.ForAsync(ClusterRun.Seconds);
        await hammer.StopAsync();

        folder.Delete(recursive: true);
        Assert.All(hammer.Statuses.Keys, static answer => Assert.True(answer is 200 or 429 or -1));
        Assert.InRange(hammer.Failed, 1, 3); // the one that was under way, and those that nobody took
        hammer.AssertNeverMore(Capacity, Rate);
    }

    [Fact]
    public async Task Clock_that_is_wrong_and_jumps_changes_nothing()
    {
        string store = await (await postgres.StartedAsync()).NewDatabaseAsync();
        WrongTime[] times = [Wrong(5), Wrong(-5), Wrong(0)];
        foreach (WrongTime time in times)
        {
            Nodes.Add(await Node.StartAsync(store, Backend, time));
        }

        foreach (Node node in Nodes)
        {
            await node.SeesAsync(times.Length);
        }

        await RegisterAsync("c", Capacity, Rate);
        using Hammer hammer = HammerAll("c");
        await hammer.ForAsync(ClusterRun.Seconds / 2);

        foreach (WrongTime time in times)
        {
            time.Ahead = time.Ahead == TimeSpan.Zero ? TimeSpan.FromSeconds(5) : -time.Ahead;
        }

        await hammer.ForAsync(ClusterRun.Seconds);
        await hammer.StopAsync();

        Assert.All(hammer.Statuses.Keys, static answer => Assert.True(answer is 200 or 429));
        hammer.AssertNeverMore(Capacity, Rate);
        foreach (Node node in Nodes)
        {
            await node.SeesAsync(times.Length); // by the database's clock
            await node.ConnectedAsync(true);
        }
    }

    [Fact]
    public async Task Tokens_of_an_idle_node_and_of_one_that_leaves_go_back()
    {
        PostgresServer server = await postgres.StartedAsync();
        string store = await server.NewDatabaseAsync();
        Nodes.AddRange(await Node.StartAsync(3, store, Backend));
        await RegisterAsync("c", 1000, 0.001);
        using var hammer = Hammer.Start("c", Nodes[0].EndPoint);
        await Eventually.TrueAsync(() => hammer.Admitted > 200, "200 are admitted");
        await hammer.StopAsync();

        // Tokens that are neither used nor another node's credit are in the shared bucket again.
        await Eventually.TrueAsync(
            async () => await TokensAsync(server, store) >= 1000 - hammer.Admitted - (3 * 31) - 1,
            "the idle node gave its tokens back");
        using var other = Hammer.Start("c", Nodes[1].EndPoint);
        await Eventually.TrueAsync(() => hammer.Admitted + other.Admitted >= 1000 - (2 * 31) - 1,
            "the other node leases all that is left");
        await other.MoreRejectedAsync(300);
        await other.StopAsync();
        Assert.InRange(hammer.Admitted + other.Admitted, 0, 1000);

        // The other nodes get the credit of a node that leaves.
        await Nodes[2].DisposeAsync();
        Nodes.RemoveAt(2);
        Assert.InRange(await TokensAsync(server, store), 0, 62);
    }

    private static async Task<double> TokensAsync(PostgresServer server, string store) =>
        double.Parse(await server.SqlAsync(store, "SELECT tokens FROM penstock_clients WHERE client_id = 'c'"));

    private static WrongTime Wrong(double seconds) => new() { Ahead = TimeSpan.FromSeconds(seconds) };

    /// <summary>A machine whose time of day is wrong. Its monotonic clock is right, as on a real machine.</summary>
    private sealed class WrongTime : TimeProvider
    {
        private long _aheadTicks;

        public TimeSpan Ahead
        {
            get => new(Interlocked.Read(ref _aheadTicks));
            set => Interlocked.Exchange(ref _aheadTicks, value.Ticks);
        }

        public override DateTimeOffset GetUtcNow() => System.GetUtcNow() + Ahead;
    }
}
