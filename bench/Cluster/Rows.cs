using System.Diagnostics;
using Penstock.Control.Cluster;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Bench.Cluster;

/// <summary>One connection that leases random rows of a big table.</summary>
internal static class Rows
{
    public static async Task RunAsync()
    {
        await using Database database = await Database.StartAsync();
        int clients = ManyClients.Count;
        await database.FillAsync(clients, 100, 10);
        await database.DoAsync("VACUUM ANALYZE");
        Console.WriteLine($"{clients} clients.\n");
        Console.WriteLine("| rows/statement | ms/statement | µs/row | PostgreSQL µs/row | WAL bytes/row | "
            + "just after a checkpoint | HOT |");
        Console.WriteLine("|---:|---:|---:|---:|---:|---:|---:|");
        foreach (int size in new[] { 1, 10, 100, 1000, 2000 })
        {
            await MeasureAsync(database, size, clients);
        }
    }

    private static async Task MeasureAsync(Database database, int size, int clients)
    {
        long[] epochs = await EpochsAsync(database, clients);
        using var connection = LeaseConnection.Open(Database.Parsed(database.Url));
        await database.DoAsync("CHECKPOINT");
        // pages go to the log whole
        Work after = await LeaseAsync(database, connection, size, clients, epochs, seconds: 1);
        // the same pages again and again: what a row costs by itself
        int few = Math.Min(clients, 20 * size);
        await LeaseAsync(database, connection, size, few, epochs, seconds: 2);
        double busy = await database.ProcessorSecondsAsync();
        (long Updated, long OnPage) hot = await UpdatesAsync(database);
        var watch = Stopwatch.StartNew();
        Work work = await LeaseAsync(database, connection, size, few, epochs, Database.Seconds);
        double seconds = watch.Elapsed.TotalSeconds;
        busy = await database.ProcessorSecondsAsync() - busy;
        await database.DoAsync("SELECT pg_stat_force_next_flush()");
        (long updated, long onPage) = await UpdatesAsync(database);
        Console.WriteLine($"| {size} | {seconds * 1000 / work.Leases:0.00} | {seconds * 1e6 / work.LeaseRows:0.0} | "
            + $"{busy * 1e6 / work.LeaseRows:0.0} | {work.LeaseWalBytes / work.LeaseRows} | "
            + $"{after.LeaseWalBytes / after.LeaseRows} | "
            + $"{(double)(onPage - hot.OnPage) / Math.Max(1, updated - hot.Updated):p0} |");
    }

    private static async Task<Work> LeaseAsync(
        Database database, LeaseConnection connection, int size, int clients, long[] epochs, double seconds)
    {
        await database.ForgetAsync();
        var random = new Random(1);
        var asks = new List<LeaseAsk>();
        for (var watch = Stopwatch.StartNew(); watch.Elapsed.TotalSeconds < seconds;)
        {
            asks.Clear();
            foreach (int client in Enumerable.Range(0, size).Select(_ => random.Next(clients)).Distinct())
            {
                asks.Add(new(Database.IdOf(client), epochs[client], 1, 10, 0));
            }

            await connection.LeaseAsync(asks);
        }
        return await database.WorkAsync();
    }

    public static Task<long[]> EpochsAsync(Database database, int clients) => database.AskAsync<long[]>($"""
        SELECT array_agg(epoch ORDER BY client_id) FROM penstock_clients WHERE client_id < '{Database.IdOf(clients)}'
        """);

    private static async Task<(long Updated, long OnPage)> UpdatesAsync(Database database)
    {
        long[] counts = await database.AskAsync<long[]>(
            "SELECT ARRAY[n_tup_upd, n_tup_hot_upd] FROM pg_stat_user_tables WHERE relname = 'penstock_clients'");
        return (counts[0], counts[1]);
    }
}
