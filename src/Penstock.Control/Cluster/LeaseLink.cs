using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Penstock.Control.Store;
using Penstock.Control.Telemetry;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Cluster;

/// <summary>The lease thread: every tick it asks the database for the tokens that this node's clients need, and every
/// second it says that the node is here. While the database is away it gives the clients this node's share from memory
/// and tries to come back (<see cref="LinkState"/>). It has a thread of its own, so that neither a slow database nor a
/// busy thread pool can stop the clients' tokens.</summary>
internal sealed class LeaseLink : IAsyncDisposable
{
    /// <summary>A statement without an answer for so long is waited for no longer: the node goes on with its share.
    /// What the answer brings when it comes pays for that first.</summary>
    public const int PatienceMs = 5000;

    /// <summary>Between two statements, when nobody is short of tokens: about this long, so that nodes that started
    /// together do not stay in step, where the same one would always come first.</summary>
    private const int TickMs = 50;
    private const int TickJitterMs = 20;

    /// <summary>Between two statements on average at least, however many requests come. Some may follow each other at
    /// once: a request that waits need not wait for more than the answer, and a burst soon has tokens ahead.</summary>
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

    /// <summary>Told the version of the last edit of any client, every second.</summary>
    public Action<long> SawVersion { get; set; } = static _ => { };

    private static long NowMs => Environment.TickCount64;

    /// <summary>Makes this node known, before any client is.</summary>
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

    /// <summary>Gives back the unused tokens and says that the node is gone.</summary>
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
            // then the tokens are lost, and the node is forgotten after ten seconds
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
                _log.LogError(Events.LeaseBug, e, "bug in Penstock: the lease thread failed, and connects anew");
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

    /// <summary>Asks for what there is to ask.</summary>
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
            dueMs *= 2; // who waits need not wait for that, too
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

    /// <summary>This node's share, and one try at a time to come back.</summary>
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

    /// <summary>Lets the database see this node, over a new connection.</summary>
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
        _leases.GrantShare(_state.Alive); // at once: requests may wait
        On(LinkEvent.Broken, PostgresStore.Explain(e));
    }

    /// <summary>Goes over to the next state, and tells when the database is gone, or back.</summary>
    private void On(LinkEvent what, string cause = "")
    {
        LinkState before = _link;
        _link = before.After(what);
        if (_link.IsAway() && !before.IsAway())
        {
            _settlement ??= new(_state.Nodes.Where(node => node.Alive).Select(node => node.NodeId).ToHashSet());
            _state = _state with { Fault = cause, ChangedAt = _time.GetUtcNow() };
            _log.LogError(Events.DatabaseLost,
                "database unreachable: {Cause}. Until it is back this node grants its share of "
                + "each limit, as one of {Count} nodes, and rejects edits", cause, _state.Alive);
        }
        else if (!_link.IsAway() && before.IsAway())
        {
            ClusterNode? self = _state.Nodes.FirstOrDefault(node => node.NodeId == _state.NodeId);
            _settlement!.Begin(self?.LastSeen ?? default, NowMs);
            _state = _state with { Fault = null, ChangedAt = _time.GetUtcNow() };
            _log.LogInformation(Events.DatabaseBack,
                "database reachable again: this node shares limits with {Count} other "
                + "nodes", _state.Alive - 1);
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

    /// <param name="Seen">What a heartbeat brought; null: there was none.</param>
    private sealed record Answer((List<ClusterNode> Nodes, long LastVersion)? Seen, List<LeaseGrant> Grants);

    /// <summary>The connection to the database.</summary>
    private abstract record Wire
    {
        public abstract void Close();
    }

    /// <summary>It can be asked.</summary>
    private sealed record Idle(LeaseConnection Connection) : Wire
    {
        public override void Close() => Connection.Dispose();
    }

    /// <summary>A statement is under way.</summary>
    private sealed record Asking(LeaseConnection Connection, Task<Answer> Answer, long SinceMs) : Wire
    {
        public override void Close() => Connection.Dispose();
    }

    /// <summary>There is none.</summary>
    /// <param name="Opening">The try to open one; null: none is under way.</param>
    /// <param name="RetryMs">When the next try may be made.</param>
    /// <param name="PauseMs">How long that was after the try before; 0: there was none.</param>
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
