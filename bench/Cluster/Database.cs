using System.Globalization;
using Npgsql;
using Penstock.Control.Store;
using Penstock.TestKit;

namespace Penstock.Bench.Cluster;

/// <summary>A PostgreSQL for one run, and what it counts.</summary>
internal sealed class Database : IAsyncDisposable
{
    private readonly PostgresServer _server;
    private readonly NpgsqlConnection _connection;

    private Database(PostgresServer server, string url, NpgsqlConnection connection) =>
        (_server, Url, _connection) = (server, url, connection);

    public static double Seconds { get; } = double.Parse(
        Environment.GetEnvironmentVariable("PENSTOCK_BENCH_SECONDS") ?? "5", CultureInfo.InvariantCulture);

    /// <summary>The <c>store</c> of a configuration.</summary>
    public string Url { get; }

    /// <summary>With Penstock's tables in it. As on a machine of its own: commits are forced to the disk.</summary>
    public static async Task<Database> StartAsync(string settings = "")
    {
        PostgresServer server =
            await PostgresServer.StartAsync("-c shared_buffers=1GB -c max_connections=400 -c max_wal_size=8GB "
            + "-c shared_preload_libraries=pg_stat_statements -c pg_stat_statements.track_planning=off " + settings);
        string url = await server.NewDatabaseAsync();
        PostgresStore.Open(Parsed(url)).Dispose();
        var connection = new NpgsqlConnection(Parsed(url).ConnectionString + ";Timeout=30;Command Timeout=0");
        await connection.OpenAsync();
        var database = new Database(server, url, connection);
        await database.DoAsync("CREATE EXTENSION pg_stat_statements");
        return database;
    }

    /// <summary>Registers clients <c>client-0000000</c> and so on, with full buckets.</summary>
    public Task FillAsync(int clients, long capacity, double rate) => DoAsync($"""
        INSERT INTO penstock_clients (client_id, capacity, rate_per_sec, tokens)
        SELECT 'client-' || lpad(i::text, 7, '0'), {capacity}, {rate}, {capacity}
        FROM generate_series(0, {clients - 1}) i
        """);

    public static string IdOf(int client) => "client-" + client.ToString("d7", CultureInfo.InvariantCulture);

    public async Task DoAsync(string sql)
    {
        await using var command = new NpgsqlCommand(sql, _connection);
        await command.ExecuteNonQueryAsync();
    }

    public async Task<T> AskAsync<T>(string sql)
    {
        await using var command = new NpgsqlCommand(sql, _connection);
        return (T)(await command.ExecuteScalarAsync())!;
    }

    /// <summary>What was done since <see cref="ForgetAsync"/>.</summary>
    public async Task<Work> WorkAsync()
    {
        await using var command = new NpgsqlCommand(
            """
            SELECT coalesce(sum(calls) FILTER (WHERE lease), 0)::bigint,
                coalesce(sum(rows) FILTER (WHERE lease), 0)::bigint,
                coalesce(sum(wal_bytes) FILTER (WHERE lease), 0)::bigint,
                coalesce(sum(total_exec_time) FILTER (WHERE lease), 0)::double precision,
                coalesce(sum(calls) FILTER (WHERE NOT lease), 0)::bigint
            FROM (SELECT *, query LIKE 'WITH locked%' AS lease FROM pg_stat_statements(true)
                  WHERE query NOT LIKE '%pg_stat%') s
            """,
            _connection);
        await using NpgsqlDataReader rows = await command.ExecuteReaderAsync();
        await rows.ReadAsync();
        return new(rows.GetInt64(0), rows.GetInt64(1), rows.GetInt64(2), rows.GetDouble(3), rows.GetInt64(4));
    }

    public Task ForgetAsync() => DoAsync("SELECT pg_stat_statements_reset()");

    /// <summary>Processor seconds of PostgreSQL's processes but the autovacuum's workers, which come and go.</summary>
    public async Task<double> ProcessorSecondsAsync()
    {
        int[] ids = await AskAsync<int[]>(
            "SELECT array_agg(pid) FROM pg_stat_activity WHERE backend_type <> 'autovacuum worker'");
        long ticks = 0L;
        foreach (int id in ids)
        {
            string stat = await File.ReadAllTextAsync($"/proc/{id}/stat");
            string[] fields = stat[(stat.LastIndexOf(')') + 2)..].Split(' ');
            ticks += long.Parse(fields[11], CultureInfo.InvariantCulture)
                + long.Parse(fields[12], CultureInfo.InvariantCulture);
        }
        return ticks / 100.0; // USER_HZ
    }

    public async ValueTask DisposeAsync()
    {
        await _connection.DisposeAsync();
        await _server.DisposeAsync();
    }

    public static PostgresUrl Parsed(string url) =>
        PostgresUrl.TryParse(url, out PostgresUrl? parsed) ? parsed : throw new ArgumentException(url, nameof(url));
}

/// <param name="Leases">Statements that asked for tokens.</param>
/// <param name="LeaseMs">Milliseconds that they took in all, waiting for locks included, commits not.</param>
/// <param name="Others">Heartbeats and what else was asked, statement by statement.</param>
internal readonly record struct Work(long Leases, long LeaseRows, long LeaseWalBytes, double LeaseMs, long Others);
