using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Tls;

namespace Penstock.Proxy.Upstreams;

/// <summary>The result of active health checks of a backend.</summary>
public enum BackendHealth
{
    /// <summary>The backend is not checked, or not yet. It is used.</summary>
    Unknown,

    /// <summary>Checks have passed.</summary>
    Up,

    /// <summary>Checks have failed. The backend gets no requests.</summary>
    Down,
}

/// <summary>The state that the operator has set for a backend.</summary>
public enum BackendState
{
    /// <summary>The backend gets requests.</summary>
    Ready,

    /// <summary>The backend gets only requests of sticky sessions that it already serves. Exchanges in flight end
    /// normally.</summary>
    Drain,

    /// <summary>The backend gets no requests. Exchanges in flight end normally.</summary>
    Maintenance,
}

/// <summary>One live server of an upstream: its health, load, weight and connections. It survives reloads of the
/// configuration. All loops share it; thread-safe.</summary>
internal sealed class Backend
{
    /// <summary>How many units of <see cref="Weight"/> make 1 of the configured weight.</summary>
    public const int WeightUnit = 256;

    /// <summary>The share of the weight with which slow start begins (Envoy's default).</summary>
    private const double MinRamp = 0.1;

    private readonly Lock _changing = new();
    private readonly ConnectionPool?[] _pools;
    private Counter _inFlight;
    private volatile BackendConfig _config;
    private volatile HealthState _health = new(BackendHealth.Unknown, null, null);
    private volatile Ejection? _ejection;
    private volatile bool _ejectionIgnored;
    private volatile BackendState _state;
    private volatile bool _isUsable;
    private volatile bool _isRetired;
    private volatile bool _prefersAlternate;
    private volatile BackendAddress? _alternate;
    private volatile TlsClient? _tls;
    private volatile int _chosenWeight;
    private volatile int _weight;
    private double _ramp = 1;
    private long _rampStartNs = -1;
    private long _lastUsedNs;
    private long _stateSinceNs;
    private long _checksPassed;
    private long _checksFailed;

    /// <param name="upstream">Name of the upstream.</param>
    /// <param name="config">Its host is an address, or a name that is not resolved yet. Nobody can connect to the
    /// latter.</param>
    /// <param name="name">The DNS name and port that resolved to the address; null when the configuration has the
    /// address.</param>
    /// <param name="loops">The number of event loops. Each has its own connection pool.</param>
    public Backend(string upstream, BackendConfig config, int loops = 1, string? name = null)
    {
        Upstream = upstream;
        _config = config;
        _pools = new ConnectionPool?[loops];
        Traffic = new BackendTraffic(loops);
        Name = name;
        Address = config.Address;
        AddressBytes = Encoding.UTF8.GetBytes(Address);
        if (config.Port == 0)
        {
            EndPoint = new BackendAddress(new UnixDomainSocketEndPoint(config.Host));
        }
        else if (AddressText.TryParseScoped(config.Host, out IPAddress? ip))
        {
            EndPoint = new BackendAddress(new IPEndPoint(ip, config.Port));
        }
        Refresh();
    }

    public string Upstream { get; }
    public BackendConfig Config => _config;
    public string Address { get; }
    public byte[] AddressBytes { get; }

    /// <summary>The DNS name and port that resolved to the address; null when the configuration has the
    /// address.</summary>
    public string? Name { get; }

    /// <summary>The address to connect to; null for a name that does not resolve.</summary>
    public BackendAddress? EndPoint { get; }

    /// <summary>An address of the same name in the other address family, because a server may listen on only one of the
    /// two. Null when there is none.</summary>
    public BackendAddress? Alternate
    {
        get => _alternate;
        set => _alternate = value?.Bytes.SequenceEqual(_alternate is { } now ? now.Bytes : default) == true
            ? _alternate : value;
    }

    /// <summary>TLS towards it; null: it speaks plain HTTP.</summary>
    public TlsClient? Tls
    {
        get => _tls;
        set => _tls = value;
    }

    /// <summary>The host of its URL, for which its certificate must be.</summary>
    public string Host => Name is { } name ? name[..name.LastIndexOf(':')] : Config.Host;

    /// <summary>How long a backend that joins or returns takes to reach its full weight; zero: no slow start.</summary>
    public TimeSpan SlowStart { get; set; }

    /// <summary>The recent latency, for balancers that use it.</summary>
    public LatencyAverage Latency { get; } = new();

    /// <summary>Results of requests to the backend.</summary>
    public BackendTraffic Traffic { get; }

    /// <summary>How often checks have changed the health since start.</summary>
    public int HealthChanges { get; private set; }

    /// <summary>How often live traffic has ejected the backend since start.</summary>
    public int Ejections { get; private set; }

    /// <summary>Health checks since start that passed, and that failed.</summary>
    public long ChecksPassed => Volatile.Read(ref _checksPassed);

    /// <inheritdoc cref="ChecksPassed"/>
    public long ChecksFailed => Volatile.Read(ref _checksFailed);

    /// <summary>The backend is no longer configured; each of its connections closes after its present
    /// exchange.</summary>
    public bool IsRetired => _isRetired;

    public HealthState Health
    {
        get => _health;
        set
        {
            lock (_changing)
            {
                bool returns = _health.Health == BackendHealth.Down && value.Health == BackendHealth.Up;
                HealthChanges += _health.Health == value.Health ? 0 : 1;
                _health = value;
                Changed(returns);
            }
        }
    }

    public void CountCheck(bool passed) => Interlocked.Increment(ref passed ? ref _checksPassed : ref _checksFailed);

    /// <summary>Why and how long the backend is ejected; null when it is not.</summary>
    public Ejection? Ejection
    {
        get => _ejection;
        set
        {
            lock (_changing)
            {
                bool returns = _ejection is not null && value is null;
                Ejections += _ejection is null && value is not null ? 1 : 0;
                _ejection = value;
                Changed(returns);
            }
        }
    }

    /// <summary>The backend is used although it is ejected, because too few others of the upstream are left.</summary>
    public bool EjectionIgnored
    {
        get => _ejectionIgnored;
        set
        {
            lock (_changing)
            {
                _ejectionIgnored = value;
                Changed(returns: false);
            }
        }
    }

    public BackendState State => _state;

    /// <summary>When the operator last changed the state, on the monotonic clock.</summary>
    public long StateSinceNs => Volatile.Read(ref _stateSinceNs);

    public void SetState(BackendState state, long nowNs)
    {
        lock (_changing)
        {
            bool returns = _state == BackendState.Maintenance && state == BackendState.Ready;
            if (_state != state)
            {
                Volatile.Write(ref _stateSinceNs, nowNs);
            }
            _state = state;
            Changed(returns);
        }
    }

    /// <summary>The weight that the operator set at run time, else the configured one.</summary>
    public int FullWeight => _chosenWeight > 0 ? _chosenWeight : _config.Weight;

    /// <summary>The weight for balancers: <see cref="FullWeight"/> times <see cref="WeightUnit"/>, less during slow
    /// start.</summary>
    public int Weight => _weight;

    /// <summary>The share of the full weight that slow start allows now, from 0.1 to 1.</summary>
    public double Ramp => Volatile.Read(ref _ramp);

    /// <summary>Exchanges in flight: from the pick to the response's last byte.</summary>
    public int InFlight => (int)Volatile.Read(ref _inFlight.Value);

    /// <summary>The backend is ready, not down, and not ejected (or its ejection is ignored).</summary>
    public bool IsUsable => _isUsable;

    /// <summary>As <see cref="IsUsable"/>, but also true while the backend drains: for requests of a session that it
    /// serves.</summary>
    public bool IsUsableForSession => _isUsable || (_state == BackendState.Drain && IsWell);

    public bool HasRoom => _config.MaxConnections == 0 || InFlight < _config.MaxConnections;

    /// <summary>Whether a request may be sent to the backend now.</summary>
    public bool IsAvailable => _isUsable && HasRoom;

    /// <summary>When the backend last served a session while draining, on the monotonic clock; 0: never.</summary>
    public long LastUsedNs => Volatile.Read(ref _lastUsedNs);

    private bool IsWell => _health.Health != BackendHealth.Down && (_ejection is null || _ejectionIgnored);

    /// <summary>Counts an exchange as in flight. False, without counting, when the backend is at
    /// <c>max_connections</c>.</summary>
    public bool TryEnter()
    {
        long count = Interlocked.Increment(ref _inFlight.Value);
        int most = _config.MaxConnections;
        if (most > 0 && count > most)
        {
            Interlocked.Decrement(ref _inFlight.Value);
            return false;
        }
        return true;
    }

    public void Leave() => Interlocked.Decrement(ref _inFlight.Value);

    /// <summary>The loop's pool of connections to the backend. Call it on that loop only.</summary>
    public ConnectionPool PoolOf(Loop loop) => _pools[loop.Index] ??= new ConnectionPool(loop, this);

    /// <summary>Requests sent since start, over all loops.</summary>
    public long Requests => _pools.Sum(static p => p?.Requests ?? 0);

    /// <summary>Requests and connection attempts that brought no valid response, over all loops.</summary>
    public long Failures => _pools.Sum(static p => p?.Failures ?? 0);

    /// <summary>Replaces the configuration by one with the same address.</summary>
    public void Apply(BackendConfig config)
    {
        lock (_changing)
        {
            _config = config;
            Changed(returns: false);
        }
    }

    /// <summary>Sets the weight that is used instead of the configured one; 0: use the configured one.</summary>
    public void Choose(int weight)
    {
        lock (_changing)
        {
            _chosenWeight = weight;
            Changed(returns: false);
        }
    }

    public void Retire() => _isRetired = true;

    /// <summary>The address to connect to first, and the one to try if that fails.</summary>
    public (BackendAddress? First, BackendAddress? Second) AddressesToTry() =>
        _alternate is { } alternate && _prefersAlternate ? (alternate, EndPoint) : (EndPoint, _alternate);

    /// <summary>Call it when the second of <see cref="AddressesToTry"/> accepted the connection. It is tried first from
    /// now on.</summary>
    public void Connected(BackendAddress second) => _prefersAlternate = second != EndPoint;

    /// <summary>Makes <see cref="EndPoint"/> the first address to try again.</summary>
    public void ForgetPreference() => _prefersAlternate = false;

    /// <summary>Begins slow start, if the upstream has it: the backend has joined or returned to others that are in
    /// use.</summary>
    public void BeginRamp()
    {
        lock (_changing)
        {
            Changed(returns: true);
        }
    }

    /// <summary>Updates the weight during slow start. Called by one thread, some times a second.</summary>
    public void Advance(long nowNs)
    {
        if (_ramp >= 1)
        {
            return;
        }
        lock (_changing)
        {
            if (_rampStartNs < 0)
            {
                _rampStartNs = nowNs;
            }
            double share = SlowStart <= TimeSpan.Zero ? 1 : (nowNs - _rampStartNs) / SlowStart.TotalNanoseconds;
            _ramp = Math.Clamp(share, MinRamp, 1);
            Refresh();
        }
    }

    /// <summary>Notes that the backend served a session while draining.</summary>
    public void MarkUsed(long nowNs) => Volatile.Write(ref _lastUsedNs, nowNs);

    public override string ToString() => $"{Upstream}/{Address}";

    private void Changed(bool returns)
    {
        if (returns && SlowStart > TimeSpan.Zero)
        {
            _ramp = MinRamp;
            _rampStartNs = -1; // begins with the next Advance
        }
        Refresh();
    }

    private void Refresh()
    {
        _weight = Math.Max(1, (int)(FullWeight * WeightUnit * _ramp));
        _isUsable = _state == BackendState.Ready && IsWell;
    }

    /// <summary>A counter alone on its cache lines, because the loops write it all the time and read the fields around
    /// it.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 192)]
    private struct Counter
    {
        [FieldOffset(64)]
        public long Value;
    }
}

/// <summary>An address, also in the kernel's binary form.</summary>
internal sealed class BackendAddress(EndPoint endPoint)
{
    private readonly SocketAddress _socketAddress = endPoint.Serialize();

    public EndPoint EndPoint => endPoint;
    public ReadOnlySpan<byte> Bytes => _socketAddress.Buffer.Span[.._socketAddress.Size];
}

/// <summary>A backend's health, its cause and its time.</summary>
/// <param name="Cause">Why the backend is down; else null.</param>
/// <param name="ChangedAt">When the health changed; null before the first check.</param>
internal sealed record HealthState(BackendHealth Health, string? Cause, DateTimeOffset? ChangedAt);

/// <summary>An ejection of a backend by live traffic.</summary>
/// <param name="Cause">Why, as text.</param>
/// <param name="Until">When it ends.</param>
/// <param name="Count">The number of this ejection in a row.</param>
internal sealed record Ejection(string Cause, DateTimeOffset Since, DateTimeOffset Until, int Count);
