using System.Collections.Concurrent;
using System.Net;

namespace Penstock.Proxy.Connections;

/// <summary>Counts client connections over all loops, in all and by address, and keeps descriptors: a client is let in
/// only when it can have a connection to a backend, too, so that whoever is in is served. Thread-safe.</summary>
/// <param name="sockets">Sockets of all loops, now, with those that are only kept for later.</param>
internal sealed class ConnectionBounds(Func<int> sockets)
{
    private const long TellEveryMs = 10_000;

    private readonly ConcurrentDictionary<IPAddress, int> _byAddress = new();
    private volatile int _max;
    private volatile int _maxPerAddress;
    private volatile int _own = Descriptors.Minimum;
    private int _count;
    private long _tellAgainMs;

    /// <summary>Changes the bounds; connections that are open stay.</summary>
    /// <param name="max">In all; 0 is unbounded.</param>
    /// <param name="maxPerAddress">Of one address; 0 is unbounded, and then addresses are not counted.</param>
    public void Apply(int max, int maxPerAddress) => (_max, _maxPerAddress) = (max, maxPerAddress);

    /// <summary>Counts what is open beside the loops' sockets, which is what the process itself needs.</summary>
    /// <param name="ofLoops">How many the loops have.</param>
    public void CountOwn(int ofLoops) => _own = Descriptors.CountOwn(ofLoops);

    /// <summary>Sockets that the loops may have.</summary>
    public int Share => Descriptors.ProxyShare(_own);

    /// <summary>May the loops open that many more?</summary>
    public bool HasRoom(int more = 1) => sockets() + more <= Share;

    /// <summary>Why no further client may come in now; null when one may.</summary>
    public string? Obstacle
    {
        get
        {
            int count = Volatile.Read(ref _count);
            return _max > 0 && count >= _max ? $"{_max} client connections are open, see bounds.connections"
                : count >= Share / 2 ? $"{count} client connections are open, and each may need another one to a "
                    + $"backend: the process may have {Descriptors.Limit} descriptors, raise LimitNOFILE for more"
                : null;
        }
    }

    /// <summary>Why no further socket may be opened now.</summary>
    public string Shortage => $"{sockets()} connections are open, and the process may have {Descriptors.Limit} "
        + "descriptors, of which some are kept for itself: raise LimitNOFILE for more";

    /// <summary>May one of the loops tell the operator of it now? Every ten seconds one of them may.</summary>
    public bool MayTellShortage(long nowMs)
    {
        long againMs = Volatile.Read(ref _tellAgainMs);
        return nowMs >= againMs
            && Interlocked.CompareExchange(ref _tellAgainMs, nowMs + TellEveryMs, againMs) == againMs;
    }

    /// <summary>Counts a connection in.</summary>
    public void Enter() => Interlocked.Increment(ref _count);

    /// <summary>Counts out what <see cref="Enter"/> counted in.</summary>
    public void Leave() => Interlocked.Decrement(ref _count);

    /// <summary>Counts a connection in under its address (of IPv6: its network), unless that has too many.</summary>
    /// <param name="counted">Was it counted, so that <see cref="LeaveAddress"/> must be called?</param>
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
