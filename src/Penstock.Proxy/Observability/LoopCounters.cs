namespace Penstock.Proxy.Observability;

/// <summary>What one loop counted since start. Written by its loop; others may read, and see each number whole but
/// possibly a moment old.</summary>
internal sealed class LoopCounters
{
    private long _requests;
    private long _rejected;
    private long _failed;

    /// <summary>Client connections now open.</summary>
    public int OpenConnections { get; set; }

    /// <summary>Connections that speak another protocol after an upgrade.</summary>
    public int OpenTunnels { get; set; }

    /// <summary>Requests that got an answer, ours or a backend's.</summary>
    public long Requests => Volatile.Read(ref _requests);

    /// <summary>Of these, how many a limit rejected.</summary>
    public long Rejected => Volatile.Read(ref _rejected);

    /// <summary>Of these, how many ended with a 5xx of ours.</summary>
    public long Failed => Volatile.Read(ref _failed);

    public void Count(bool rejected, bool failed)
    {
        Volatile.Write(ref _requests, _requests + 1);
        if (rejected)
        {
            Volatile.Write(ref _rejected, _rejected + 1);
        }
        if (failed)
        {
            Volatile.Write(ref _failed, _failed + 1);
        }
    }
}
