using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.EventLoop;

namespace Penstock.Proxy.Upstreams;

/// <summary>What active checks say of a backend.</summary>
public enum BackendHealth
{
    /// <summary>Not checked yet, or never: it may be used.</summary>
    Unknown,
    Up,
    Down,
}

/// <summary>What the operator wants of a backend.</summary>
public enum BackendState
{
    /// <summary>It takes requests.</summary>
    Ready,

    /// <summary>It takes no new clients: exchanges under way end, sticky sessions stay.</summary>
    Drain,

    /// <summary>It takes nothing; exchanges under way end.</summary>
    Maintenance,
}

/// <summary>One server of an upstream, live: what is known of it now. It outlives a reload of the configuration. Shared
/// by all loops; thread-safe.</summary>
internal sealed class Backend
{
    /// <summary>What <see cref="Weight"/> counts in.</summary>
    public const int WeightUnit = 256;

    /// <summary>The share of its weight that slow start begins with (Envoy's default).</summary>
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
    private volatile int _chosenWeight;
    private volatile int _weight;
    private double _ramp = 1;
    private long _rampStartNs = -1;
    private long _lastUsedNs;
    private long _stateSinceNs;

    /// <param name="upstream">Name of its upstream.</param>
    /// <param name="config">Its host is an address, or a name not resolved yet, which cannot be connected to.</param>
    /// <param name="name">The DNS name that the address is one of.</param>
    /// <param name="loops">How many event loops there are; each has a connection pool of its own.</param>
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

    /// <summary>The name and port that resolved to its address; null when the configuration gives that.</summary>
    public string? Name { get; }

    /// <summary>Where to connect; null for a name that does not resolve.</summary>
    public BackendAddress? EndPoint { get; }

    /// <summary>Where its name leads by the other address family: a server may listen on one of the two only. Null when
    /// there is none.</summary>
    public BackendAddress? Alternate
    {
        get => _alternate;
        set => _alternate = value?.Bytes.SequenceEqual(_alternate is { } now ? now.Bytes : default) == true
            ? _alternate : value;
    }

    /// <summary>How long a backend that comes back takes to its full weight.</summary>
    public TimeSpan SlowStart { get; set; }

    /// <summary>Latency of late, for balancers that go by it.</summary>
    public LatencyAverage Latency { get; } = new();

    /// <summary>What its answers tell of it.</summary>
    public BackendTraffic Traffic { get; }

    /// <summary>Times that checks changed its health, since start.</summary>
    public int HealthChanges { get; private set; }

    /// <summary>Times that live traffic ejected it, since start.</summary>
    public int Ejections { get; private set; }

    /// <summary>It is no longer configured: its connections close after the exchange under way.</summary>
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

    /// <summary>Why and how long live traffic keeps it out; null when it does not.</summary>
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

    /// <summary>Too few of the upstream are left: an ejection, which is a guess, does not count.</summary>
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

    /// <summary>When the operator last chose, on the monotonic clock.</summary>
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

    /// <summary>Share of the traffic as configured or, until the next restart, as the operator chose since.</summary>
    public int FullWeight => _chosenWeight > 0 ? _chosenWeight : _config.Weight;

    /// <summary>For balancers: <see cref="FullWeight"/> times <see cref="WeightUnit"/>, less during slow
    /// start.</summary>
    public int Weight => _weight;

    /// <summary>Share of its full weight that slow start allows now, up to 1.</summary>
    public double Ramp => Volatile.Read(ref _ramp);

    /// <summary>Exchanges under way, from pick to the response's last byte.</summary>
    public int InFlight => (int)Volatile.Read(ref _inFlight.Value);

    /// <summary>Nothing is known against sending requests to it.</summary>
    public bool IsUsable => _isUsable;

    /// <summary>As <see cref="IsUsable"/>, for a session that it serves already.</summary>
    public bool IsUsableForSession => _isUsable || (_state == BackendState.Drain && IsWell);

    public bool HasRoom => _config.MaxConnections == 0 || InFlight < _config.MaxConnections;

    /// <summary>May a request be sent to it now?</summary>
    public bool IsAvailable => _isUsable && HasRoom;

    /// <summary>When it last served a session while draining, on the monotonic clock; 0 for never.</summary>
    public long LastUsedNs => Volatile.Read(ref _lastUsedNs);

    private bool IsWell => _health.Health != BackendHealth.Down && (_ejection is null || _ejectionIgnored);

    /// <summary>Counts an exchange in, unless that would pass the bound.</summary>
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

    /// <summary>That loop's connections to it. Only the loop itself may ask.</summary>
    public ConnectionPool PoolOf(Loop loop) => _pools[loop.Index] ??= new ConnectionPool(loop, this);

    /// <summary>Requests sent since start, over all loops.</summary>
    public long Requests => _pools.Sum(static p => p?.Requests ?? 0);

    /// <summary>Requests and tries to connect that gave no valid response, over all loops.</summary>
    public long Failures => _pools.Sum(static p => p?.Failures ?? 0);

    /// <summary>Takes over a changed configuration with the same address.</summary>
    public void Apply(BackendConfig config)
    {
        lock (_changing)
        {
            _config = config;
            Changed(returns: false);
        }
    }

    /// <summary>Chooses another weight than the configured one; 0 goes back to it.</summary>
    public void Choose(int weight)
    {
        lock (_changing)
        {
            _chosenWeight = weight;
            Changed(returns: false);
        }
    }

    public void Retire() => _isRetired = true;

    /// <summary>Where to connect, and where else if that fails.</summary>
    public (BackendAddress? First, BackendAddress? Second) AddressesToTry() =>
        _alternate is { } alternate && _prefersAlternate ? (alternate, EndPoint) : (EndPoint, _alternate);

    /// <summary>The second of <see cref="AddressesToTry"/> took the connection: it goes first from now on.</summary>
    public void Connected(BackendAddress second) => _prefersAlternate = second != EndPoint;

    /// <summary>Its own address is tried first again.</summary>
    public void ForgetPreference() => _prefersAlternate = false;

    /// <summary>Starts over with a tenth of its weight, if the upstream says so: it has joined, or come back, among
    /// others that are at work.</summary>
    public void BeginRamp()
    {
        lock (_changing)
        {
            Changed(returns: true);
        }
    }

    /// <summary>Lets slow start go on. Called by one thread, some times a second.</summary>
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

    /// <summary>Notes that a session was served while it drains.</summary>
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

    /// <summary>Alone on its cache lines: the loops write it all the time, and read the fields around it.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 192)]
    private struct Counter
    {
        [FieldOffset(64)]
        public long Value;
    }
}

/// <summary>An address with the bytes that the kernel wants of it.</summary>
internal sealed class BackendAddress(EndPoint endPoint)
{
    private readonly SocketAddress _socketAddress = endPoint.Serialize();

    public EndPoint EndPoint => endPoint;
    public ReadOnlySpan<byte> Bytes => _socketAddress.Buffer.Span[.._socketAddress.Size];
}

/// <summary>A state of health and how it came about.</summary>
/// <param name="Cause">For Down: why.</param>
/// <param name="ChangedAt">Null before the first check.</param>
internal sealed record HealthState(BackendHealth Health, string? Cause, DateTimeOffset? ChangedAt);

/// <summary>Live traffic keeps a backend out.</summary>
/// <param name="Cause">Why, in words.</param>
/// <param name="Until">When it may come back.</param>
/// <param name="Count">How many times in a row by now.</param>
internal sealed record Ejection(string Cause, DateTimeOffset Since, DateTimeOffset Until, int Count);
