using System.Runtime.CompilerServices;
using Penstock.Control.Cluster;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>The clock of a simulation.</summary>
internal sealed class SimulatedTime : TimeProvider
{
    public long NowNs { get; set; }

    public override long TimestampFrequency => 1_000_000_000;

    public override long GetTimestamp() => NowNs;
}

/// <summary>One node of a simulation: the real limiter and leases, and the lease thread's waiting (as in
/// <c>LeaseLink.Run</c>) in virtual time.</summary>
internal sealed class SimulatedNode
{
    private const long MsNs = 1_000_000;
    private const int MinTickMs = 20;
    private const int AtOnce = 10;
    private const int WaitMs = 50;
    private const int WaitJitterMs = 10;
    private const int IdleWaitMs = 500;
    private const int PatienceMs = 100;

    private readonly SimulatedTime _time;
    private readonly SimulatedBuckets _buckets;
    private readonly Random _random;
    private readonly Action<int> _admitted;
    private readonly Leases _leases;
    private readonly List<LeaseAsk> _asks = [];
    private readonly List<LeaseGrant> _grants = [];
    private readonly LeasedBucket[] _clients;
    private readonly Queue<Waiter> _waiting = [];
    private readonly Pace _pace = new(MinTickMs, AtOnce, 1_000_000_000);
    private readonly int _nodes;
    private Phase _phase = Phase.Pausing;
    private long _phaseEndNs;

    /// <param name="admitted">Called with the client of each admitted request.</param>
    public SimulatedNode(SimulatedTime time, SimulatedBuckets buckets, IReadOnlyList<LimitConfig> limits, int nodes,
        Random random, Action<int> admitted)
    {
        (_time, _buckets, _nodes, _random, _admitted) = (time, buckets, nodes, random, admitted);
        var limiter = new Limiter(new() { Listeners = [], Upstreams = [], Routes = [] }, new MonotonicClock(time),
            sharesTokens: true);
        _leases = limiter.Leases!;
        _clients = new LeasedBucket[limits.Count];
        for (int i = 0; i < limits.Count; i++)
        {
            string id = IdOf(i);
            limiter.Clients.Put(new(id, limits[i], limits[i].Capacity, Version: 1, Epoch: 1));
            _clients[i] = limiter.LeasedBucketOf(id);
        }
        _phaseEndNs = random.Next(WaitMs) * MsNs; // nodes are not in step
    }

    private enum Phase
    {
        Pausing,
        Asking,
        Waiting,
    }

    /// <summary>The time from a statement to its answer.</summary>
    public long StatementNs { get; init; } = 2 * MsNs;

    /// <summary>Requests that waited, and those of them that were not answered in time.</summary>
    public int Waited { get; private set; }

    public int WaitedInVain { get; private set; }

    public static string IdOf(int client) => "client-" + client.ToString("d7");

    /// <summary>A request arrives, and is admitted, rejected, or waits.</summary>
    public void Request(int client)
    {
        long now = _time.NowNs;
        LeasedBucket bucket = _clients[client];
        if (bucket.TryTake(now, 1, out _, out _))
        {
            _admitted(client);
            return;
        }
        if (bucket.Awaitable(now, 1) is null)
        {
            return;
        }

        var waiter = new Waiter(this, client);
        if (bucket.Enter(waiter, 1, now) is { } taken)
        {
            if (taken)
            {
                _admitted(client);
            }

            return;
        }
        Waited++;
        _waiting.Enqueue(waiter);
    }

    /// <summary>Tokens of that client at this node.</summary>
    public long BalanceOf(int client) => _clients[client].Balance;

    /// <summary>Does what the lease thread does at this moment.</summary>
    public void Step()
    {
        long now = _time.NowNs;
        EndWaits(now);
        if (_phase == Phase.Waiting && Woken(_leases) != 0)
        {
            _phaseEndNs = now;
        }

        if (now < _phaseEndNs)
        {
            return;
        }

        switch (_phase)
        {
            case Phase.Waiting:
                Woken(_leases) = 0;
                Enter(Phase.Pausing, _pace.WaitMs(now) * MsNs);
                break;
            case Phase.Pausing:
                _asks.Clear();
                _grants.Clear();
                _leases.Plan(_asks);
                if (_asks.Count == 0)
                {
                    Wait();
                    break;
                }
                _pace.Take(now);
                _buckets.Lease(_asks, _grants, _nodes, now);
                Enter(Phase.Asking, StatementNs);
                break;
            default:
                _leases.Grant(_grants);
                Wait();
                break;
        }
    }

    private void EndWaits(long now)
    {
        while (_waiting.TryPeek(out Waiter? first) && first.SinceNs + (PatienceMs * MsNs) <= now)
        {
            _waiting.Dequeue();
            if (!_clients[first.Client].Leave(first))
            {
                continue; // it has its answer
            }

            WaitedInVain++;
            _leases.NoteWaitedInVain(now);
        }
    }

    private void Wait() => Enter(Phase.Waiting,
        (_leases.ActiveClients > 0 ? WaitMs + _random.Next(-WaitJitterMs, WaitJitterMs) : IdleWaitMs) * MsNs);

    private void Enter(Phase phase, long lengthNs) => (_phase, _phaseEndNs) = (phase, _time.NowNs + lengthNs);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_woken")]
    private static extern ref int Woken(Leases leases);

    private sealed class Waiter(SimulatedNode node, int client) : TokenWaiter
    {
        public int Client => client;

        public long SinceNs { get; } = node._time.NowNs;

        public override void Answer(bool granted)
        {
            if (granted)
            {
                node._admitted(client);
            }
        }
    }
}
