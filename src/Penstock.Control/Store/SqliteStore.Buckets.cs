using System.Security.Cryptography;
using Microsoft.Data.Sqlite;
using Penstock.Proxy.RateLimiting;
using SQLitePCL;

namespace Penstock.Control.Store;

/// <content>Buckets of unregistered clients, by the hash of their key.</content>
internal sealed partial class SqliteStore
{
    private const int HashKeyBytes = 16;

    /// <summary>The random key with which client keys are hashed (created at the first call), and when buckets were
    /// last saved.</summary>
    /// <exception cref="StoreException">It cannot be read.</exception>
    public (byte[] HashKey, long SavedAtUnixNs) BucketHash() => Use(() => InTransaction(() =>
    {
        using SqliteCommand command = Command("SELECT key, saved_at_unix_ns FROM bucket_hash");
        using (SqliteDataReader row = command.ExecuteReader())
        {
            if (row.Read())
            {
                return ((byte[])row[0], row.GetInt64(1));
            }
        }
        byte[] key = RandomNumberGenerator.GetBytes(HashKeyBytes);
        Execute("INSERT INTO bucket_hash (key, saved_at_unix_ns) VALUES ($key, 0)", ("$key", key));
        return (key, 0L);
    }));

    /// <summary>Reads every stored bucket: its limit, its hash, and when it is full (Unix nanoseconds).</summary>
    public void LoadBuckets(Action<KeptLimit, ulong, long> each) => Use(() =>
    {
        Dictionary<long, KeptLimit> limits = BucketLimits();
        using SqliteCommand command = Command("SELECT limit_id, hash, full_at_unix_ns FROM buckets");
        using SqliteDataReader rows = command.ExecuteReader();
        while (rows.Read())
        {
            if (limits.TryGetValue(rows.GetInt64(0), out KeptLimit? limit))
            {
                each(limit, (ulong)rows.GetInt64(1), rows.GetInt64(2));
            }
        }
        return true;
    });

    /// <summary>The store's number of a limit; a new limit gets one.</summary>
    public long BucketLimitId(KeptLimit limit) => Use(() =>
    {
        foreach ((long id, KeptLimit? known) in BucketLimits())
        {
            if (known == limit)
            {
                return id;
            }
        }

        Execute("INSERT INTO bucket_limits (name, capacity, rate_per_sec) VALUES ($name, $capacity, $rate)",
            ("$name", limit.Name), ("$capacity", limit.Capacity), ("$rate", limit.RatePerSecond));
        return raw.sqlite3_last_insert_rowid(_connection.Handle);
    });

    /// <summary>Saves buckets and deletes full ones, all or nothing.</summary>
    /// <param name="limitIds">The store's number of each limit, by the limit's index in the changes.</param>
    public void SaveBuckets(ReadOnlyMemory<BucketChange> changes, IReadOnlyDictionary<int, long> limitIds) =>
        Use(() => InTransaction(() =>
        {
            using var put = new Statement(_connection,
                "INSERT OR REPLACE INTO buckets (limit_id, hash, full_at_unix_ns) VALUES (?, ?, ?)");
            using var forget = new Statement(_connection, "DELETE FROM buckets WHERE limit_id = ? AND hash = ?");
            foreach (BucketChange change in changes.Span)
            {
                if (change.FullAtUnixNs == 0)
                {
                    forget.Run(limitIds[change.Limit], (long)change.Hash);
                }
                else
                {
                    put.Run(limitIds[change.Limit], (long)change.Hash, change.FullAtUnixNs);
                }
            }
            Execute("UPDATE bucket_hash SET saved_at_unix_ns = $now", ("$now", NowUnixMs * 1_000_000));
            return true;
        }));

    /// <summary>Deletes the buckets of limits that are not in force.</summary>
    public void ForgetBuckets(Predicate<KeptLimit> isInForce) => Use(() => InTransaction(() =>
    {
        foreach ((long id, KeptLimit? limit) in BucketLimits())
        {
            if (isInForce(limit))
            {
                continue;
            }

            Execute("DELETE FROM buckets WHERE limit_id = $id", ("$id", id));
            Execute("DELETE FROM bucket_limits WHERE limit_id = $id", ("$id", id));
        }
        return true;
    }));

    /// <summary>Deletes the buckets that are full by now.</summary>
    public void ForgetFullBuckets() => Use(() =>
        Execute("DELETE FROM buckets WHERE full_at_unix_ns <= $now", ("$now", NowUnixMs * 1_000_000)));

    private Dictionary<long, KeptLimit> BucketLimits()
    {
        using SqliteCommand command = Command("SELECT limit_id, name, capacity, rate_per_sec FROM bucket_limits");
        using SqliteDataReader rows = command.ExecuteReader();
        var limits = new Dictionary<long, KeptLimit>();
        while (rows.Read())
        {
            if (Limiter.Fault(rows.GetInt64(2), rows.GetDouble(3)) is null)
            {
                limits.Add(rows.GetInt64(0), new(rows.GetString(1), rows.GetInt64(2), rows.GetDouble(3)));
            }
        }
        return limits;
    }

    /// <summary>A prepared statement without the provider's reader and parameters, which cost more than SQLite's work
    /// for a row of three numbers.</summary>
    private sealed class Statement : IDisposable
    {
        private readonly SqliteConnection _connection;
        private readonly sqlite3_stmt _statement;

        public Statement(SqliteConnection connection, string sql)
        {
            _connection = connection;
            SqliteException.ThrowExceptionForRC(
                raw.sqlite3_prepare_v2(connection.Handle, sql, out _statement), connection.Handle);
        }

        public void Run(params ReadOnlySpan<long> values)
        {
            for (int i = 0; i < values.Length; i++)
            {
                raw.sqlite3_bind_int64(_statement, i + 1, values[i]);
            }

            raw.sqlite3_step(_statement);
            SqliteException.ThrowExceptionForRC(raw.sqlite3_reset(_statement), _connection.Handle); // the step's code
        }

        public void Dispose() => _statement.Dispose();
    }
}
