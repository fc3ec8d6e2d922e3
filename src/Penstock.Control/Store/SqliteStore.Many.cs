using Microsoft.Data.Sqlite;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <content>The reads and writes of an edit, for one client or many; each statement is prepared once.</content>
internal sealed partial class SqliteStore
{
    public List<ClientState> Read(string after, int limit) => Use(() =>
    {
        using SqliteCommand command = Command(
            $"""
            SELECT {Columns} FROM planned_clients
            WHERE client_id > $after ORDER BY client_id LIMIT $limit
            """,
            ("$now", NowUnixMs), ("$after", after), ("$limit", limit));
        using SqliteDataReader rows = command.ExecuteReader();
        var clients = new List<ClientState>();
        while (rows.Read())
        {
            clients.Add(Row(rows));
        }

        return clients;
    });

    List<ClientState> IClientTransaction.FindAll(IReadOnlyList<string> clientIds)
    {
        using SqliteCommand command = Command(
            $"SELECT {Columns} FROM planned_clients WHERE client_id = $id", ("$now", NowUnixMs), ("$id", ""));
        var clients = new List<ClientState>();
        foreach (string clientId in clientIds)
        {
            command.Parameters["$id"].Value = clientId;
            using SqliteDataReader rows = command.ExecuteReader();
            if (rows.Read())
            {
                clients.Add(Row(rows));
            }
        }
        return clients;
    }

    List<ClientState> IClientTransaction.PutAll(IReadOnlyList<ClientPut> clients)
    {
        using SqliteCommand command = Command(
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
        var stored = new List<ClientState>(clients.Count);
        foreach (ClientPut client in clients)
        {
            Set(command, client);

            // SQLite returns a whole number as an integer, although the column is REAL.
            stored.Add(new(client.ClientId, client.Limit, Convert.ToDouble(command.ExecuteScalar()),
                client.Terms));
        }
        return stored;
    }

    ClientState? IClientTransaction.Find(string clientId) => FindOne(clientId);

    bool IClientTransaction.Delete(string clientId) =>
        Execute("DELETE FROM clients WHERE client_id = $id", ("$id", clientId)) > 0;
}
