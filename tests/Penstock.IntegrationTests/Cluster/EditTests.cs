using System.Diagnostics;
using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>Edits at one node, and their effect on requests at another node.</summary>
[Collection(ClusterCollection.Name)]
public sealed class EditTests(SharedPostgres postgres, ITestOutputHelper output) : ClusterTest
{
    private const int Edits = 200;
    private const int Tokens = 100;

    /// <summary>An edit that has not arrived by then never will.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);

    [Fact]
    public async Task Edit_on_one_node_is_enforced_on_another_and_fills_no_bucket()
    {
        Nodes.AddRange(await Node.StartAsync(2, await (await postgres.StartedAsync()).NewDatabaseAsync(), Backend));
        await RegisterAsync("c", 1000, 0.001, Tokens);
        using var client = new RawClient(Nodes[1].EndPoint);
        var took = new List<double>();
        int admitted = 0;
        for (int edit = 1; edit <= Edits; edit++)
        {
            await Nodes[0].PutAsync("c", 1000 + edit, 0.001);
            long answered = Stopwatch.GetTimestamp();
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
            while (Stopwatch.GetElapsedTime(answered) < Patience
                && response["RateLimit-Policy"]?.Contains($";q={1000 + edit};") != true);
            Assert.Contains($";q={1000 + edit};", response["RateLimit-Policy"]);
            took.Add(Stopwatch.GetElapsedTime(answered).TotalMilliseconds);
        }
        took.Sort();
        output.WriteLine($"median {took[Edits / 2]:0.0} ms, 99th percentile {took[(Edits * 99 / 100) - 1]:0.0} ms, "
            + $"longest {took[^1]:0.0} ms; {admitted} admitted meanwhile");

        using Hammer hammer = HammerAll("c");
        await Eventually.TrueAsync(() => admitted + hammer.Admitted >= Tokens - 1, "what was left is admitted");
        await hammer.MoreRejectedAsync(500);
        await hammer.StopAsync();
        Assert.InRange(admitted + hammer.Admitted, Tokens - 1, Tokens); // 200 edits brought not one
    }
}
