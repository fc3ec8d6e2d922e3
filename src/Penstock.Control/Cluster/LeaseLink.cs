using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Penstock.Control.Store;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Cluster;

/// <summary>The lease thread: every tick it asks the database for the tokens that this node's clients need, and every
/// second it says that the node is here. While the database is away it gives the clients this node's share from memory
/// and tries to come back. It has a thread of its own, so that neither a slow database nor a busy thread pool can stop
/// the clients' tokens.</summary>
internal sealed class LeaseLink : IAsyncDisposable
{
    private static readonly EventId DatabaseLost = new(1, "database_lost");
    private static readonly EventId DatabaseBack = new(2, "database_back");
    private static readonly EventId LeaseBug = new(3, "lease_bug");

    /// <summary>Between two statements, when nobody is short of tokens: about this long, so that nodes that started
    /// together do not stay in step, where the same one would always come first.</summary>
    private const int TickMs = 50;
    private const int TickJitterMs = 20;

    /// <summary>Between two statements at least: what bounds them however many requests come.</summary>
    private const int MinTickMs = 20;
    private const int HeartbeatMs = 1000;
    private const int MaxRetryMs = 1000;

    private readonly string _connectionString;
    private readonly string _version;
    private readonly Leases _leases;
    private readonly TimeProvider _time;
    private readonly ILogger<LeaseLink> _log;
    private readonly ManualResetEventSlim _stop = new(false);
    private readonly Thread _thread;
    private readonly List<LeaseAsk> _asks = [];
    private readonly List<LeaseGrant> _grants = [];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile ClusterState _state;
    private LeaseConnection? _connection;
    private Task<LeaseConnection>? _connecting;
    private long _heartbeatAt;
    private long _retryAt;
    private int _retryMs;

    private LeaseLink(
        PostgresUrl url, Leases leases, string version, TimeProvider time, ILogger<LeaseLink> log)
    {
        (_connectionString, _leases, _version, _time, _log) = (url.ConnectionString, leases, version, time, log);
        _thread = new Thread(Run) { Name = "penstock-leases", IsBackground = true };
        var id = $"{Environment.MachineName}-{Environment.ProcessId}-{Random.Shared.Next(0x10000):x4}";
        _state = new(id, null, time.GetUtcNow(), []);
    }

    public ClusterState State => _state;

    /// <summary>Told the version of the last edit of any client, every second.</summary>
    public Action<long> SawVersion { get; set; } = static _ => { };

    /// <summary>Makes this node known, before any client is: full buckets leave room for its credit from now on.
    /// </summary>
    /// <exception cref="StoreException">The database cannot be reached.</exception>
    public static LeaseLink Join(
        PostgresUrl url, Leases leases, string version, TimeProvider time, ILogger<LeaseLink> log)
    {
        var link = new LeaseLink(url, leases, version, time, log);
        try
        {
            link._connection = LeaseConnection.Open(url.ConnectionString);
            link.Heartbeat(link._connection);
            return link;
        }
        catch (Exception e) when (PostgresStore.IsFault(e))
        {
            link._connection?.Dispose();
            throw new StoreException(PostgresStore.Explain(e), e);
        }
    }

    public void Start() => _thread.Start();

    /// <summary>Gives back the unused tokens and says that the node is gone.</summary>
    public async ValueTask DisposeAsync()
    {
        _stop.Set();
        _leases.Wake();
        if (_thread.IsAlive) await _ended.Task;
        try
        {
            if (_connection is not null) Leave(_connection);
        }
        catch (Exception e) when (PostgresStore.IsFault(e))
        {
            // then the tokens are lost, and the node is forgotten after ten seconds
        }
        _connection?.Dispose();
        if (_connecting is { IsCompletedSuccessfully: true }) (await _connecting).Dispose();
        _stop.Dispose();
    }

    private void Run()
    {
        while (!_stop.Wait(MinTickMs))
        {
            try
            {
                if (_connection is { } connection)
                    Tick(connection);
                else
                    TickAlone();
            }
            catch (Exception e) when (PostgresStore.IsFault(e))
            {
                Lose(e);
                continue;
            }
            catch (Exception e)
            {
                _log.LogError(LeaseBug, e, "leasing tokens met an error of our own");
                Lose(e);
            }
            var wait = _leases.ActiveClients > 0 || _connection is null
                ? TickMs - MinTickMs + Random.Shared.Next(-TickJitterMs / 2, TickJitterMs / 2)
                : HeartbeatMs / 2;
            _leases.WaitForNeed(TimeSpan.FromMilliseconds(wait));
        }
        _ended.SetResult();
    }

    private void Tick(LeaseConnection connection)
    {
        if (Stopwatch.GetElapsedTime(_heartbeatAt).TotalMilliseconds >= HeartbeatMs) Heartbeat(connection);
        _asks.Clear();
        _grants.Clear();
        _leases.Plan(_asks);
        if (_asks.Count == 0) return;
        connection.Lease(_asks, _grants);
        _leases.Grant(_grants);
        var state = _state;
        _state = state with
        {
            LeaseStatements = state.LeaseStatements + 1,
            LeasedTokens = state.LeasedTokens + _grants.Sum(grant => grant.Granted),
        };
    }

    private void Heartbeat(LeaseConnection connection)
    {
        var (nodes, lastVersion) = connection.Heartbeat(_state.NodeId, _version);
        _heartbeatAt = Stopwatch.GetTimestamp();
        _state = _state with { Nodes = nodes };
        _leases.Rank = _state.Rank;
        SawVersion(lastVersion);
    }

    /// <summary>The database is away: this node's share, and one try at a time to come back.</summary>
    private void TickAlone()
    {
        _leases.GrantShare(_state.Alive);
        if (_connecting is null)
        {
            if (Stopwatch.GetElapsedTime(_retryAt).TotalMilliseconds < _retryMs) return;
            _connecting = Task.Factory.StartNew(
                () => LeaseConnection.Open(_connectionString), CancellationToken.None,
                TaskCreationOptions.LongRunning, TaskScheduler.Default);
        }
        if (!_connecting.IsCompleted) return;
        var connecting = _connecting;
        _connecting = null;
        if (!connecting.IsCompletedSuccessfully)
        {
            _ = connecting.Exception;
            _retryAt = Stopwatch.GetTimestamp();
            _retryMs = Math.Min(MaxRetryMs, Math.Max(50, _retryMs * 2)) + Random.Shared.Next(50);
            return;
        }
        _connection = connecting.Result;
        Heartbeat(_connection);
        _retryMs = 0;
        _state = _state with { Fault = null, ChangedAt = _time.GetUtcNow() };
        _log.LogInformation(DatabaseBack, "database is back: limits are shared with {Count} other nodes again",
            _state.Alive - 1);
    }

    private void Lose(Exception e)
    {
        _leases.NoAnswer();
        _connection?.Dispose();
        _connection = null;
        if (_state.Fault is not null) return;
        var cause = PostgresStore.Explain(e);
        _state = _state with { Fault = cause, ChangedAt = _time.GetUtcNow() };
        _log.LogError(DatabaseLost, "database is out of reach: {Cause}; this node goes on with its share of each limit "
            + "({Count} nodes), edits are refused", cause, _state.Alive);
    }

    private void Leave(LeaseConnection connection)
    {
        _asks.Clear();
        _leases.TakeAll(_asks);
        foreach (var chunk in _asks.Chunk(Leases.MaxAsks))
            connection.Lease([.. chunk], _grants);
        connection.Leave(_state.NodeId);
    }
}
