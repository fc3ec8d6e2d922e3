namespace Penstock.Proxy.RateLimiting;

/// <content>Requests that wait for a lease: how many there are, and whether there is a point in it.</content>
public sealed partial class Leases
{
    /// <summary>Of all clients, and of one: with a database that is slow no more connections than these stand still.
    /// </summary>
    internal const int MaxWaiters = 16_384;
    internal const int MaxWaitersOfClient = 4096;

    /// <summary>So long without an answer means that the database is away, as far as waiting for it goes.</summary>
    private const long OverdueNs = 1_000_000_000;

    private volatile bool _requestsWait;
    private volatile bool _overdue;
    private long _askedNs = long.MaxValue;
    private int _waiters;
    private long _waited;
    private long _waitedInVain;

    /// <summary>Requests wait for leases at all. Thread-safe.</summary>
    internal bool RequestsWait
    {
        get => _requestsWait;
        set => _requestsWait = value;
    }

    /// <summary>An answer of the shared buckets may be waited for: they can be asked, and answer in time.</summary>
    internal bool Answers => !_sharing && !_overdue;

    /// <summary>Requests that wait now. Thread-safe.</summary>
    public int Waiting => Volatile.Read(ref _waiters);

    /// <summary>Requests that have waited for tokens, since the start. Thread-safe.</summary>
    public long Waited => Interlocked.Read(ref _waited);

    /// <summary>Those whose time was over before there was an answer. Thread-safe.</summary>
    public long WaitedInVain => Interlocked.Read(ref _waitedInVain);

    internal bool TryBeginWait()
    {
        if (Interlocked.Increment(ref _waiters) > MaxWaiters)
        {
            EndWait();
            return false;
        }
        Interlocked.Increment(ref _waited);
        return true;
    }

    internal void EndWait() => Interlocked.Decrement(ref _waiters);

    /// <summary>A request has waited for as long as it may. When the shared buckets have said nothing for long, nobody
    /// waits any more until they do.</summary>
    internal void NoteWaitedInVain(long nowNs)
    {
        Interlocked.Increment(ref _waitedInVain);
        if (nowNs - Interlocked.Read(ref _askedNs) > OverdueNs)
        {
            _overdue = true;
        }
    }
}
