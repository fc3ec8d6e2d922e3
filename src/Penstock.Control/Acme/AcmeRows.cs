using Npgsql;
using Penstock.Control.Store;

namespace Penstock.Control.Acme;

/// <summary>Keeps items in the PostgreSQL that nodes share. One node at a time orders certificates: the one whose name
/// is in the row of penstock_acme_lead.</summary>
internal sealed class AcmeRows(PostgresUrl url) : IAcmeStorage
{
    private readonly string _node = Guid.NewGuid().ToString("N");
    private PostgresConnection? _connection;

    public string Name => $"the store {url.Name}";

    public bool IsShared => true;

    public IReadOnlyDictionary<AcmeItem, string> Read(IReadOnlyCollection<AcmeItem> items) => Use(connection =>
    {
        using NpgsqlBatch command = connection.Batch(PostgresStore.StatementTimeoutMs,
            """
            SELECT directory, item, value FROM penstock_acme_items
            WHERE (directory, item) IN (SELECT * FROM unnest($1, $2))
            """,
            new NpgsqlParameter<string[]> { TypedValue = [.. items.Select(static item => item.Directory)] },
            new NpgsqlParameter<string[]> { TypedValue = [.. items.Select(static item => item.Name)] });
        using NpgsqlDataReader rows = PostgresConnection.Read(command);
        var found = new Dictionary<AcmeItem, string>();
        while (rows.Read())
        {
            found[new(rows.GetString(0), rows.GetString(1))] = rows.GetString(2);
        }
        return found;
    });

    public void Write(AcmeItem item, string? text) => Use(connection =>
    {
        var version = new NpgsqlBatchCommand("UPDATE penstock_acme_lead SET version = version + 1");
        var change = new NpgsqlBatchCommand(text is null
            ? "DELETE FROM penstock_acme_items WHERE directory = $1 AND item = $2"
            : """
              INSERT INTO penstock_acme_items (directory, item, value) VALUES ($1, $2, $3)
              ON CONFLICT (directory, item) DO UPDATE SET value = EXCLUDED.value
              """);
        change.Parameters.Add(Text(item.Directory));
        change.Parameters.Add(Text(item.Name));
        if (text is not null)
        {
            change.Parameters.Add(Text(text));
        }
        using NpgsqlBatch batch = connection.Batch(PostgresStore.StatementTimeoutMs, version, change);
        return batch.ExecuteNonQuery();
    });

    public long Version() => Scalar("SELECT version FROM penstock_acme_lead");

    public long Nodes() => Scalar("SELECT penstock_nodes_alive()");

    public bool TryLead() => Scalar(
        """
        WITH taken AS (
            UPDATE penstock_acme_lead SET node = $1, until = clock_timestamp() + $2 * interval '1 second'
            WHERE node = $1 OR until < clock_timestamp() RETURNING 1)
        SELECT count(*) FROM taken
        """, Text(_node), new NpgsqlParameter<double> { TypedValue = AcmeStorages.MaxLead.TotalSeconds }) == 1;

    public void EndLead()
    {
        try
        {
            Scalar("WITH ended AS (UPDATE penstock_acme_lead SET until = '-infinity' WHERE node = $1 RETURNING 1) "
                + "SELECT count(*) FROM ended", Text(_node));
        }
        catch (AcmeException)
        {
            // The database is unreachable: the lead ends by itself.
        }
    }

    public void Dispose() => _connection?.Dispose();

    private long Scalar(string sql, params NpgsqlParameter[] parameters) => Use(connection =>
    {
        using NpgsqlBatch command = connection.Batch(PostgresStore.StatementTimeoutMs, sql, parameters);
        using NpgsqlDataReader row = PostgresConnection.Read(command);
        row.Read();
        return row.GetInt64(0);
    });

    private T Use<T>(Func<PostgresConnection, T> work)
    {
        try
        {
            if (_connection is not { IsOpen: true })
            {
                _connection?.Dispose();
                _connection = PostgresConnection.Open(url);
            }
            return work(_connection);
        }
        catch (Exception e) when (PostgresStore.IsFault(e))
        {
            _connection?.Dispose(); // the next call opens a new one
            _connection = null;
            throw new AcmeException($"{Name} cannot be used: {PostgresStore.Explain(e)}", e);
        }
    }

    private static NpgsqlParameter Text(string value) => new NpgsqlParameter<string> { TypedValue = value };
}
