using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Penstock.Control.Store;
using Penstock.Control.Telemetry;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Cluster;

/// <summary>The lease thread: every tick it asks the database for the tokens that this node's clients need, and every
/// second it sends a heartbeat. While the database is unreachable it grants the clients this node's share from memory
/// and tries to reconnect (<see cref="LinkState"/>). It runs on a dedicated thread, so that neither a slow database nor
/// a busy thread pool can stop the clients' tokens.</summary>
internal sealed class LeaseLink : IAsyncDisposable
{
    /// <summary>After this time without an answer to a statement, the node grants its share from memory. When the
    /// answer arrives, its tokens first repay what the node has granted in this way.</summary>
    public const int PatienceMs = 5000;

    /// <summary>The time between two statements while no client is short of tokens. It varies by the jitter, because
    /// nodes that started together would otherwise stay in step, and the same node would always be first.</summary>
    private const int TickMs = 50;
    private const int TickJitterMs = 20;

    /// <summary>The minimum time between two statements on average, however many requests arrive. Up to
    /// <see cref="MaxAtOnce"/> statements may follow each other without a pause, so that a waiting request waits only
    /// for the answer, and a burst soon has tokens in advance.</summary>
    private const int MinTickMs = 20;
    private const int MaxAtOnce = 10;
    private const int HeartbeatMs = 1000;
    private const int SettlingHeartbeatMs = 200;
    private const int MinRetryMs = 50;
    private const int MaxRetryMs = 1000;

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
    private Wire _wire;
    private LinkState _link = LinkState.Connected;
    private Settlement? _settlement;
    private long _heartbeatMs;

    private LeaseLink(PostgresUrl url, Leases leases, string version, TimeProvider time, ILogger<LeaseLink> log)
    {
        (_url, _leases, _version, _time, _log) = (url, leases, version, time, log);
        _wire = new Down(null, NowMs, 0);
        _thread = new Thread(Run) { Name = "penstock-leases", IsBackground = true };
        string id = $"{Environment.MachineName}-{Environment.ProcessId}-{Random.Shared.Next(0x10000):x4}";
        _state = new(id, null, time.GetUtcNow(), []);
    }

    public ClusterState State => _state;

    /// <summary>Called with the version of the last edit of any client, every second.</summary>
    public Action<long> SawVersion { get; set; } = static _ => { };

    private static long NowMs => Environment.TickCount64;

    /// <summary>Registers this node in the database, before any client is loaded.</summary>
    /// <exception cref="StoreException">The database cannot be reached.</exception>
    public static LeaseLink Join(
        PostgresUrl url, Leases leases, string version, TimeProvider time, ILogger<LeaseLink> log)
    {
        var link = new LeaseLink(url, leases, version, time, log);
        LeaseConnection? connection = null;
        try
        {
            connection = LeaseConnection.Open(url);
            link.Greet(connection);
            return link;
        }
        catch (Exception e) when (PostgresStore.IsFault(e))
        {
            connection?.Dispose();
            throw new StoreException(PostgresStore.Explain(e), e);
        }
    }

    public void Start() => _thread.Start();

    /// <summary>Gives back the unused tokens and removes this node from the database.</summary>
    public async ValueTask DisposeAsync()
    {
        _stop.Set();
        _leases.Wake();
        if (_thread.IsAlive)
        {
            await _ended.Task;
        }

        try
        {
            if (_wire is Idle idle)
            {
                await LeaveAsync(idle.Connection).WaitAsync(TimeSpan.FromMilliseconds(PatienceMs));
            }
        }
        catch (Exception e) when (e is TimeoutException || PostgresStore.IsFault(e))
        {
            // The tokens are lost, and the other nodes stop counting this node after ten seconds.
        }
        _wire.Close();
        _stop.Dispose();
    }

    private void Run()
    {
        while (!_stop.IsSet)
        {
            try
            {
                Step();
            }
            catch (Exception e) when (PostgresStore.IsFault(e))
            {
                Lose(e);
            }
            catch (Exception e)
            {
                _log.LogError(Events.LeaseBug, e,
                    "bug in Penstock: the lease thread failed; it reconnects to the database");
                Lose(e);
            }
            Rest();
        }
        _ended.SetResult();
    }

    /// <summary>Waits for the next tick or for a request that needs tokens, then for the minimum time between two
    /// statements.</summary>
    private void Rest()
    {
        int wait = _leases.ActiveClients > 0 || _wire is Down
            ? TickMs + Random.Shared.Next(-TickJitterMs / 2, TickJitterMs / 2)
            : HeartbeatMs / 2;
        _leases.WaitForNeed(TimeSpan.FromMilliseconds(wait));
        int pauseMs = _link.IsAway() ? MinTickMs : _pace.WaitMs(Stopwatch.GetTimestamp());
        if (pauseMs > 0)
        {
            _stop.Wait(pauseMs);
        }
    }

    private void Step()
    {
        if (_wire is Idle idle)
        {
            Ask(idle.Connection);
        }

        switch (_wire)
        {
            case Asking asking:
                AwaitAnswer(asking);
                break;
            case Down down:
                Reconnect(down);
                break;
        }
    }

    /// <summary>Sends the next statement, if a client needs tokens or a heartbeat is due.</summary>
    private void Ask(LeaseConnection connection)
    {
        if (_link == LinkState.Settling && _settlement!.IsOver(_state.Nodes, NowMs))
        {
            On(LinkEvent.Settled);
        }

        bool settles = _link == LinkState.Settling;
        _asks.Clear();
        if (settles)
        {
            _leases.GrantShare(_state.Alive);
            _leases.PlanDebts(_asks);
        }
        else
        {
            _leases.Plan(_asks);
        }
        int dueMs = settles ? SettlingHeartbeatMs : HeartbeatMs;
        if (_leases.Waiting > 0)
        {
            dueMs *= 2; // a waiting request should not also wait for the heartbeat
        }

        bool due = NowMs - _heartbeatMs >= dueMs;
        if (!due && _asks.Count == 0)
        {
            return;
        }

        _pace.Take(Stopwatch.GetTimestamp());
        _wire = new Asking(connection, AskAsync(connection, due, _asks), NowMs);
    }

    /// <summary>Waits for the answer, up to <see cref="PatienceMs"/> after it was asked.</summary>
    private void AwaitAnswer(Asking asking)
    {
        long leftMs = PatienceMs - (NowMs - asking.SinceMs);
        if (!asking.Answer.IsCompleted && (leftMs <= 0 || Task.WaitAny([asking.Answer], (int)leftMs) < 0))
        {
            _leases.GrantShare(_state.Alive);
            On(LinkEvent.Unanswered, $"no answer for {(NowMs - asking.SinceMs) / 1000} s");
            return;
        }
        Answer answer = asking.Answer.GetAwaiter().GetResult();
        _wire = new Idle(asking.Connection);
        Use(answer);
        On(LinkEvent.Answered);
    }

    private async Task<Answer> AskAsync(LeaseConnection connection, bool heartbeat, List<LeaseAsk> asks)
    {
        (List<ClusterNode>, long)? seen = heartbeat ? await connection.HeartbeatAsync(_state.NodeId, _version) : null;
        return new(seen, asks.Count == 0 ? [] : await connection.LeaseAsync(asks));
    }

    private void Use(Answer answer)
    {
        if (answer.Seen is var (nodes, lastVersion))
        {
            _heartbeatMs = NowMs;
            _state = _state with { Nodes = nodes };
            SawVersion(lastVersion);
        }
        _leases.Grant(answer.Grants);
        if (_asks.Count == 0)
        {
            return;
        }

        _state = _state with
        {
            LeaseStatements = _state.LeaseStatements + 1,
            LeasedTokens = _state.LeasedTokens + answer.Grants.Sum(grant => grant.Granted),
        };
    }

    /// <summary>Grants this node's share, and opens one new connection at a time.</summary>
    private void Reconnect(Down down)
    {
        _leases.GrantShare(_state.Alive);
        if (down.Opening is not { } opening)
        {
            if (NowMs < down.RetryMs)
            {
                return;
            }

            _wire = down with
            {
                Opening = Task.Factory.StartNew(() => LeaseConnection.Open(_url), CancellationToken.None,
                    TaskCreationOptions.LongRunning, TaskScheduler.Default),
            };
            return;
        }
        if (!opening.IsCompleted)
        {
            return;
        }

        int pauseMs = Math.Min(MaxRetryMs, Math.Max(MinRetryMs, down.PauseMs * 2)) + Random.Shared.Next(MinRetryMs);
        _wire = new Down(null, NowMs + pauseMs, pauseMs);
        if (!opening.IsCompletedSuccessfully)
        {
            _ = opening.Exception;
            return;
        }
        LeaseConnection connection = opening.Result;
        try
        {
            Greet(connection);
        }
        catch
        {
            connection.Dispose();
            throw;
        }
        On(LinkEvent.Reconnected);
    }

    /// <summary>Sends a heartbeat over a new connection.</summary>
    private void Greet(LeaseConnection connection)
    {
        _asks.Clear();
        Use(AskAsync(connection, heartbeat: true, _asks).GetAwaiter().GetResult());
        _wire = new Idle(connection);
    }

    private void Lose(Exception e)
    {
        _leases.NoAnswer();
        if (_wire is not Down)
        {
            _wire.Close();
            _wire = new Down(null, NowMs, 0);
        }
        _leases.GrantShare(_state.Alive); // now, because requests may be waiting
        On(LinkEvent.Broken, PostgresStore.Explain(e));
    }

    /// <summary>Enters the next state, and logs when the database becomes unreachable or reachable.</summary>
    private void On(LinkEvent what, string cause = "")
    {
        LinkState before = _link;
        _link = before.After(what);
        if (_link.IsAway() && !before.IsAway())
        {
            _settlement ??= new(_state.Nodes.Where(node => node.Alive).Select(node => node.NodeId).ToHashSet());
            _state = _state with { Fault = cause, ChangedAt = _time.GetUtcNow() };
            _log.LogError(Events.DatabaseLost,
                "database unreachable: {Cause}. Until it is reachable again, this node grants its share of each limit "
                + "(number of nodes: {Count}) and rejects edits", cause, _state.Alive);
        }
        else if (!_link.IsAway() && before.IsAway())
        {
            ClusterNode? self = _state.Nodes.FirstOrDefault(node => node.NodeId == _state.NodeId);
            _settlement!.Begin(self?.LastSeen ?? default, NowMs);
            _state = _state with { Fault = null, ChangedAt = _time.GetUtcNow() };
            _log.LogInformation(Events.DatabaseBack,
                "database reachable again: this node shares limits; other nodes: {Count}", _state.Alive - 1);
        }
        else if (_link == LinkState.Connected)
        {
            _settlement = null;
        }
    }

    private async Task LeaveAsync(LeaseConnection connection)
    {
        _asks.Clear();
        _leases.ReclaimAll(_asks);
        foreach (LeaseAsk[] chunk in _asks.Chunk(Leases.MaxAsks))
        {
            await connection.LeaseAsync(chunk);
        }

        await connection.LeaveAsync(_state.NodeId);
    }

    /// <param name="Seen">The result of the heartbeat; null if none was sent.</param>
    private sealed record Answer((List<ClusterNode> Nodes, long LastVersion)? Seen, List<LeaseGrant> Grants);

    /// <summary>The connection to the database.</summary>
    private abstract record Wire
    {
        public abstract void Close();
    }

    /// <summary>It is open, and no statement is running.</summary>
    private sealed record Idle(LeaseConnection Connection) : Wire
    {
        public override void Close() => Connection.Dispose();
    }

    /// <summary>A statement is running.</summary>
    private sealed record Asking(LeaseConnection Connection, Task<Answer> Answer, long SinceMs) : Wire
    {
        public override void Close() => Connection.Dispose();
    }

    /// <summary>There is no connection.</summary>
    /// <param name="Opening">The attempt to open one; null if none is in progress.</param>
    /// <param name="RetryMs">When the next attempt may start.</param>
    /// <param name="PauseMs">The pause before that attempt; 0 before the first one.</param>
    private sealed record Down(Task<LeaseConnection>? Opening, long RetryMs, int PauseMs) : Wire
    {
        public override void Close()
        {
            if (Opening is { IsCompletedSuccessfully: true })
            {
                Opening.Result.Dispose();
            }
        }
    }
}
