using System.Data;
using System.Security.Cryptography;
using Npgsql;

namespace Penstock.Control.Store;

/// <summary>Why a server will not do; the message says all there is.</summary>
internal sealed class PostgresFault(string message, Exception? inner = null) : NpgsqlException(message, inner);

/// <summary>A connection that leaves nothing behind in its session: each set of statements is a transaction, and the
/// times it may take are that transaction's. Behind a pooler such as PgBouncer a session is whoever's is next: a
/// setting would be another program's, and a prepared statement's name is taken by somebody else. Not
/// thread-safe.</summary>
internal sealed class PostgresConnection : IDisposable
{
    private const string GreetSql =
        "SELECT pg_backend_pid(), current_setting('transaction_read_only') = 'on', pg_is_in_recovery()";

    private readonly NpgsqlConnection _connection;

    private PostgresConnection(NpgsqlConnection connection, bool isPooled) =>
        (_connection, IsPooled) = (connection, isPooled);

    /// <summary>Somebody stands between who gives each transaction another session: no statement can be prepared here,
    /// and nothing can be listened to.</summary>
    public bool IsPooled { get; }

    /// <summary>Neither given up nor broken.</summary>
    public bool IsOpen => _connection.State == ConnectionState.Open;

    /// <summary>For what is no <see cref="Batch(int, string, ReadOnlySpan{NpgsqlParameter})"/>.</summary>
    public NpgsqlConnection Raw => _connection;

    /// <summary>Connects to the first host that will do.</summary>
    /// <exception cref="NpgsqlException">None will; the message says of each why.</exception>
    public static PostgresConnection Open(PostgresUrl url)
    {
        if (url.Hosts is [var only])
        {
            return Open(url, only);
        }

        var causes = new List<string>();
        foreach (PostgresHost host in url.Hosts)
        {
            try
            {
                return Open(url, host);
            }
            catch (Exception e) when (PostgresStore.IsFault(e))
            {
                causes.Add($"{host.Name}: {PostgresStore.Explain(e)}");
            }
        }
        throw new PostgresFault(string.Join("; ", causes));
    }

    /// <summary>Statements that are one transaction, which ends within that time. Read their rows by
    /// <see cref="Read"/>.</summary>
    public NpgsqlBatch Batch(int timeoutMs, params ReadOnlySpan<NpgsqlBatchCommand> commands)
    {
        var batch = new NpgsqlBatch(_connection) { Timeout = timeoutMs / 1000, BatchCommands = { Limits(timeoutMs) } };
        foreach (NpgsqlBatchCommand command in commands)
        {
            batch.BatchCommands.Add(command);
        }

        return batch;
    }

    /// <inheritdoc cref="Batch(int, ReadOnlySpan{NpgsqlBatchCommand})"/>
    public NpgsqlBatch Batch(int timeoutMs, string sql, params ReadOnlySpan<NpgsqlParameter> parameters)
    {
        var command = new NpgsqlBatchCommand(sql);
        foreach (NpgsqlParameter parameter in parameters)
        {
            command.Parameters.Add(parameter);
        }

        return Batch(timeoutMs, command);
    }

    /// <summary>The rows of the first statement of a batch.</summary>
    public static NpgsqlDataReader Read(NpgsqlBatch batch, CommandBehavior behavior = CommandBehavior.Default)
    {
        NpgsqlDataReader rows = batch.ExecuteReader(behavior);
        rows.NextResult(); // behind what the limits answered
        return rows;
    }

    /// <summary>Bounds the transaction that it is in. 0 is as long as it takes.</summary>
    /// <param name="timeoutMs">For each of its statements.</param>
    /// <param name="waitsForDisk">Its commit does.</param>
    public static NpgsqlBatchCommand Limits(int timeoutMs, bool waitsForDisk = true) => new($"""
        SELECT set_config('statement_timeout', '{timeoutMs}', true), set_config('lock_timeout', '{timeoutMs}', true),
            set_config('idle_in_transaction_session_timeout', '{timeoutMs * 2}', true)
            {(waitsForDisk ? "" : ", set_config('synchronous_commit', 'off', true)")}
        """);

    public void Dispose() => _connection.Dispose();

    private static PostgresConnection Open(PostgresUrl url, PostgresHost host)
    {
        NpgsqlConnection connection = host.NewConnection();
        string? tlsFault = null;
        try
        {
            url.Tls.Guard(connection, fault => tlsFault = fault);
            connection.Open();
            using var command = new NpgsqlCommand(GreetSql, connection);
            using NpgsqlDataReader row = command.ExecuteReader();
            row.Read();
            if (url.MustBeWritable && row.GetBoolean(1))
            {
                throw new PostgresFault("the server is read-only"
                    + (row.GetBoolean(2) ? ", a standby: name the primary" : ""));
            }
            return new(connection, isPooled: row.GetInt32(0) != connection.ProcessID);
        }
        catch (Exception e)
        {
            connection.Dispose();
            if (tlsFault is not null)
            {
                throw new PostgresFault(tlsFault, e);
            }

            if (e is CryptographicException or UnauthorizedAccessException or FileNotFoundException)
            {
                throw new PostgresFault($"sslcert or sslkey cannot be read: {e.Message}", e);
            }

            throw;
        }
    }
}
