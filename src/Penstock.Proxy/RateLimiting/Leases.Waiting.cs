namespace Penstock.Proxy.RateLimiting;

/// <content>Requests that wait for a lease: how many there are, and whether waiting can help.</content>
public sealed partial class Leases
{
    /// <summary>Maximum number of waiting requests of all clients, and of one client. With a slow database no more
    /// connections than these are held.</summary>
    internal const int MaxWaiters = 16_384;
    internal const int MaxWaitersOfClient = 4096;

    /// <summary>After this time without an answer of the database, requests no longer wait for it.</summary>
    private const long OverdueNs = 1_000_000_000;

    private volatile bool _requestsWait;
    private volatile bool _overdue;
    private long _askedNs = long.MaxValue;
    private int _waiters;
    private long _waited;
    private long _waitedInVain;

    /// <summary>Whether requests can wait for leases. Thread-safe.</summary>
    internal bool RequestsWait
    {
        get => _requestsWait;
        set => _requestsWait = value;
    }

    /// <summary>Whether waiting can help: the shared buckets can be reached and answer in time. Thread-safe.</summary>
    internal bool Answers => !_sharing && !_overdue;

    /// <summary>Requests that wait now. Thread-safe.</summary>
    public int Waiting => Volatile.Read(ref _waiters);

    /// <summary>Requests that have waited for tokens since start. Thread-safe.</summary>
    public long Waited => Interlocked.Read(ref _waited);

    /// <summary>Requests since start whose wait ended without an answer after <c>timeouts.tokens</c>.
    /// Thread-safe.</summary>
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

    /// <summary>Takes note of a wait that ended without an answer. If the shared buckets have not answered for a
    /// second, no request waits until they answer again. Thread-safe.</summary>
    internal void NoteWaitedInVain(long nowNs)
    {
        Interlocked.Increment(ref _waitedInVain);
        if (nowNs - Interlocked.Read(ref _askedNs) > OverdueNs)
        {
            _overdue = true;
        }
    }
}
