using Microsoft.Data.Sqlite;

namespace Penstock.Control.Store;

/// <summary>Many clients at once: one transaction, and statements that are prepared once.</summary>
internal sealed partial class SqliteStore
{
    public List<StoredClient> Read(string after, int limit) => Use(() =>
    {
        using var command = Command(
            $"""
            SELECT client_id, capacity, rate_per_sec, {Refilled} FROM clients
            WHERE client_id > $after ORDER BY client_id LIMIT $limit
            """,
            ("$now", NowUnixMs), ("$after", after), ("$limit", limit));
        using var rows = command.ExecuteReader();
        var clients = new List<StoredClient>();
        while (rows.Read())
            clients.Add(Row(rows));
        return clients;
    });

    public List<StoredClient> FindAll(IReadOnlyList<string> clientIds) => Use(() => InTransaction(() =>
    {
        using var command = Command(
            $"SELECT client_id, capacity, rate_per_sec, {Refilled} FROM clients WHERE client_id = $id",
            ("$now", NowUnixMs), ("$id", ""));
        var clients = new List<StoredClient>();
        foreach (var clientId in clientIds)
        {
            command.Parameters["$id"].Value = clientId;
            using var rows = command.ExecuteReader();
            if (rows.Read()) clients.Add(Row(rows));
        }
        return clients;
    }, "BEGIN"));

    public List<StoredClient> PutAll(IReadOnlyList<ClientPut> clients) => Use(() => InTransaction(() =>
    {
        using var command = Command(
            $"""
            INSERT INTO clients (client_id, capacity, rate_per_sec, tokens, tokens_at_unix_ms)
            VALUES ($id, $capacity, $rate, coalesce($tokens, $capacity), $now)
            ON CONFLICT (client_id) DO UPDATE SET
                tokens = coalesce($tokens, min(excluded.capacity, {Refilled})),
                capacity = excluded.capacity, rate_per_sec = excluded.rate_per_sec, tokens_at_unix_ms = $now
            RETURNING tokens
            """,
            ("$id", ""), ("$capacity", 0L), ("$rate", 0.0), ("$tokens", 0.0), ("$now", NowUnixMs));
        var stored = new List<StoredClient>(clients.Count);
        foreach (var (clientId, limit, tokens) in clients)
        {
            command.Parameters["$id"].Value = clientId;
            command.Parameters["$capacity"].Value = limit.Capacity;
            command.Parameters["$rate"].Value = limit.RatePerSecond;
            command.Parameters["$tokens"].Value = tokens ?? (object)DBNull.Value;

            // a whole number comes back as such, although the column keeps it as a fraction
            stored.Add(new(clientId, limit, Convert.ToDouble(command.ExecuteScalar())));
        }
        return stored;
    }));
}
