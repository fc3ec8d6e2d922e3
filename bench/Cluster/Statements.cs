using System.Diagnostics;

namespace Penstock.Bench.Cluster;

/// <summary>Three nodes; clients with 100 tokens and 10 a second, once with a fifth of that and once with four times as
/// much, at random nodes.</summary>
internal static class Statements
{
    private const int Nodes = 3;
    private const long Capacity = 100;
    private const double Rate = 10;

    public static async Task RunAsync()
    {
        Console.WriteLine("| active clients | requests/s each | requests/s | admitted/s | "
            + "lease statements/s of a node | rows/s | ms/statement | PostgreSQL µs/row | WAL bytes/row |");
        Console.WriteLine("|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
        foreach (int clients in new[] { 1, 10, 100, 1000, 10_000 })
        {
            foreach (double perSecond in new[] { Rate / 5, Rate * 4 })
            {
                await MeasureAsync(clients, perSecond);
            }
        }
    }

    private static async Task MeasureAsync(int clients, double perSecond)
    {
        await using Database database = await Database.StartAsync();
        await database.FillAsync(clients, Capacity, Rate);
        await database.DoAsync("VACUUM ANALYZE");
        var nodes = new List<BenchNode>();
        for (int i = 0; i < Nodes; i++)
        {
            nodes.Add(BenchNode.Join(database.Url, clients));
        }

        Load(nodes, clients, perSecond, (Capacity / Rate) + 3); // until saturated clients are out of their capacity
        await database.DoAsync("CHECKPOINT");
        Load(nodes, clients, perSecond, 1); // pages are in the log since the checkpoint
        await database.ForgetAsync();
        double busy = await database.ProcessorSecondsAsync();
        var watch = Stopwatch.StartNew();
        long admitted = Load(nodes, clients, perSecond, Database.Seconds);
        double seconds = watch.Elapsed.TotalSeconds;
        Work work = await database.WorkAsync();
        busy = await database.ProcessorSecondsAsync() - busy;
        Console.WriteLine($"| {clients} | {perSecond} | {clients * perSecond} | {admitted / seconds:0} | "
            + $"{work.Leases / seconds / Nodes:0.0} | {work.LeaseRows / seconds:0} | "
            + $"{work.LeaseMs / work.Leases:0.00} | {busy * 1e6 / work.LeaseRows:0} | "
            + $"{work.LeaseWalBytes / work.LeaseRows} |");
        foreach (BenchNode node in nodes)
        {
            await node.DisposeAsync();
        }
    }

    /// <summary>Requests at an even pace, from one thread.</summary>
    private static long Load(List<BenchNode> nodes, int clients, double perSecond, double seconds)
    {
        var random = new Random(1);
        (long sent, long admitted) = (0L, 0L);
        for (var watch = Stopwatch.StartNew(); watch.Elapsed.TotalSeconds < seconds;)
        {
            for (double due = watch.Elapsed.TotalSeconds * clients * perSecond; sent < due; sent++)
            {
                if (nodes[random.Next(nodes.Count)].TryTake(random.Next(clients)))
                {
                    admitted++;
                }
            }
            Thread.Sleep(1);
        }
        return admitted;
    }
}
