using System.Collections.Concurrent;
using System.Net;

namespace Penstock.Proxy.Connections;

/// <summary>Counts client connections over all loops, in all and by address, and keeps descriptors free for backend
/// connections. Thread-safe.</summary>
/// <param name="busySockets">Sockets of all loops, now, without those that are only kept for later.</param>
internal sealed class ConnectionBounds(Func<int> busySockets)
{
    private const string LimitsFile = "/proc/self/limits";

    /// <summary>What the runtime, the store, the admin API and the checks use.</summary>
    private const int OwnDescriptors = 256;

    /// <summary>Sockets at which accepting pauses: the last eighth is for connections to backends, without which nobody
    /// who is in could be served.</summary>
    private readonly int _maxSockets = Math.Max(16, (DescriptorLimit() / 8 * 7) - OwnDescriptors);
    private readonly ConcurrentDictionary<IPAddress, int> _byAddress = new();
    private volatile int _max;
    private volatile int _maxPerAddress;
    private int _count;

    /// <summary>Changes the bounds; connections that are open stay.</summary>
    /// <param name="max">In all; 0 is unbounded.</param>
    /// <param name="maxPerAddress">Of one address; 0 is unbounded, and then addresses are not counted.</param>
    public void Apply(int max, int maxPerAddress) => (_max, _maxPerAddress) = (max, maxPerAddress);

    /// <summary>Why no further client may come in now; null when one may.</summary>
    public string? Obstacle => _max > 0 && Volatile.Read(ref _count) >= _max
        ? $"{_max} client connections are open, see bounds.connections"
        : busySockets() >= _maxSockets ? $"{_maxSockets} sockets are in use, raise LimitNOFILE for more" : null;

    /// <summary>Counts a connection in, unless its address has too many.</summary>
    /// <param name="address">Null for one that has none.</param>
    public bool TryEnter(IPAddress? address)
    {
        int most = _maxPerAddress;
        if (most > 0 && address is not null && _byAddress.AddOrUpdate(address, 1, static (_, n) => n + 1) > most)
        {
            LeaveAddress(address);
            return false;
        }
        Interlocked.Increment(ref _count);
        return true;
    }

    /// <summary>Counts out what <see cref="TryEnter"/> counted in.</summary>
    public void Leave(IPAddress? address)
    {
        Interlocked.Decrement(ref _count);
        if (address is not null && !_byAddress.IsEmpty)
        {
            LeaveAddress(address);
        }
    }

    private void LeaveAddress(IPAddress address)
    {
        // One that came while addresses were not counted is not there.
        while (_byAddress.TryGetValue(address, out int count))
        {
            if (count == 1 ? _byAddress.TryRemove(new KeyValuePair<IPAddress, int>(address, 1))
                : _byAddress.TryUpdate(address, count - 1, count))
            {
                return;
            }
        }
    }

    private static int DescriptorLimit()
    {
        string? line = !File.Exists(LimitsFile) ? null : File.ReadLines(LimitsFile)
            .FirstOrDefault(static l => l.StartsWith("Max open files", StringComparison.Ordinal));
        return int.TryParse(line?.Split(' ', StringSplitOptions.RemoveEmptyEntries)[3], out int descriptors)
            ? descriptors : int.MaxValue;
    }
}
