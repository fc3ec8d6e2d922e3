using System.Data;
using System.Security.Cryptography;
using Npgsql;

namespace Penstock.Control.Store;

/// <summary>Why a server cannot be used; the message is complete.</summary>
internal sealed class PostgresFault(string message, Exception? inner = null) : NpgsqlException(message, inner);

/// <summary>A connection that changes nothing in its session: each set of statements is one transaction, and its
/// timeouts belong to that transaction. Behind a pooler such as PgBouncer other programs use the same session: they
/// would inherit a session setting, and the name of a prepared statement could already be taken. Not thread-safe.
/// </summary>
internal sealed class PostgresConnection : IDisposable
{
    private const string GreetSql =
        "SELECT pg_backend_pid(), current_setting('transaction_read_only') = 'on', pg_is_in_recovery()";

    private readonly NpgsqlConnection _connection;

    private PostgresConnection(NpgsqlConnection connection, bool isPooled) =>
        (_connection, IsPooled) = (connection, isPooled);

    /// <summary>A pooler may give each transaction another session, so no statement can be prepared on this connection
    /// and LISTEN does not work.</summary>
    public bool IsPooled { get; }

    /// <summary>Neither closed nor broken.</summary>
    public bool IsOpen => _connection.State == ConnectionState.Open;

    /// <summary>For calls other than <see cref="Batch(int, string, ReadOnlySpan{NpgsqlParameter})"/>.</summary>
    public NpgsqlConnection Raw => _connection;

    /// <summary>Connects to the first host that can be used.</summary>
    /// <exception cref="NpgsqlException">No host can be used; the message says why, for each host.</exception>
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

    /// <summary>Statements that are one transaction, which ends within the timeout. Read their rows with
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
        rows.NextResult(); // skip the result of setting the timeouts
        return rows;
    }

    /// <summary>Sets the timeouts of the transaction that contains this command.</summary>
    /// <param name="timeoutMs">The timeout of each statement; 0: none.</param>
    /// <param name="waitsForDisk">The commit waits until the database has written to disk.</param>
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
