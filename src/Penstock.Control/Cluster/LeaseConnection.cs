using System.Data;
using Npgsql;
using Penstock.Control.Store;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Cluster;

/// <summary>The lease thread's connection to the database and the statements on it. When the database fails, every
/// method throws an exception that <see cref="PostgresStore.IsFault"/> accepts. Not thread-safe.</summary>
internal sealed class LeaseConnection : IDisposable
{
    /// <summary>After this time without an answer the connection is closed; tokens that the statement granted are
    /// lost.</summary>
    private const int TimeoutMs = 10_000;

    // Rows are locked in the order of their ids, so that nodes cannot deadlock. The tokens of a bucket are computed
    // from the locked row and with the database's clock, which no node's clock can change. If the database's clock is
    // set back, buckets lose the refill of that time, of at most five seconds.
    private const string LeaseSql = """
        WITH locked AS MATERIALIZED (
            SELECT c.client_id, c.capacity, c.rate_per_sec, c.tokens, c.tokens_at, c.plan, a.need, a.want, a.back
            FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::double precision[])
                AS a (client_id, epoch, need, want, back)
            JOIN penstock_clients c ON c.client_id = a.client_id AND c.epoch = a.epoch
            ORDER BY c.client_id FOR UPDATE OF c
        ), planned AS (
            SELECT client_id, coalesce(p.capacity, l.capacity) AS capacity,
                coalesce(p.rate_per_sec, l.rate_per_sec) AS rate_per_sec,
                CASE WHEN p.changed_at > tokens_at THEN penstock_settled(l.plan, tokens, tokens_at)
                     ELSE tokens END AS tokens,
                greatest(p.changed_at, tokens_at) AS tokens_at, need, want, back
            FROM locked l LEFT JOIN penstock_plans p ON p.plan = l.plan
        ), timed AS (
            SELECT *, clock_timestamp() AS at FROM planned
        ), held AS (
            SELECT t.*, greatest(-capacity, least(capacity,
                penstock_refilled(tokens, rate_per_sec, tokens_at, at) + back)) AS have, n
            FROM timed t, (SELECT penstock_nodes_alive() AS n) nodes
        ), granted AS (
            SELECT *, greatest(0, least(want, floor(have)::bigint,
                greatest(need, floor(have / CASE n WHEN 1 THEN 2 ELSE 8 * n END)::bigint))) AS grant
            FROM held
        )
        UPDATE penstock_clients c
        SET tokens = g.have - g.grant, leased = c.leased + g.grant,
            tokens_at = CASE WHEN g.tokens_at > g.at + interval '5 seconds' THEN g.at
                             ELSE greatest(g.tokens_at, g.at) END
        FROM granted g WHERE c.client_id = g.client_id
        RETURNING c.client_id, c.epoch, g.grant, c.tokens, g.capacity, c.leased
        """;

    private const string HeartbeatSql = """
        INSERT INTO penstock_nodes (node_id, version) VALUES ($1, $2)
        ON CONFLICT (node_id) DO UPDATE SET last_seen = clock_timestamp()
        """;

    private const string NodesSql = """
        SELECT node_id, version, started_at, last_seen, last_seen > clock_timestamp() - interval '10 seconds'
        FROM penstock_nodes WHERE last_seen > clock_timestamp() - interval '10 minutes'
        ORDER BY started_at, node_id
        """;

    // A lease is committed without waiting for the disk, so that its rows are locked only while it computes. If the
    // lock included the write, all nodes that use the row would wait for that write, one after another. This second
    // transaction then waits until everything written before it is on disk. No token is used before that.
    private const string FlushSql =
        "SELECT set_config('synchronous_commit', 'on', true), pg_logical_emit_message(true, 'penstock', '')";

    private readonly PostgresConnection _connection;
    private readonly NpgsqlBatch _lease;
    private readonly NpgsqlParameter<string[]> _ids = new();
    private readonly NpgsqlParameter<long[]> _epochs = new();
    private readonly NpgsqlParameter<long[]> _needs = new();
    private readonly NpgsqlParameter<long[]> _wants = new();
    private readonly NpgsqlParameter<double[]> _backs = new();

    private LeaseConnection(PostgresConnection connection)
    {
        _connection = connection;
        _lease = new NpgsqlBatch(connection.Raw)
        {
            Timeout = TimeoutMs / 1000,
            BatchCommands =
            {
                PostgresConnection.Limits(TimeoutMs, waitsForDisk: false),
                new(LeaseSql)
                {
                    Parameters = { _ids, _epochs, _needs, _wants, _backs },
                    AppendErrorBarrier = true, // the first transaction ends here
                },
                new(FlushSql),
            },
        };
    }

    /// <summary>A pooler may give each transaction another session.</summary>
    public bool IsPooled => _connection.IsPooled;

    public static LeaseConnection Open(PostgresUrl url)
    {
        var opened = new LeaseConnection(PostgresConnection.Open(url));
        try
        {
            opened.SetAsks([]);
            if (!opened.IsPooled)
            {
                opened._lease.Prepare(); // planning the statement costs as much as running it
            }

            return opened;
        }
        catch
        {
            opened.Dispose();
            throw;
        }
    }

    /// <summary>Asks for all these tokens in one statement, which deducts the tokens that it grants, and waits until
    /// the result is on the database's disk.</summary>
    public async Task<List<LeaseGrant>> LeaseAsync(IReadOnlyList<LeaseAsk> asks)
    {
        SetAsks(asks);
        await using NpgsqlDataReader rows = await _lease.ExecuteReaderAsync();
        await rows.NextResultAsync(); // skip the result of setting the timeouts
        var grants = new List<LeaseGrant>(asks.Count);
        while (await rows.ReadAsync())
        {
            grants.Add(new(rows.GetString(0), rows.GetInt64(1), rows.GetInt64(2), rows.GetDouble(3), rows.GetInt64(4),
                rows.GetInt64(5)));
        }
        while (await rows.NextResultAsync())
        {
            // reading on throws if the flush failed
        }
        return grants;
    }

    /// <summary>Records that this node is alive, and reads the other nodes and the version of the last edit.</summary>
    public async Task<(List<ClusterNode> Nodes, long LastVersion)> HeartbeatAsync(string nodeId, string version)
    {
        await using NpgsqlBatch batch = _connection.Batch(TimeoutMs,
            new NpgsqlBatchCommand(HeartbeatSql)
            {
                Parameters =
                {
                    new NpgsqlParameter<string> { TypedValue = nodeId },
                    new NpgsqlParameter<string> { TypedValue = version },
                },
            },
            new NpgsqlBatchCommand(NodesSql),
            new NpgsqlBatchCommand(PostgresSchema.LastVersionSql));
        await using NpgsqlDataReader rows = await batch.ExecuteReaderAsync();
        await rows.NextResultAsync(); // skip the result of setting the timeouts
        var nodes = new List<ClusterNode>();
        while (await rows.ReadAsync())
        {
            nodes.Add(new(rows.GetString(0), rows.GetString(1), rows.GetFieldValue<DateTimeOffset>(2),
                rows.GetFieldValue<DateTimeOffset>(3), rows.GetBoolean(4)));
        }
        await rows.NextResultAsync();
        await rows.ReadAsync();
        return (nodes, rows.GetInt64(0));
    }

    /// <summary>Removes this node, and nodes that were not seen for a day.</summary>
    public async Task LeaveAsync(string nodeId)
    {
        await using NpgsqlBatch command = _connection.Batch(TimeoutMs,
            "DELETE FROM penstock_nodes WHERE node_id = $1 OR last_seen < clock_timestamp() - interval '1 day'",
            new NpgsqlParameter<string> { TypedValue = nodeId });
        await command.ExecuteNonQueryAsync();
    }

    public void Dispose()
    {
        _lease.Dispose();
        _connection.Dispose();
    }

    private void SetAsks(IReadOnlyList<LeaseAsk> asks)
    {
        _ids.TypedValue = [.. asks.Select(ask => ask.ClientId)];
        _epochs.TypedValue = [.. asks.Select(ask => ask.Epoch)];
        _needs.TypedValue = [.. asks.Select(ask => ask.Need)];
        _wants.TypedValue = [.. asks.Select(ask => ask.Want)];
        _backs.TypedValue = [.. asks.Select(ask => ask.Back)];
    }
}
