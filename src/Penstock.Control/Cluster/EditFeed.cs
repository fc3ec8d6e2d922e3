using Microsoft.Extensions.Logging;
using Npgsql;
using Penstock.Control.Store;
using Penstock.Control.Telemetry;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Cluster;

/// <summary>Brings edits of clients, plans and backends from other nodes to this node. The database notifies, and the
/// feed reads every edit with a higher version than the last one it has seen. Because the version decides and not the
/// notification, no edit is missed after a lost connection. A pooler passes no notifications on; behind one the feed
/// polls every <see cref="PollMs"/>.</summary>
/// <param name="readBackends">Puts the backends of the store in force.</param>
internal sealed class EditFeed(
    PostgresUrl url, IClientStore store, ClientDirectory directory, Action readBackends, Limiter limiter,
    ILogger<EditFeed> log) : IAsyncDisposable
{
    private const int PageSize = 5000;
    private const int MinRetryMs = 100;
    private const int MaxRetryMs = 1000;
    private const int PollMs = 250;

    /// <summary>After this time without a read, read all clients again: the database remembers deleted clients only
    /// for a day.</summary>
    private const long ReloadAfterMs = 12 * 3_600_000;
    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;
    private long _version;
    private long _newest;
    private long _readMs;
    private bool _toldOfPooler;

    /// <summary>Every edit up to this version is in force at this node. Thread-safe.</summary>
    public long Version => Interlocked.Read(ref _version);

    /// <summary>Notes that an edit of this version exists, in case no notification arrives. Thread-safe.</summary>
    public void Saw(long version) => Interlocked.Exchange(ref _newest, version);

    /// <summary>Reads all clients and backends.</summary>
    /// <param name="each">Called with the id of each client.</param>
    /// <exception cref="StoreException">The store cannot be read.</exception>
    public void Load(Action<string>? each = null)
    {
        _readMs = Environment.TickCount64;
        long version = directory.LoadPlans();
        store.LoadAll(client =>
        {
            version = Math.Max(version, client.Version);
            directory.PutInForce(client);
            each?.Invoke(client.ClientId);
        });
        readBackends();
        Interlocked.Exchange(ref _version, version);
    }

    public void Start() => _running = Task.Run(RunAsync);

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        int retryMs = MinRetryMs;
        while (!_stop.IsCancellationRequested)
        {
            try
            {
                using var connection = PostgresConnection.Open(url);
                await ListenAsync(connection, () => retryMs = MinRetryMs);
            }
            catch (Exception e) when (PostgresStore.IsFault(e) || e is StoreException or OperationCanceledException)
            {
                // The lease thread fails in the same way and logs it.
            }
            catch (Exception e)
            {
                log.LogError(Events.EditFeedBug, e,
                    "bug in Penstock: reading edits of other nodes failed; this node retries");
            }
            await Task.Delay(retryMs, _stop.Token).ContinueWith(static _ => { }, TaskScheduler.Default);
            retryMs = Math.Min(MaxRetryMs, retryMs * 2);
        }
    }

    private async Task ListenAsync(PostgresConnection connection, Action caughtUp)
    {
        if (connection.IsPooled)
        {
            TellOfPooler();
        }
        else
        {
            using var listen = new NpgsqlCommand("LISTEN " + PostgresSchema.Channel, connection.Raw);
            listen.ExecuteNonQuery();
        }
        if (Newest(connection) < Version || Environment.TickCount64 - _readMs > ReloadAfterMs)
        {
            Reload();
        }

        CatchUp(connection);
        caughtUp();
        while (!_stop.IsCancellationRequested)
        {
            if (connection.IsPooled)
            {
                await Task.Delay(PollMs, _stop.Token);
                CatchUp(connection);
            }
            else if (await connection.Raw.WaitAsync(Wait, _stop.Token) || Interlocked.Read(ref _newest) > Version)
            {
                CatchUp(connection);
            }
            _readMs = Environment.TickCount64;
        }
    }

    private void TellOfPooler()
    {
        if (_toldOfPooler)
        {
            return;
        }

        _toldOfPooler = true;
        log.LogInformation(Events.DatabasePooled,
            "the database is reached through a connection pooler: this node polls for edits of other nodes "
            + "every {PollMs} ms and prepares no statement. A direct address of the database is faster", PollMs);
    }

    private void CatchUp(PostgresConnection connection)
    {
        List<StoredEdit> edits;
        do
        {
            edits = PostgresStore.ReadAfter(connection, Version, PageSize);
            foreach (StoredEdit edit in edits)
            {
                if (edit.Plan is { } plan)
                {
                    directory.PutInForce(plan);
                }
                else if (edit.Client is { } client)
                {
                    directory.PutInForce(client);
                }
                else if (edit.DeletedId.Length == 0)
                {
                    readBackends();
                }
                else
                {
                    limiter.Clients.Remove(edit.DeletedId, edit.Version);
                }

                Interlocked.Exchange(ref _version, edit.Version);
            }
        }
        while (edits.Count == PageSize);
    }

    /// <summary>Reads all clients again. Needed when this node was disconnected for longer than deletions are
    /// remembered, or when the database was replaced (restored from a backup).</summary>
    private void Reload()
    {
        limiter.Clients.AcceptAnyVersion();
        var there = new HashSet<string>();
        Load(id => there.Add(id));
        foreach (string id in limiter.Clients.Ids.Where(id => !there.Contains(id)).ToList())
        {
            limiter.Clients.Remove(id);
        }

        log.LogWarning(Events.ClientsReloaded, "read all clients again, because this node may have missed edits");
    }

    private static long Newest(PostgresConnection connection)
    {
        using NpgsqlBatch command = connection.Batch(PostgresStore.StatementTimeoutMs, PostgresSchema.LastVersionSql);
        using NpgsqlDataReader row = PostgresConnection.Read(command);
        row.Read();
        return row.GetInt64(0);
    }
}
