using System.Diagnostics;
using Microsoft.Data.Sqlite;
using Microsoft.Win32.SafeHandles;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using SQLitePCL;

namespace Penstock.Control.Store;

/// <summary>Registered clients in SQLite, in a file or in memory. One connection under one lock is enough, because
/// calls are short and few, and the data plane makes none. Thread-safe.</summary>
internal sealed partial class SqliteStore : IClientStore, IClientTransaction
{
    public const string Prefix = "sqlite:";
    private const int BusyTimeoutSeconds = 2;

    /// <summary>After a lock timeout, fail immediately for this long; otherwise queued calls would each wait the full
    /// timeout, one after another.</summary>
    private const int LockedMs = 1000;

    /// <summary>Applied in this order; the database's user_version counts the applied ones. Only append to the list.
    /// </summary>
    private static readonly string[] Migrations =
    [
        """
        CREATE TABLE clients (
            client_id         TEXT    NOT NULL PRIMARY KEY,
            capacity          INTEGER NOT NULL CHECK (capacity BETWEEN 1 AND 1000000000),
            rate_per_sec      REAL    NOT NULL CHECK (rate_per_sec > 0),
            tokens            REAL    NOT NULL CHECK (tokens >= 0),
            tokens_at_unix_ms INTEGER NOT NULL
        ) WITHOUT ROWID
        """,

        // Buckets of unregistered clients. The ids of clients are hashed; the first use creates the hash key.
        """
        CREATE TABLE bucket_limits (
            limit_id     INTEGER NOT NULL PRIMARY KEY,
            name         TEXT    NOT NULL,
            capacity     INTEGER NOT NULL,
            rate_per_sec REAL    NOT NULL,
            UNIQUE (name, capacity, rate_per_sec)
        );
        CREATE TABLE buckets (
            limit_id        INTEGER NOT NULL,
            hash            INTEGER NOT NULL,
            full_at_unix_ns INTEGER NOT NULL,
            PRIMARY KEY (limit_id, hash)
        ) WITHOUT ROWID;
        CREATE TABLE bucket_hash (key BLOB NOT NULL CHECK (length(key) = 16), saved_at_unix_ns INTEGER NOT NULL)
        """,
        PlansMigration,
        BackendsMigration,
    ];

    /// <summary>The tokens of a bucket now, including the refill since it was saved. Uses wall-clock time, because the
    /// process may not have been running; if the clock was set back, no tokens are lost.</summary>
    private const string Refilled =
        "min(capacity, tokens + max(0, $now - tokens_at_unix_ms) / 1000.0 * rate_per_sec)";

    private const int LargeLogBytes = 256 * 1024;

    private readonly Lock _lock = new();
    private readonly SqliteConnection _connection;
    private readonly SqliteFile? _file;
    private readonly TimeProvider _time;
    private readonly SqliteCommand _saveTokens;
    private string? _lockedFault;
    private long _lockedUntilMs;
    private bool _closed;

    private SqliteStore(SqliteConnection connection, SqliteFile? file, string name, TimeProvider time)
    {
        (_connection, _file, Name, _time) = (connection, file, name, time);
        _saveTokens = Command(
            "UPDATE clients SET tokens = $tokens, tokens_at_unix_ms = $at WHERE client_id = $id",
            ("$id", ""), ("$tokens", 0.0), ("$at", 0L));
    }

    public string Name { get; }

    public bool SharesTokens => false;

    public bool IsLasting => _file is not null;

    /// <summary>The file did not exist, or was empty.</summary>
    public bool IsNew { get; private set; }

    /// <summary>The lock of the file; null when there is no file.</summary>
    public SafeFileHandle? FileLock => _file?.Lock;

    private long NowUnixMs => _time.GetUtcNow().ToUnixTimeMilliseconds();

    /// <summary>The setting with the whole path, because the file depends on the working directory.</summary>
    public static string NameOf(string store) => store.StartsWith(Prefix, StringComparison.Ordinal)
        && !SqliteFile.IsSpecial(store[Prefix.Length..]) ? Prefix + Path.GetFullPath(store[Prefix.Length..]) : store;

    /// <param name="store"><c>sqlite:PATH</c> or <c>memory</c>.</param>
    /// <exception cref="StartException">The message names the file and the cause.</exception>
    /// <param name="inheritedLock">See <see cref="SqliteFile.Claim"/>.</param>
    public static SqliteStore Open(string store, TimeProvider time, SafeFileHandle? inheritedLock = null)
    {
        string path = store == "memory" ? ":memory:" : store[Prefix.Length..];
        Batteries_V2.Init();
        var file = SqliteFile.Claim(path, inheritedLock);
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = path,
            Pooling = false,
            ForeignKeys = true,
            DefaultTimeout = BusyTimeoutSeconds,
        }.ToString());
        try
        {
            connection.Open();
            var opened = new SqliteStore(connection, file, NameOf(store), time);
            opened.Execute($"PRAGMA busy_timeout = {BusyTimeoutSeconds * 1000}");
            opened.Execute("PRAGMA journal_mode = WAL");
            opened.Execute("PRAGMA synchronous = NORMAL");
            opened.Migrate(path);
            return opened;
        }
        catch (Exception e) when (e is SqliteException or StartException)
        {
            connection.Dispose();
            file?.Dispose();
            throw e as StartException ?? new StartException($"store {path}: {Explain((SqliteException)e, path)}", e);
        }
    }

    public void LoadAll(Action<ClientState> each) => Use(() =>
    {
        using SqliteCommand command = Command(
            $"SELECT {Columns} FROM planned_clients", ("$now", NowUnixMs));
        using SqliteDataReader rows = command.ExecuteReader();
        while (rows.Read())
        {
            each(Row(rows));
        }

        return true;
    });

    // A transaction that only reads takes no lock.
    public T Edit<T>(Func<IClientTransaction, T> work) => Use(() => InTransaction(() => work(this), "BEGIN"));

    public ClientState? Find(string clientId) => Use(() => FindOne(clientId));

    public List<string> Page(string after, string contains, int limit) => Use(() =>
    {
        using SqliteCommand command = Command(
            """
            SELECT client_id FROM clients
            WHERE client_id > $after AND ($contains = '' OR instr(lower(client_id), lower($contains)) > 0)
            ORDER BY client_id LIMIT $limit
            """,
            ("$after", after), ("$contains", contains), ("$limit", limit));
        using SqliteDataReader rows = command.ExecuteReader();
        var ids = new List<string>();
        while (rows.Read())
        {
            ids.Add(rows.GetString(0));
        }

        return ids;
    });

    public void SaveTokens(IEnumerable<ClientState> clients) => Use(() => InTransaction(() =>
    {
        foreach (ClientState client in clients)
        {
            _saveTokens.Parameters["$at"].Value = NowUnixMs; // later than the read, so no refill is counted twice
            _saveTokens.Parameters["$id"].Value = client.ClientId;
            _saveTokens.Parameters["$tokens"].Value = client.Tokens;
            _saveTokens.ExecuteNonQuery();
        }
        return true;
    }));

    // Writes a page, but changes no row.
    public void Probe() => Use(() => InTransaction(() => Execute(
        $"UPDATE clients SET tokens = tokens WHERE client_id = ''; PRAGMA user_version = {Migrations.Length}")));

    public void Dispose()
    {
        lock (_lock)
        {
            if (_closed)
            {
                return;
            }

            _closed = true;
            _saveTokens.Dispose();
            _connection.Dispose();
            _file?.Dispose();
        }
    }

    private static ClientState Row(SqliteDataReader row) =>
        new(row.GetString(0), new(row.GetInt64(1), row.GetDouble(2)), row.GetDouble(3),
            TermsText.Of(row.IsDBNull(4) ? null : row.GetString(4), row.GetString(5), row.GetBoolean(6),
                row.IsDBNull(7) ? null : row.GetString(7)));

    private ClientState? FindOne(string clientId)
    {
        using SqliteCommand command = Command(
            $"SELECT {Columns} FROM planned_clients WHERE client_id = $id", ("$now", NowUnixMs), ("$id", clientId));
        using SqliteDataReader rows = command.ExecuteReader();
        return rows.Read() ? Row(rows) : null;
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

            if (_lockedFault is not null && Environment.TickCount64 < _lockedUntilMs)
            {
                throw new StoreException(_lockedFault);
            }

            _lockedFault = null;
            try
            {
                return MakingRoom(work);
            }
            catch (SqliteException e)
            {
                string cause = Cause(e);
                if (e.SqliteErrorCode is raw.SQLITE_BUSY or raw.SQLITE_LOCKED)
                {
                    (_lockedFault, _lockedUntilMs) = (cause, Environment.TickCount64 + LockedMs);
                }

                throw new StoreException(cause, e);
            }
        }
    }

    /// <summary>If the disk is full and the write-ahead log is large, empties the log and does the work a second time.
    /// A small log is left as it is: emptying it would make room for one edit, but not for the next.</summary>
    private T MakingRoom<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (SqliteException e) when (e.SqliteErrorCode == raw.SQLITE_FULL
            && new FileInfo(_connection.DataSource + "-wal") is { Exists: true, Length: >= LargeLogBytes })
        {
            Execute("PRAGMA wal_checkpoint(TRUNCATE)");
            return work();
        }
    }

    /// <summary>Does all of the work or nothing. It does not use SqliteTransaction: when SQLite rolls back by itself,
    /// for example on a full disk, that object stays attached to the connection and no other transaction can begin.
    /// </summary>
    private T InTransaction<T>(Func<T> work, string begin = "BEGIN IMMEDIATE")
    {
        Execute(begin);
        try
        {
            T result = work();
            Execute("COMMIT");
            return result;
        }
        catch when (raw.sqlite3_get_autocommit(_connection.Handle) == 0)
        {
            Execute("ROLLBACK");
            throw;
        }
    }

    private static string Cause(SqliteException e) => e.SqliteErrorCode switch
    {
        raw.SQLITE_FULL => "the disk is full",
        raw.SQLITE_READONLY => "the file is read-only",
        raw.SQLITE_BUSY or raw.SQLITE_LOCKED => "the file is locked by another program",
        raw.SQLITE_IOERR => "the file cannot be written (disk I/O error): is its file system read-only or failing?",
        _ => e.Message,
    };

    private void Migrate(string path)
    {
        InTransaction(() =>
        {
            using SqliteCommand command = Command("PRAGMA user_version");
            int version = Convert.ToInt32(command.ExecuteScalar());
            IsNew = version == 0;
            if (version > Migrations.Length)
            {
                throw new StartException($"store {path}: its schema is version {version}, this Penstock knows up to "
                    + $"{Migrations.Length}: a newer Penstock wrote it; start that version or use another file");
            }
            foreach (string sql in Migrations[version..].Append($"PRAGMA user_version = {Migrations.Length}"))
            {
                command.CommandText = sql;
                command.ExecuteNonQuery();
            }
            return true;
        });

        // Copy all pages into the file now, so that the log can be emptied later even on a full disk.
        Execute("PRAGMA wal_checkpoint(PASSIVE)");
    }

    private int Execute(string sql, params ReadOnlySpan<(string Name, object Value)> parameters)
    {
        using SqliteCommand command = Command(sql, parameters);
        return command.ExecuteNonQuery();
    }

    private SqliteCommand Command(string sql, params ReadOnlySpan<(string Name, object Value)> parameters)
    {
        SqliteCommand command = _connection.CreateCommand();
        command.CommandText = sql;
        foreach ((string? name, object? value) in parameters)
        {
            command.Parameters.AddWithValue(name, value);
        }

        return command;
    }

    private static string Explain(SqliteException e, string path) => e.SqliteErrorCode switch
    {
        raw.SQLITE_CANTOPEN when Directory.Exists(path) => "is a directory, not a file",
        raw.SQLITE_CANTOPEN when Path.GetDirectoryName(Path.GetFullPath(path)) is { } directory =>
            Directory.Exists(directory)
                ? $"cannot be opened or created: is {directory} writable for this user?"
                : $"directory {directory} does not exist",
        raw.SQLITE_READONLY => "is read-only: Penstock must be able to write the file and its directory",
        raw.SQLITE_NOTADB => "is not an SQLite database",
        raw.SQLITE_BUSY => "is locked by another program",
        _ => e.Message,
    };
}
