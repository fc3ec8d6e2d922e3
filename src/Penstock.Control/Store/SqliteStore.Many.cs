using Microsoft.Data.Sqlite;

namespace Penstock.Control.Store;

/// <summary>Many clients at once: one transaction, and statements that are prepared once.</summary>
internal sealed partial class SqliteStore
{
    public List<StoredClient> Read(string after, int limit) => Use(() =>
    {
        using var command = Command(
            $"""
            SELECT {Columns} FROM planned_clients
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
            $"SELECT {Columns} FROM planned_clients WHERE client_id = $id", ("$now", NowUnixMs), ("$id", ""));
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
            INSERT INTO clients
                (client_id, capacity, rate_per_sec, tokens, tokens_at_unix_ms, plan, access, has_numbers, limits)
            VALUES ($id, $capacity, $rate, coalesce($tokens, $capacity), $now, $plan, $access, $has_numbers, $limits)
            ON CONFLICT (client_id) DO UPDATE SET
                tokens = coalesce($tokens, min(excluded.capacity,
                    (SELECT {Refilled} FROM planned_clients p WHERE p.client_id = $id))),
                capacity = excluded.capacity, rate_per_sec = excluded.rate_per_sec, tokens_at_unix_ms = $now,
                plan = excluded.plan, access = excluded.access, has_numbers = excluded.has_numbers,
                limits = excluded.limits
            RETURNING tokens
            """,
            [.. ClientParameters, ("$now", NowUnixMs)]);
        var stored = new List<StoredClient>(clients.Count);
        foreach (var client in clients)
        {
            Set(command, client);

            // a whole number comes back as such, although the column keeps it as a fraction
            stored.Add(new(client.ClientId, client.Limit, Convert.ToDouble(command.ExecuteScalar()), default,
                client.Terms));
        }
        return stored;
    }));
}
