using Npgsql;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <content>The reads and writes of an edit, for one client or many. Rows are sent as arrays. The triggers of the table
/// assign versions and notify the other nodes once, at the commit, as for any edit.</content>
internal sealed partial class PostgresStore
{
    /// <summary>Rows per statement, so that each ends well within <see cref="StatementTimeoutMs"/>.</summary>
    private const int ChunkSize = 2000;

    private const string Given = "unnest($1, $2, $3, $4, $5, $6, $7, $8) AS a (id, new_capacity, new_rate, "
        + "new_tokens, new_plan, new_access, new_has_numbers, new_limits)";

    // Rows are locked in the order of their ids, as by leases, so that there is no deadlock.
    private const string UpdateAllSql = $"""
        WITH given AS MATERIALIZED (
            SELECT a.* FROM {Given} JOIN penstock_clients c ON c.client_id = a.id
            ORDER BY c.client_id FOR UPDATE OF c
        )
        UPDATE penstock_clients b SET
            capacity = CASE WHEN new_plan IS NULL THEN new_capacity ELSE capacity END,
            rate_per_sec = CASE WHEN new_plan IS NULL THEN new_rate ELSE rate_per_sec END,
            tokens = coalesce(new_tokens, tokens), epoch = CASE WHEN new_tokens IS NULL THEN epoch ELSE 0 END,
            plan = new_plan, access = new_access, has_numbers = new_has_numbers, limits = new_limits::jsonb
        FROM given WHERE client_id = id
        RETURNING {Columns}
        """;

    private const string InsertAllSql = $"""
        INSERT INTO penstock_clients AS b
            (client_id, capacity, rate_per_sec, tokens, plan, access, has_numbers, limits)
        SELECT id, new_capacity, new_rate, new_tokens, new_plan, new_access, new_has_numbers, new_limits::jsonb
        FROM {Given}
        WHERE NOT EXISTS (SELECT FROM penstock_clients WHERE client_id = id)
        RETURNING {Columns}
        """;

    public List<ClientState> Read(string after, int limit) => Use(() =>
    {
        var clients = new List<ClientState>();
        AddTo(clients, $"SELECT {Columns} FROM penstock_buckets b WHERE client_id > $1 ORDER BY client_id LIMIT $2",
            Text(after), new NpgsqlParameter<int> { TypedValue = limit });
        return clients;
    });

    List<ClientState> IClientTransaction.FindAll(IReadOnlyList<string> clientIds)
    {
        var clients = new List<ClientState>();
        foreach (string[] chunk in clientIds.Chunk(ChunkSize))
        {
            AddTo(clients, $"SELECT {Columns} FROM penstock_buckets b WHERE client_id = ANY ($1)",
                new NpgsqlParameter<string[]> { TypedValue = chunk });
        }
        return clients;
    }

    List<ClientState> IClientTransaction.PutAll(IReadOnlyList<ClientPut> clients)
    {
        var stored = new List<ClientState>(clients.Count);
        foreach (ClientPut[] chunk in clients.OrderBy(static client => client.ClientId, ByteOrder.Instance)
            .Chunk(ChunkSize))
        {
            int before = stored.Count;
            AddTo(stored, UpdateAllSql, Arrays(chunk));
            if (stored.Count - before < chunk.Length)
            {
                AddTo(stored, InsertAllSql, Arrays(chunk));
            }
        }
        return stored;
    }

    ClientState? IClientTransaction.Find(string clientId) => FindOne(clientId);

    bool IClientTransaction.Delete(string clientId) =>
        Execute("DELETE FROM penstock_clients WHERE client_id = $1", Text(clientId)) > 0;

    private static NpgsqlParameter[] Arrays(ClientPut[] chunk) =>
    [
        new NpgsqlParameter<string[]> { TypedValue = [.. chunk.Select(static client => client.ClientId)] },
        new NpgsqlParameter<long[]> { TypedValue = [.. chunk.Select(static client => client.Limit.Capacity)] },
        new NpgsqlParameter<double[]> { TypedValue = [.. chunk.Select(static client => client.Limit.RatePerSecond)] },
        new NpgsqlParameter<double?[]> { TypedValue = [.. chunk.Select(static client => client.Tokens)] },
        new NpgsqlParameter<string?[]> { TypedValue = [.. chunk.Select(static client => client.Terms?.Plan)] },
        new NpgsqlParameter<string[]> { TypedValue = [.. chunk.Select(static client => AccessOf(client.Terms))] },
        new NpgsqlParameter<bool[]> { TypedValue = [.. chunk.Select(static client => HasNumbers(client.Terms))] },
        new NpgsqlParameter<string?[]>
        {
            TypedValue = [.. chunk.Select(static client => TermsText.LimitsOf(client.Terms))],
        },
    ];

    private void AddTo(List<ClientState> clients, string sql, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
        using NpgsqlBatch command = Command(sql, parameters);
        using NpgsqlDataReader rows = PostgresConnection.Read(command);
        while (rows.Read())
        {
            clients.Add(Row(rows));
        }
    }

    /// <summary>Sorts texts by their UTF-8 bytes, which is the order of code points. UTF-16 differs: its surrogates
    /// come before U+E000, but they encode code points above U+FFFF.</summary>
    internal sealed class ByteOrder : IComparer<string>
    {
        public static readonly ByteOrder Instance = new();

        public int Compare(string? x, string? y)
        {
            int same = x.AsSpan().CommonPrefixLength(y);
            return same == x!.Length || same == y!.Length ? x!.Length - y!.Length : Rank(x[same]) - Rank(y[same]);
        }

        private static int Rank(char c) => c < 0xd800 ? c : c < 0xe000 ? c + 0x2000 : c - 0x800;
    }
}
