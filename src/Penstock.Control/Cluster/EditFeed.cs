using Microsoft.Extensions.Logging;
using Npgsql;
using Penstock.Control.Store;
using Penstock.Control.Telemetry;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Cluster;

/// <summary>Brings other nodes' edits of clients to this node: the database notifies, and the feed reads what has a
/// higher version than it knows. The version, not the notification, is what counts: nothing is missed after a lost
/// connection. Through a pooler notifications do not come at all, so then the feed asks every
/// <see cref="PollMs"/>.</summary>
internal sealed class EditFeed(
    PostgresUrl url, IClientStore store, ClientDirectory directory, Limiter limiter,
    ILogger<EditFeed> log) : IAsyncDisposable
{
    private const int PageSize = 5000;
    private const int MinRetryMs = 100;
    private const int MaxRetryMs = 1000;
    private const int PollMs = 250;

    /// <summary>The database remembers for a day which clients were deleted.</summary>
    private const long ReloadAfterMs = 12 * 3_600_000;
    private static readonly TimeSpan Wait = TimeSpan.FromSeconds(1);

    private readonly CancellationTokenSource _stop = new();
    private Task _running = Task.CompletedTask;
    private long _version;
    private long _newest;
    private long _readMs;
    private bool _toldOfPooler;

    /// <summary>Every edit up to this version is in force here. Thread-safe.</summary>
    public long Version => Interlocked.Read(ref _version);

    /// <summary>Notes that there is an edit of that version, if nobody notified. Thread-safe.</summary>
    public void Saw(long version) => Interlocked.Exchange(ref _newest, version);

    /// <summary>Reads all clients.</summary>
    /// <param name="each">Told their ids.</param>
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
                // the lease thread has the same trouble and tells it
            }
            catch (Exception e)
            {
                log.LogError(Events.EditFeedBug, e,
                    "bug in Penstock: reading other nodes' edits failed; it is tried again");
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
            "the database is reached through a connection pooler: this node asks for other "
            + "nodes' edits every {PollMs} ms and prepares no statement. A direct address of the database is faster",
            PollMs);
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
                else
                {
                    limiter.Clients.Remove(edit.DeletedId, edit.Version);
                }

                Interlocked.Exchange(ref _version, edit.Version);
            }
        }
        while (edits.Count == PageSize);
    }

    /// <summary>Everything anew: this node was away for longer than deletions are remembered, or the database is not
    /// the one it was (restored from a backup).</summary>
    private void Reload()
    {
        limiter.Clients.AcceptAnyVersion();
        var there = new HashSet<string>();
        Load(id => there.Add(id));
        foreach (string id in limiter.Clients.Ids.Where(id => !there.Contains(id)).ToList())
        {
            limiter.Clients.Remove(id);
        }

        log.LogWarning(Events.ClientsReloaded, "read all clients again: this node may have missed edits");
    }

    private static long Newest(PostgresConnection connection)
    {
        using NpgsqlBatch command = connection.Batch(PostgresStore.StatementTimeoutMs, PostgresSchema.LastVersionSql);
        using NpgsqlDataReader row = PostgresConnection.Read(command);
        row.Read();
        return row.GetInt64(0);
    }
}
