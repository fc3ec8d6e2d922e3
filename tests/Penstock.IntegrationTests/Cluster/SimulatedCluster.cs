using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.IntegrationTests.Cluster;

/// <summary>Many nodes, many clients and their buckets in virtual time, always the same for the same seed. Requests
/// come at random (Poisson), each at a random one of the client's nodes.</summary>
internal sealed class SimulatedCluster
{
    private const long StepNs = 1_000_000;

    private readonly SimulatedTime _time = new();
    private readonly Random _random;
    private readonly SimulatedNode[] _nodes;
    private readonly IReadOnlyList<LimitConfig> _limits;
    private readonly long[] _admitted;
    private readonly double[] _excess;
    private readonly VirtualLimit[] _ideal;
    private readonly long[] _idealWords;
    private readonly long[] _idealAdmitted;

    public SimulatedCluster(int nodes, IReadOnlyList<LimitConfig> limits, int seed)
    {
        _random = new(seed);
        _limits = limits;
        _admitted = new long[limits.Count];
        _excess = new double[limits.Count];
        Array.Fill(_excess, double.MinValue);
        _ideal = [.. limits.Select(static limit => new VirtualLimit(limit))];
        _idealWords = new long[limits.Count];
        _idealAdmitted = new long[limits.Count];
        for (int i = 0; i < limits.Count; i++)
        {
            Buckets.Add(SimulatedNode.IdOf(i), limits[i], limits[i].Capacity);
        }

        _nodes = [.. Enumerable.Range(1, nodes).Select(_ =>
            new SimulatedNode(_time, Buckets, limits, nodes, _random, Admitted))];
    }

    public SimulatedBuckets Buckets { get; } = new();

    public double Seconds => _time.NowNs / 1e9;

    public long AdmittedOf(int client) => _admitted[client];

    /// <summary>By how many tokens a client's admitted requests exceeded its capacity plus its refill since the start,
    /// at most; negative if they never did.</summary>
    public double ExcessOf(int client) => _excess[client];

    /// <summary>How many of the same requests a single bucket at one node would have admitted.</summary>
    public long IdealOf(int client) => _idealAdmitted[client];

    /// <summary>Tokens of a client at the nodes.</summary>
    public long HeldOf(int client) => _nodes.Sum(node => node.BalanceOf(client));

    /// <summary>The capacity plus the refill since the start.</summary>
    public double AllowedOf(int client) =>
        _limits[client].Capacity + (_limits[client].RatePerSecond * Seconds);

    /// <summary>Runs the simulation for some time.</summary>
    /// <param name="perSecond">Requests of each client.</param>
    /// <param name="spread">Nodes that a client's requests go to: the first ones.</param>
    public void Run(double seconds, IReadOnlyList<double> perSecond, int spread = int.MaxValue)
    {
        var whom = new Alias(perSecond);
        double perStep = perSecond.Sum() * StepNs / 1e9;
        int places = Math.Min(spread, _nodes.Length);
        for (long end = _time.NowNs + (long)(seconds * 1e9); _time.NowNs < end;)
        {
            _time.NowNs += StepNs;
            for (int left = Poisson(perStep); left > 0; left--)
            {
                Request(whom.Next(_random), _nodes[_random.Next(places)]);
            }

            foreach (SimulatedNode node in _nodes)
            {
                node.Step();
            }
        }
    }

    private void Request(int client, SimulatedNode node)
    {
        if (_ideal[client].TryTake(ref _idealWords[client], _time.NowNs))
        {
            _idealAdmitted[client]++;
        }

        node.Request(client);
    }

    private void Admitted(int client)
    {
        double excess = ++_admitted[client] - AllowedOf(client);
        if (excess > _excess[client])
        {
            _excess[client] = excess;
        }
    }

    /// <summary>By Knuth's products, in pieces that a double can hold.</summary>
    private int Poisson(double mean)
    {
        int count = 0;
        for (; mean > 0; mean -= 16)
        {
            double limit = Math.Exp(-Math.Min(mean, 16));
            for (double product = _random.NextDouble(); product > limit; product *= _random.NextDouble())
            {
                count++;
            }
        }
        return count;
    }

    /// <summary>Draws an index by weight in constant time (Vose 1991).</summary>
    private sealed class Alias
    {
        private readonly double[] _keep;
        private readonly int[] _other;

        public Alias(IReadOnlyList<double> weights)
        {
            double mean = weights.Sum() / weights.Count;
            _keep = [.. weights.Select(weight => weight / mean)];
            _other = [.. Enumerable.Range(0, weights.Count)];
            var poor = new Stack<int>(_other.Where(i => _keep[i] < 1));
            var rich = new Stack<int>(_other.Where(i => _keep[i] >= 1));
            while (poor.TryPop(out int small) && rich.TryPop(out int large))
            {
                _other[small] = large;
                _keep[large] -= 1 - _keep[small];
                (_keep[large] < 1 ? poor : rich).Push(large);
            }
        }

        public int Next(Random random)
        {
            int i = random.Next(_keep.Length);
            return random.NextDouble() < _keep[i] ? i : _other[i];
        }
    }
}
