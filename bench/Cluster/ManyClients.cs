using System.Diagnostics;
using System.Globalization;
using Penstock.TestKit;

namespace Penstock.Bench.Cluster;

/// <summary>A million clients: the table, and the program that starts with them.</summary>
internal static class ManyClients
{
    public static int Count { get; } = int.Parse(
        Environment.GetEnvironmentVariable("PENSTOCK_BENCH_CLIENTS") ?? "1000000", CultureInfo.InvariantCulture);

    public static async Task RunAsync()
    {
        await using Database database = await Database.StartAsync();
        (double bareSeconds, double bareBusy, long bareBytes) = await StartAsync(database);
        string lsn = await database.AskAsync<string>("SELECT pg_current_wal_lsn()::text");
        var watch = Stopwatch.StartNew();
        await database.FillAsync(Count, 100, 10);
        double fill = watch.Elapsed.TotalSeconds;
        decimal wal = await database.AskAsync<decimal>($"SELECT pg_current_wal_lsn() - '{lsn}'::pg_lsn");
        await database.DoAsync("VACUUM ANALYZE");
        long heap = await database.AskAsync<long>("SELECT pg_table_size('penstock_clients')");
        long index = await database.AskAsync<long>("SELECT pg_indexes_size('penstock_clients')");
        (double seconds, double busy, long bytes) = await StartAsync(database);
        Console.WriteLine("| clients | insert µs/row | WAL bytes/row inserted | table bytes/row | index bytes/row | "
            + "start s | without clients s | processor µs/client of the start | memory bytes/client |");
        Console.WriteLine("|---:|---:|---:|---:|---:|---:|---:|---:|---:|");
        Console.WriteLine($"| {Count} | {fill * 1e6 / Count:0.0} | {wal / Count:0} | {(double)heap / Count:0.0} | "
            + $"{(double)index / Count:0.0} | {seconds:0.0} | {bareSeconds:0.0} | "
            + $"{(busy - bareBusy) * 1e6 / Count:0.0} | {(double)(bytes - bareBytes) / Count:0} |");
    }

    /// <summary>Starts the program; seconds until it says that it is there, processor seconds of that, and what it has
    /// in memory soon after.</summary>
    private static async Task<(double Seconds, double Busy, long Bytes)> StartAsync(Database database)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("penstock-bench-");
        await File.WriteAllTextAsync(Path.Combine(folder.FullName, "penstock.yaml"), $$"""
            listen: 127.0.0.1:{{PenstockProcess.FreePort()}}
            admin: { listen: 127.0.0.1:{{PenstockProcess.FreePort()}} }
            store: "{{database.Url}}"
            backends: [http://127.0.0.1:9]
            """);
        var watch = Stopwatch.StartNew();
        await using var program = PenstockProcess.Start(folder.FullName, "run");
        while (!program.Lines.Any(line => line.Contains("\"event\":\"started\"", StringComparison.Ordinal)))
        {
            if (program.HasExited)
            {
                throw new InvalidOperationException(string.Join('\n', program.Lines));
            }

            await Task.Delay(10);
        }
        (double seconds, double busy) = (watch.Elapsed.TotalSeconds, program.ProcessorTime.TotalSeconds);
        await Task.Delay(3000);
        long bytes = program.MemoryBytes;
        program.Signal("TERM");
        await program.ExitCodeAsync();
        folder.Delete(recursive: true);
        return (seconds, busy, bytes);
    }
}
