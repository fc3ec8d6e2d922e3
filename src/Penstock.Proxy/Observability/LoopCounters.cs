namespace Penstock.Proxy.Observability;

/// <summary>Counts of one loop since start. Only the loop writes; other threads may read, and see each number whole but
/// possibly a moment old.</summary>
internal sealed class LoopCounters
{
    private long _requests;
    private long _rejected;
    private long _failed;

    /// <summary>Client connections that are open now.</summary>
    public int OpenConnections { get; set; }

    /// <summary>Client connections that speak another protocol after an upgrade.</summary>
    public int OpenTunnels { get; set; }

    /// <summary>Requests that got an answer of Penstock or a response of a backend.</summary>
    public long Requests => Volatile.Read(ref _requests);

    /// <summary>Of these, how many a limit rejected.</summary>
    public long Rejected => Volatile.Read(ref _rejected);

    /// <summary>Of these, how many got a 5xx answer of Penstock.</summary>
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
