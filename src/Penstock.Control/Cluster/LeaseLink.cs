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

    /// <summary>Between two statements on average at least, however many requests come. Some may follow each other at
    /// once: a request that waits need not wait for more than the answer, and a burst soon has tokens ahead.</summary>
    private const int MinTickMs = 20;
    private const int MaxAtOnce = 10;
    private const int HeartbeatMs = 1000;
    private const int MaxRetryMs = 1000;

    /// <summary>A statement without an answer for so long is waited for no longer: the node goes on with its share.
    /// What the answer brings when it comes pays for that first.</summary>
    private const int PatienceMs = 5000;

    /// <summary>When the database is back a node pays its debts and goes on with its share until all the others are
    /// back, too: who took what came back meanwhile before they have paid would take what they have given out. Then,
    /// after this time for their payment, or when one has not come for so long, it leases again.</summary>
    private const int SettleMs = 300;
    private const int MaxSettleMs = 10_000;
    private const int SettlingHeartbeatMs = 200;

    private readonly PostgresUrl _url;
    private readonly string _version;
    private readonly Leases _leases;
    private readonly TimeProvider _time;
    private readonly ILogger<LeaseLink> _log;
    private readonly ManualResetEventSlim _stop = new(false);
    private readonly Thread _thread;
    private readonly List<LeaseAsk> _asks = [];
    private readonly TaskCompletionSource _ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Pace _pace = new(MinTickMs, MaxAtOnce, Stopwatch.Frequency);
    private volatile ClusterState _state;
    private LeaseConnection? _connection;
    private Task<Answer>? _turn;
    private long _turnAt;

    // While the debts of an outage are paid: the others of before, when it was over, when the last of them was back.
    private HashSet<string> _awaited = [];
    private DateTimeOffset _overAt;
    private long _backAt = -1;
    private long _allBackAt = -1;
    private Task<LeaseConnection>? _connecting;
    private long _heartbeatAt;
    private long _retryAt;
    private int _retryMs;

    private LeaseLink(
        PostgresUrl url, Leases leases, string version, TimeProvider time, ILogger<LeaseLink> log)
    {
        (_url, _leases, _version, _time, _log) = (url, leases, version, time, log);
        _thread = new Thread(Run) { Name = "penstock-leases", IsBackground = true };
        var id = $"{Environment.MachineName}-{Environment.ProcessId}-{Random.Shared.Next(0x10000):x4}";
        _state = new(id, null, time.GetUtcNow(), []);
    }

    public ClusterState State => _state;

    /// <summary>Told the version of the last edit of any client, every second.</summary>
    public Action<long> SawVersion { get; set; } = static _ => { };

    /// <summary>Makes this node known, before any client is.</summary>
    /// <exception cref="StoreException">The database cannot be reached.</exception>
    public static LeaseLink Join(
        PostgresUrl url, Leases leases, string version, TimeProvider time, ILogger<LeaseLink> log)
    {
        var link = new LeaseLink(url, leases, version, time, log);
        try
        {
            link._connection = LeaseConnection.Open(url);
            link.TakeOver(link.AskAsync(link._connection, heartbeat: true, []).GetAwaiter().GetResult());
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
            if (_connection is not null && _turn is null)
                await LeaveAsync(_connection).WaitAsync(TimeSpan.FromMilliseconds(PatienceMs));
        }
        catch (Exception e) when (e is TimeoutException || PostgresStore.IsFault(e))
        {
            // then the tokens are lost, and the node is forgotten after ten seconds
        }
        _connection?.Dispose();
        if (_connecting is { IsCompletedSuccessfully: true }) (await _connecting).Dispose();
        _stop.Dispose();
    }

    private void Run()
    {
        while (!_stop.IsSet)
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
            }
            catch (Exception e)
            {
                _log.LogError(LeaseBug, e, "leasing tokens met an error of our own");
                Lose(e);
            }
            Rest();
        }
        _ended.SetResult();
    }

    /// <summary>Waits for the next tick's time, or for a request that is in need, and then as long as it must be
    /// between two statements.</summary>
    private void Rest()
    {
        var wait = _leases.ActiveClients > 0 || _connection is null
            ? TickMs + Random.Shared.Next(-TickJitterMs / 2, TickJitterMs / 2)
            : HeartbeatMs / 2;
        _leases.WaitForNeed(TimeSpan.FromMilliseconds(wait));
        var pauseMs = _state.Fault is null ? _pace.WaitMs(Stopwatch.GetTimestamp()) : MinTickMs;
        if (pauseMs > 0) _stop.Wait(pauseMs);
    }

    private void Tick(LeaseConnection connection)
    {
        if (_turn is null) Begin(connection);
        if (_turn is null) return;
        if (!IsAnswered(_turn))
        {
            _leases.GrantShare(_state.Alive);
            Alone($"no answer for {(int)Stopwatch.GetElapsedTime(_turnAt).TotalSeconds} s");
            return;
        }
        var turn = _turn;
        _turn = null;
        TakeOver(turn.GetAwaiter().GetResult());
        Back();
    }

    /// <summary>Asks for what there is to ask.</summary>
    private void Begin(LeaseConnection connection)
    {
        var settling = IsSettling();
        var dueMs = settling ? SettlingHeartbeatMs : HeartbeatMs;
        if (_leases.Waiting > 0) dueMs *= 2; // who waits need not wait for that, too
        var due = Stopwatch.GetElapsedTime(_heartbeatAt).TotalMilliseconds >= dueMs;
        _asks.Clear();
        if (settling)
        {
            _leases.GrantShare(_state.Alive);
            _leases.PlanDebts(_asks);
        }
        else
        {
            _leases.Plan(_asks);
        }
        if (!due && _asks.Count == 0) return;
        _turnAt = Stopwatch.GetTimestamp();
        _pace.Take(_turnAt);
        _turn = AskAsync(connection, due, _asks);
    }

    private async Task<Answer> AskAsync(LeaseConnection connection, bool heartbeat, List<LeaseAsk> asks)
    {
        (List<ClusterNode>, long)? seen = heartbeat ? await connection.HeartbeatAsync(_state.NodeId, _version) : null;
        return new(seen, asks.Count == 0 ? [] : await connection.LeaseAsync(asks));
    }

    private bool IsSettling()
    {
        if (_backAt < 0) return false;
        if (_allBackAt < 0 && _state.Nodes.Count(node => _awaited.Contains(node.NodeId) && node.LastSeen > _overAt)
            == _awaited.Count)
            _allBackAt = Stopwatch.GetTimestamp();
        if (Stopwatch.GetElapsedTime(_backAt).TotalMilliseconds < MaxSettleMs
            && (_allBackAt < 0 || Stopwatch.GetElapsedTime(_allBackAt).TotalMilliseconds < SettleMs))
            return true;
        _backAt = -1;
        return false;
    }

    /// <summary>Waits for it, for as long as the clients' tokens may.</summary>
    private bool IsAnswered(Task turn)
    {
        var leftMs = PatienceMs - Stopwatch.GetElapsedTime(_turnAt).TotalMilliseconds;
        return turn.IsCompleted || (leftMs > 0 && Task.WaitAny([turn], (int)leftMs) == 0);
    }

    private void TakeOver(Answer answer)
    {
        if (answer.Seen is var (nodes, lastVersion))
        {
            _heartbeatAt = Stopwatch.GetTimestamp();
            _state = _state with { Nodes = nodes };
            SawVersion(lastVersion);
        }
        _leases.Grant(answer.Grants);
        if (_asks.Count == 0) return;
        _state = _state with
        {
            LeaseStatements = _state.LeaseStatements + 1,
            LeasedTokens = _state.LeasedTokens + answer.Grants.Sum(grant => grant.Granted),
        };
    }

    /// <summary>The database is away: this node's share, and one try at a time to come back.</summary>
    private void TickAlone()
    {
        _leases.GrantShare(_state.Alive);
        if (_connecting is null)
        {
            if (Stopwatch.GetElapsedTime(_retryAt).TotalMilliseconds < _retryMs) return;
            _connecting = Task.Factory.StartNew(
                () => LeaseConnection.Open(_url), CancellationToken.None,
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
        TakeOver(AskAsync(_connection, heartbeat: true, []).GetAwaiter().GetResult());
        _retryMs = 0;
        Back();
    }

    private void Lose(Exception e)
    {
        _turn = null;
        _leases.NoAnswer();
        _connection?.Dispose();
        _connection = null;
        _leases.GrantShare(_state.Alive); // at once: requests may wait
        Alone(PostgresStore.Explain(e));
    }

    private void Alone(string cause)
    {
        if (_state.Fault is not null) return;
        if (_backAt < 0) // else those are awaited still
            _awaited = [.. _state.Nodes.Where(node => node.Alive).Select(node => node.NodeId)];
        _state = _state with { Fault = cause, ChangedAt = _time.GetUtcNow() };
        _log.LogError(DatabaseLost, "database is out of reach: {Cause}; this node goes on with its share of each limit "
            + "({Count} nodes), edits are refused", cause, _state.Alive);
    }

    private void Back()
    {
        if (_state.Fault is null) return;
        _backAt = Stopwatch.GetTimestamp();
        _allBackAt = -1;
        _overAt = _state.Nodes.FirstOrDefault(node => node.NodeId == _state.NodeId)?.LastSeen ?? default;
        _state = _state with { Fault = null, ChangedAt = _time.GetUtcNow() };
        _log.LogInformation(DatabaseBack, "database is back: limits are shared with {Count} other nodes again",
            _state.Alive - 1);
    }

    private async Task LeaveAsync(LeaseConnection connection)
    {
        _asks.Clear();
        _leases.TakeAll(_asks);
        foreach (var chunk in _asks.Chunk(Leases.MaxAsks))
            await connection.LeaseAsync(chunk);
        await connection.LeaveAsync(_state.NodeId);
    }

    /// <param name="Seen">What a heartbeat brought; null: there was none.</param>
    private sealed record Answer((List<ClusterNode> Nodes, long LastVersion)? Seen, List<LeaseGrant> Grants);
}
