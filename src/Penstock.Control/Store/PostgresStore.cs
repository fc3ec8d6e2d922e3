using System.Data;
using System.Diagnostics;
using System.Net.Sockets;
using Npgsql;
using NpgsqlTypes;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Store;

/// <summary>Registered clients in PostgreSQL, shared by many nodes. One connection under one lock; a broken connection
/// is opened again. Statements end within <see cref="StatementTimeoutMs"/>. While the database is unreachable, one call
/// per second tries to use it, and the others fail at once. Thread-safe.</summary>
internal sealed partial class PostgresStore : IClientStore, IClientTransaction
{
    public const int StatementTimeoutMs = 2000;

    private const int RetryAfterMs = 1000;

    private const string Columns = """
        client_id, capacity, rate_per_sec,
        least(capacity, penstock_refilled(tokens, rate_per_sec, tokens_at, clock_timestamp())) AS tokens,
        version, epoch, plan, access, has_numbers, limits::text,
        coalesce((SELECT p.version FROM penstock_plans p WHERE p.plan = b.plan), 0) AS plan_version
        """;

    private readonly Lock _lock = new();
    private readonly PostgresUrl _url;
    private PostgresConnection _connection;
    private string? _fault;
    private long _retryMs;
    private bool _closed;

    private PostgresStore(PostgresConnection connection, PostgresUrl url) =>
        (_connection, _url, Name) = (connection, url, url.Name);

    public string Name { get; }

    public bool SharesTokens => true;

    public bool IsLasting => true;

    /// <exception cref="StartException">The message names the store and the cause.</exception>
    public static PostgresStore Open(PostgresUrl url)
    {
        PostgresConnection? connection = null;
        try
        {
            connection = PostgresConnection.Open(url);
            PostgresSchema.Migrate(connection.Raw, url.Name);
            return new PostgresStore(connection, url);
        }
        catch (Exception e) when (IsFault(e) || e is StartException)
        {
            connection?.Dispose();
            throw e as StartException ?? new StartException($"store {url.Name}: {Explain(e)}"
                + (e is PostgresException or PostgresFault ? "" : "; is PostgreSQL running there?"), e);
        }
    }

    /// <summary>True for a failure of the database or the network; other exceptions are bugs in Penstock.</summary>
    public static bool IsFault(Exception e) =>
        e is NpgsqlException or SocketException or TimeoutException or IOException;

    /// <summary>The cause without secrets: the message of the server or of the network.</summary>
    public static string Explain(Exception e) => e switch
    {
        PostgresException { SqlState: PostgresErrorCodes.QueryCanceled } => "the database did not answer in time",
        PostgresException server => server.MessageText,
        PostgresFault own => own.Message,
        { InnerException: TimeoutException } or TimeoutException => "the database did not answer in time",
        { InnerException: { } inner } => inner.Message,
        _ => e.Message,
    };

    public void LoadAll(Action<ClientState> each) => Use(() =>
    {
        // No timeout: reading millions of rows takes long.
        using NpgsqlBatch command = _connection.Batch(timeoutMs: 0, $"SELECT {Columns} FROM penstock_buckets b");
        using NpgsqlDataReader rows = PostgresConnection.Read(command, CommandBehavior.SequentialAccess);
        while (rows.Read())
        {
            each(Row(rows));
        }

        return true;
    });

    public T Edit<T>(Func<IClientTransaction, T> work) => Use(() =>
    {
        using NpgsqlTransaction transaction = _connection.Raw.BeginTransaction();
        Execute($"SELECT pg_advisory_xact_lock({PostgresSchema.EditLock})");
        T result = work(this);
        transaction.Commit();
        return result;
    });

    public ClientState? Find(string clientId) => Use(() => FindOne(clientId));

    public List<string> Page(string after, string contains, int limit) => Use(() =>
    {
        using NpgsqlBatch command = Command(
            """
            SELECT client_id FROM penstock_clients
            WHERE client_id > $1 AND ($2 = '' OR position(lower($2 COLLATE "C") IN lower(client_id)) > 0)
            ORDER BY client_id LIMIT $3
            """,
            Text(after), Text(contains), new NpgsqlParameter<int> { TypedValue = limit });
        using NpgsqlDataReader rows = PostgresConnection.Read(command);
        var ids = new List<string>();
        while (rows.Read())
        {
            ids.Add(rows.GetString(0));
        }

        return ids;
    });

    public void SaveTokens(IEnumerable<ClientState> clients) => Use(() =>
    {
        var all = clients.ToList();
        return Execute(
            """
            UPDATE penstock_clients c SET tokens = a.tokens, tokens_at = clock_timestamp()
            FROM unnest($1, $2) AS a (client_id, tokens) WHERE c.client_id = a.client_id
            """,
            new NpgsqlParameter<string[]> { TypedValue = [.. all.Select(client => client.ClientId)] },
            new NpgsqlParameter<double[]> { TypedValue = [.. all.Select(client => client.Tokens)] });
    });

    public void Probe() => Use(() => Execute("UPDATE penstock_clients SET tokens = tokens WHERE client_id = ''"));

    public void Dispose()
    {
        lock (_lock)
        {
            _closed = true;
            _connection.Dispose();
        }
    }

    /// <summary>The edits after a version, in their order.</summary>
    public static List<StoredEdit> ReadAfter(PostgresConnection connection, long version, int most)
    {
        using NpgsqlBatch command = connection.Batch(StatementTimeoutMs,
            $"""
            SELECT * FROM (
                (SELECT {Columns} FROM penstock_buckets b WHERE b.version > $1 ORDER BY b.version LIMIT $2)
                UNION ALL
                (SELECT plan, capacity, rate_per_sec, NULL, version, NULL, plan, NULL, NULL, NULL, version
                 FROM penstock_plans WHERE version > $1 ORDER BY version LIMIT $2)
                UNION ALL
                (SELECT client_id, NULL, NULL, NULL, version, NULL, NULL, NULL, NULL, NULL, NULL
                 FROM penstock_deleted WHERE version > $1 ORDER BY version LIMIT $2)
            ) edits ORDER BY version LIMIT $2
            """,
            new NpgsqlParameter<long> { TypedValue = version }, new NpgsqlParameter<int> { TypedValue = most });
        using NpgsqlDataReader rows = PostgresConnection.Read(command);
        var edits = new List<StoredEdit>();
        while (rows.Read())
        {
            edits.Add(Edit(rows));
        }

        return edits;
    }

    private static ClientState Row(NpgsqlDataReader row)
    {
        (string id, LimitConfig limit) = (row.GetString(0), new LimitConfig(row.GetInt64(1), row.GetDouble(2)));
        // Read in the order of the columns, as SequentialAccess requires.
        (double tokens, long version, long epoch) = (row.GetDouble(3), row.GetInt64(4), row.GetInt64(5));
        ClientTerms? terms =
            TermsText.Of(row.IsDBNull(6) ? null : row.GetString(6), row.GetString(7), row.GetBoolean(8),
            row.IsDBNull(9) ? null : row.GetString(9));
        return new(id, limit, tokens, terms, version, epoch, row.GetInt64(10));
    }

    private T Use<T>(Func<T> work)
    {
        Debug.Assert(!_lock.IsHeldByCurrentThread, "within Edit only the transaction may use the store");
        lock (_lock)
        {
            if (_closed)
            {
                throw new StoreException("the store is closed because Penstock is stopping");
            }

            if (_fault is not null && Environment.TickCount64 < _retryMs)
            {
                throw new StoreException(_fault);
            }

            try
            {
                if (!_connection.IsOpen)
                {
                    _connection.Dispose();
                    _connection = PostgresConnection.Open(_url);
                }
                T result = work();
                _fault = null;
                return result;
            }
            catch (Exception e) when (IsFault(e))
            {
                _fault = Explain(e);
                _retryMs = Environment.TickCount64 + RetryAfterMs;
                // The next call opens a new connection, because the server that failed may no longer be the right one:
                // it is read-only after a failover, or a pooler has lost it.
                _connection.Dispose();
                throw new StoreException(_fault, e);
            }
        }
    }

    private ClientState? FindOne(string clientId)
    {
        using NpgsqlBatch command =
            Command($"SELECT {Columns} FROM penstock_buckets b WHERE client_id = $1", Text(clientId));
        using NpgsqlDataReader rows = PostgresConnection.Read(command);
        return rows.Read() ? Row(rows) : null;
    }

    private int Execute(string sql, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
        using NpgsqlBatch command = Command(sql, parameters);
        return command.ExecuteNonQuery();
    }

    private NpgsqlBatch Command(string sql, params ReadOnlySpan<NpgsqlParameter> parameters) =>
        _connection.Batch(StatementTimeoutMs, sql, parameters);

    private static NpgsqlParameter Text(string value) => new NpgsqlParameter<string> { TypedValue = value };
}
