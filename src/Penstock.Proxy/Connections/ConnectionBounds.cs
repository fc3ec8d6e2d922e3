using System.Collections.Concurrent;
using System.Net;

namespace Penstock.Proxy.Connections;

/// <summary>Counts client connections over all loops, in total and by address, and reserves file descriptors: a client
/// is accepted only if a descriptor for a backend connection is left too, so that every accepted client can be served.
/// Thread-safe.</summary>
/// <param name="sockets">Returns the number of open sockets of all loops, with idle connections.</param>
internal sealed class ConnectionBounds(Func<int> sockets)
{
    private const long TellEveryMs = 10_000;

    private readonly ConcurrentDictionary<IPAddress, int> _byAddress = new();
    private volatile int _max;
    private volatile int _maxPerAddress;
    private volatile int _own = Descriptors.Minimum;
    private int _count;
    private long _tellAgainMs;

    /// <summary>Changes the bounds. Open connections stay.</summary>
    /// <param name="max">Maximum number of client connections in total; 0: no bound.</param>
    /// <param name="maxPerAddress">Maximum number of client connections of one address; 0: no bound, and addresses are
    /// not counted.</param>
    public void Apply(int max, int maxPerAddress) => (_max, _maxPerAddress) = (max, maxPerAddress);

    /// <summary>Counts the open descriptors besides the loops' sockets: what the process itself needs.</summary>
    /// <param name="ofLoops">How many sockets the loops have.</param>
    public void CountOwn(int ofLoops) => _own = Descriptors.CountOwn(ofLoops);

    /// <summary>How many sockets the loops may have.</summary>
    public int Share => Descriptors.ProxyShare(_own);

    /// <summary>Whether the loops may open this many further sockets.</summary>
    public bool HasRoom(int more = 1) => sockets() + more <= Share;

    /// <summary>Why no further client is accepted now; null when one is.</summary>
    public string? Obstacle
    {
        get
        {
            int count = Volatile.Read(ref _count);
            return _max > 0 && count >= _max ? $"{_max} client connections are open, the bound of bounds.connections"
                : count >= Share / 2 ? $"{count} client connections are open, and each may need a backend "
                    + $"connection: the process may have {Descriptors.Limit} descriptors, raise LimitNOFILE for more"
                : null;
        }
    }

    /// <summary>Why no further socket may be opened now, for the log.</summary>
    public string Shortage => $"{sockets()} connections are open, and the process may have {Descriptors.Limit} "
        + "descriptors, of which it reserves some for itself: raise LimitNOFILE for more";

    /// <summary>Whether the calling loop may log the shortage now. One loop may, every ten seconds.</summary>
    public bool MayTellShortage(long nowMs)
    {
        long againMs = Volatile.Read(ref _tellAgainMs);
        return nowMs >= againMs
            && Interlocked.CompareExchange(ref _tellAgainMs, nowMs + TellEveryMs, againMs) == againMs;
    }

    /// <summary>Counts a client connection.</summary>
    public void Enter() => Interlocked.Increment(ref _count);

    /// <summary>Removes a client connection from the count.</summary>
    public void Leave() => Interlocked.Decrement(ref _count);

    /// <summary>Counts a client connection under its address (of IPv6: its network). False when the address has too
    /// many.</summary>
    /// <param name="counted">Whether it was counted; then call <see cref="LeaveAddress"/> at its end.</param>
    public bool TryEnterAddress(IPAddress address, out bool counted)
    {
        int most = _maxPerAddress;
        counted = most > 0;
        if (counted && _byAddress.AddOrUpdate(address, 1, static (_, n) => n + 1) > most)
        {
            LeaveAddress(address);
            counted = false;
            return false;
        }
        return true;
    }

    public void LeaveAddress(IPAddress address)
    {
        while (_byAddress.TryGetValue(address, out int count))
        {
            if (count == 1 ? _byAddress.TryRemove(new KeyValuePair<IPAddress, int>(address, 1))
                : _byAddress.TryUpdate(address, count - 1, count))
            {
                return;
            }
        }
    }
}
