using System.Collections.Concurrent;
using System.Diagnostics;
using Npgsql;
using Penstock.Control.Cluster;
using Penstock.Control.Store;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Bench.Cluster;

/// <summary>Many nodes whose statements all have the same hot row in them, or none in common but by chance; each node
/// asks again as soon as its last statement is answered, but 20 ms later at least, as the lease thread does.</summary>
internal static class HotRow
{
    private const int MinTickMs = 20;
    private const int Clients = 100_000;

    public static async Task RunAsync()
    {
        Console.WriteLine("| commits | hot row | nodes | rows/statement | statements/s | of a node | median ms | "
            + "99th percentile ms | failed |");
        Console.WriteLine("|---|---|---:|---:|---:|---:|---:|---:|---:|");
        foreach ((string? settings, string? name) in new[]
        {
            ("", "on disk"), ("-c synchronous_commit=off", "`synchronous_commit=off`"),
        })
        {
            await using Database database = await Database.StartAsync(settings);
            await database.FillAsync(Clients, 100, 10);
            await database.DoAsync("VACUUM ANALYZE");
            long[] epochs = await Rows.EpochsAsync(database, Clients);
            foreach ((int nodes, int size) in new[]
            {
                (1, 1), (3, 1), (10, 1), (30, 1), (100, 1), (10, 100), (100, 100), (100, 1000),
            })
            {
                await MeasureAsync(database, name, isHot: true, nodes, size, epochs);
            }

            foreach ((int nodes, int size) in new[] { (100, 1), (10, 100), (100, 100), (100, 1000) })
            {
                await MeasureAsync(database, name, isHot: false, nodes, size, epochs);
            }
        }
    }

    private static async Task MeasureAsync(
        Database database, string name, bool isHot, int nodes, int size, long[] epochs)
    {
        var took = new ConcurrentBag<double>();
        int failed = 0;
        var watch = Stopwatch.StartNew();
        var threads = Enumerable.Range(0, nodes).Select(node => new Thread(() =>
        {
            var random = new Random(node);
            List<LeaseAsk> asks = [];
            LeaseConnection? connection = null;
            while (watch.Elapsed.TotalSeconds < Database.Seconds)
            {
                asks.Clear();
                if (isHot)
                {
                    asks.Add(new(Database.IdOf(0), epochs[0], 1, 1, 0));
                }

                IEnumerable<int> others =
                    Enumerable.Range(0, size - asks.Count).Select(_ => random.Next(1, Clients)).Distinct();
                foreach (int client in others)
                {
                    asks.Add(new(Database.IdOf(client), epochs[client], 1, 1, 0));
                }

                long start = Stopwatch.GetTimestamp();
                try
                {
                    connection ??= LeaseConnection.Open(Database.Parsed(database.Url));
                    connection.LeaseAsync(asks).GetAwaiter().GetResult();
                    took.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
                }
                catch (Exception e) when (PostgresStore.IsFault(e))
                {
                    Interlocked.Increment(ref failed);
                    connection?.Dispose();
                    connection = null;
                }
                Thread.Sleep(MinTickMs);
            }
            connection?.Dispose();
        })).ToList();
        threads.ForEach(thread => thread.Start());
        threads.ForEach(thread => thread.Join());
        double seconds = watch.Elapsed.TotalSeconds;
        var all = took.Order().ToList();
        Console.WriteLine($"| {name} | {(isHot ? "yes" : "no")} | {nodes} | {size} | {all.Count / seconds:0} | "
            + $"{all.Count / seconds / nodes:0.0} | {At(all, 0.5):0.0} | {At(all, 0.99):0.0} | {failed} |");
        await database.DoAsync("CHECKPOINT");
    }

    private static double At(List<double> sorted, double part) =>
        sorted.Count == 0 ? double.NaN : sorted[(int)((sorted.Count - 1) * part)];
}
