using System.Collections.Concurrent;
using System.Net;

namespace Penstock.Proxy.Connections;

/// <summary>Counts client connections over all loops, in all and by address, and keeps descriptors free for backend
/// connections. Thread-safe.</summary>
/// <param name="max">In all; 0 is unbounded.</param>
/// <param name="maxPerAddress">Of one address; 0 is unbounded, and then addresses are not counted.</param>
/// <param name="busySockets">Sockets of all loops, now, without those that are only kept for later.</param>
internal sealed class ConnectionBounds(int max, int maxPerAddress, Func<int> busySockets)
{
    private const string LimitsFile = "/proc/self/limits";

    /// <summary>What the runtime, the store, the admin API and the checks use.</summary>
    private const int OwnDescriptors = 256;

    /// <summary>Sockets at which accepting pauses: the last eighth is for connections to backends, without which nobody
    /// who is in could be served.</summary>
    private readonly int _maxSockets = Math.Max(16, (DescriptorLimit() / 8 * 7) - OwnDescriptors);
    private readonly ConcurrentDictionary<IPAddress, int> _byAddress = new();
    private int _count;

    /// <summary>Why no further client may come in now; null when one may.</summary>
    public string? Obstacle => max > 0 && Volatile.Read(ref _count) >= max
        ? $"{max} client connections are open, see bounds.connections"
        : busySockets() >= _maxSockets ? $"{_maxSockets} sockets are in use, raise LimitNOFILE for more" : null;

    /// <summary>Counts a connection in, unless its address has too many.</summary>
    /// <param name="address">Null for one that has none.</param>
    public bool TryEnter(IPAddress? address)
    {
        if (maxPerAddress > 0 && address is not null
            && _byAddress.AddOrUpdate(address, 1, static (_, n) => n + 1) > maxPerAddress)
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
        if (maxPerAddress > 0 && address is not null)
        {
            LeaveAddress(address);
        }
    }

    private void LeaveAddress(IPAddress address)
    {
        int left = _byAddress.AddOrUpdate(address, 0, static (_, n) => n - 1);
        if (left == 0)
        {
            _byAddress.TryRemove(new KeyValuePair<IPAddress, int>(address, 0));
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
