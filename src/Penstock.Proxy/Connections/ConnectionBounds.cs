using System.Collections.Concurrent;
using System.Net;

namespace Penstock.Proxy.Connections;

/// <summary>Counts client connections over all loops, in all and by address. Thread-safe.</summary>
/// <param name="max">In all; 0 is unbounded.</param>
/// <param name="maxPerAddress">Of one address; 0 is unbounded, and then addresses are not counted.</param>
internal sealed class ConnectionBounds(int max, int maxPerAddress)
{
    private readonly ConcurrentDictionary<IPAddress, int> _byAddress = new();
    private int _count;

    /// <summary>Is there room for one more?</summary>
    public bool HasRoom => max == 0 || Volatile.Read(ref _count) < max;

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
}
