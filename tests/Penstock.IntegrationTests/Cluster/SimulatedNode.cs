using System.Runtime.CompilerServices;
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
    private const int WaitMs = 30;
    private const int WaitJitterMs = 10;
    private const int IdleWaitMs = 500;

    private readonly SimulatedTime _time;
    private readonly SimulatedBuckets _buckets;
    private readonly Random _random;
    private readonly Leases _leases;
    private readonly List<LeaseAsk> _asks = [];
    private readonly List<LeaseGrant> _grants = [];
    private readonly LeasedClient[] _clients;
    private readonly int _nodes;
    private Phase _phase = Phase.Pausing;
    private long _phaseEndNs;

    public SimulatedNode(SimulatedTime time, SimulatedBuckets buckets, IReadOnlyList<LimitConfig> limits, int rank,
        int nodes, Random random)
    {
        (_time, _buckets, _nodes, _random) = (time, buckets, nodes, random);
        var limiter = new Limiter(new() { Listeners = [], Upstreams = [], Routes = [] }, new MonotonicClock(time));
        _leases = limiter.ShareTokens();
        _leases.Rank = rank;
        _clients = new LeasedClient[limits.Count];
        for (var i = 0; i < limits.Count; i++)
        {
            var id = IdOf(i);
            _leases.Apply(new(id, limits[i], limits[i].Capacity, Full: true, Version: 1, Epoch: 1));
            _clients[i] = limiter.FindLeased(id)!;
        }
        _phaseEndNs = random.Next(MinTickMs + WaitMs) * MsNs; // nodes are not in step
    }

    private enum Phase
    {
        Pausing,
        Asking,
        Waiting,
    }

    /// <summary>From the ask to the answer.</summary>
    public long StatementNs { get; init; } = 2 * MsNs;

    public static string IdOf(int client) => "client-" + client.ToString("d7");

    public bool TryTake(int client) => _clients[client].TryTake(_time.NowNs, 1, out _, out _);

    /// <summary>Tokens of that client at this node.</summary>
    public long BalanceOf(int client) => _clients[client].Balance;

    /// <summary>Does what the lease thread does at this moment.</summary>
    public void Step()
    {
        var now = _time.NowNs;
        if (_phase == Phase.Waiting && Woken(_leases) != 0) _phaseEndNs = now;
        if (now < _phaseEndNs) return;
        switch (_phase)
        {
            case Phase.Waiting:
                Woken(_leases) = 0;
                Enter(Phase.Pausing, MinTickMs * MsNs);
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
                _buckets.Lease(_asks, _grants, _nodes, now);
                Enter(Phase.Asking, StatementNs);
                break;
            default:
                _leases.Grant(_grants);
                Wait();
                break;
        }
    }

    private void Wait() => Enter(Phase.Waiting,
        (_leases.ActiveClients > 0 ? WaitMs + _random.Next(-WaitJitterMs, WaitJitterMs) : IdleWaitMs) * MsNs);

    private void Enter(Phase phase, long lengthNs) => (_phase, _phaseEndNs) = (phase, _time.NowNs + lengthNs);

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_woken")]
    private static extern ref int Woken(Leases leases);
}
