using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Upstreams;

/// <summary>What active checks say of a backend.</summary>
public enum BackendHealth
{
    /// <summary>Not checked yet, or never: it may be used.</summary>
    Unknown,
    Up,
    Down,
}

/// <summary>One server of an upstream, live: what is known of it now. Shared by all loops; thread-safe.</summary>
internal sealed class Backend
{
    private Counter _inFlight;
    private volatile BackendAddress? _endPoint;
    private volatile HealthState _health = new(BackendHealth.Unknown, null, null);

    /// <param name="index">Number of this backend among all of the process: each loop's pools are found by it.</param>
    public Backend(string upstream, BackendConfig config, int index)
    {
        Upstream = upstream;
        Config = config;
        Index = index;
        Address = config.Address;
        AddressOctets = Encoding.UTF8.GetBytes(Address);
        if (config.Port == 0)
        {
            _endPoint = new BackendAddress(new UnixDomainSocketEndPoint(config.Host));
        }
        else if (IPAddress.TryParse(config.Host, out IPAddress? ip))
        {
            _endPoint = new BackendAddress(new IPEndPoint(ip, config.Port));
        }
        IsName = _endPoint is null;
    }

    public string Upstream { get; }
    public BackendConfig Config { get; }
    public int Index { get; }
    public string Address { get; }
    public byte[] AddressOctets { get; }
    public int Weight => Config.Weight;

    /// <summary>Its host is a DNS name.</summary>
    public bool IsName { get; }

    /// <summary>Where to connect; null while its name does not resolve.</summary>
    public BackendAddress? EndPoint
    {
        get => _endPoint;
        set => _endPoint = value;
    }

    public HealthState Health
    {
        get => _health;
        set => _health = value;
    }

    /// <summary>Exchanges under way, from pick to the response's last octet.</summary>
    public int InFlight => (int)Volatile.Read(ref _inFlight.Value);

    /// <summary>May a request be sent to it?</summary>
    public bool IsAvailable => _health.Health != BackendHealth.Down
        && (Config.MaxConnections == 0 || InFlight < Config.MaxConnections);

    /// <summary>Counts an exchange in, unless that would pass the bound.</summary>
    public bool TryEnter()
    {
        long count = Interlocked.Increment(ref _inFlight.Value);
        if (Config.MaxConnections > 0 && count > Config.MaxConnections)
        {
            Interlocked.Decrement(ref _inFlight.Value);
            return false;
        }
        return true;
    }

    public void Leave() => Interlocked.Decrement(ref _inFlight.Value);

    public override string ToString() => $"{Upstream}/{Address}";

    /// <summary>Alone on its cache lines: the loops write it all the time, and read the fields around it.</summary>
    [StructLayout(LayoutKind.Explicit, Size = 192)]
    private struct Counter
    {
        [FieldOffset(64)]
        public long Value;
    }
}

/// <summary>An address with the octets that the kernel wants of it.</summary>
internal sealed class BackendAddress(EndPoint endPoint)
{
    private readonly SocketAddress _socketAddress = endPoint.Serialize();

    public EndPoint EndPoint => endPoint;
    public ReadOnlySpan<byte> Octets => _socketAddress.Buffer.Span[.._socketAddress.Size];
}

/// <summary>A state of health and how it came about.</summary>
/// <param name="Cause">For Down: why.</param>
/// <param name="ChangedAt">Null before the first check.</param>
internal sealed record HealthState(BackendHealth Health, string? Cause, DateTimeOffset? ChangedAt);
