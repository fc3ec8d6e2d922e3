using System.Diagnostics;

namespace Penstock.Bench.Cluster;

/// <summary>A hundred nodes on one database: what they cost while nothing happens, and how long an edit takes to be at
/// all of them.</summary>
internal static class ManyNodes
{
    private const int Clients = 1000;
    private const int Edits = 50;

    private static readonly string Edited = Database.IdOf(7);

    public static async Task RunAsync()
    {
        Console.WriteLine("| nodes | connections | statements/s | PostgreSQL processor, of one core | "
            + "edit at all nodes: median ms | 99th percentile ms | PostgreSQL ms/edit |");
        Console.WriteLine("|---:|---:|---:|---:|---:|---:|---:|");
        foreach (int nodes in new[] { 3, 30, 100 })
        {
            await MeasureAsync(nodes);
        }
    }

    private static async Task MeasureAsync(int count)
    {
        await using Database database = await Database.StartAsync();
        await database.FillAsync(Clients, 1000, 10);
        var nodes = new List<BenchNode>();
        for (int i = 0; i < count; i++)
        {
            nodes.Add(BenchNode.Join(database.Url, Clients));
        }

        await Task.Delay(3000); // standing credits are leased
        long connections = await database.AskAsync<long>(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'penstock'") - 1;

        await database.ForgetAsync();
        double busy = await database.ProcessorSecondsAsync();
        await Task.Delay(TimeSpan.FromSeconds(Database.Seconds));
        busy = (await database.ProcessorSecondsAsync() - busy) / Database.Seconds;
        Work work = await database.WorkAsync();

        var took = new List<double>();
        double editing = await database.ProcessorSecondsAsync();
        var watch = Stopwatch.StartNew();
        for (int edit = 1; edit <= Edits; edit++)
        {
            long start = Stopwatch.GetTimestamp();
            int capacity = 1000 + edit;
            await database.DoAsync($"UPDATE penstock_clients SET capacity = {capacity} WHERE client_id = '{Edited}'");
            while (!nodes.TrueForAll(node => node.Limiter.Clients.Find(Edited)!.Bucket.Config.Capacity == capacity))
            {
                await Task.Delay(1);
            }

            took.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        editing = await database.ProcessorSecondsAsync() - editing - (busy * watch.Elapsed.TotalSeconds);
        took.Sort();
        Console.WriteLine($"| {count} | {connections} | {(work.Leases + work.Others) / Database.Seconds:0} | "
            + $"{busy:p1} | {took[Edits / 2]:0} | {took[(Edits * 99 / 100) - 1]:0} | {editing * 1000 / Edits:0.0} |");
        await Task.WhenAll(nodes.Select(node => node.DisposeAsync().AsTask()));
    }
}
