namespace Penstock.Proxy.Upstreams;

/// <summary>Keeps retries from making an outage worse. Every request deposits a share of a retry into an account; every
/// retry withdraws one. So in any period retries are at most that share of the requests, plus what the account held,
/// which is bounded. In addition some retries per second are free and are saved up for ten seconds, because a quiet or
/// newly started upstream has deposited too little. (Finagle's RetryBudget with its numbers, but Envoy's share; linkerd
/// has the same.) Thread-safe.</summary>
/// <param name="most">Maximum number of retries that the account holds.</param>
internal sealed class RetryBudget(int most)
{
    /// <summary>The account counts in thousandths of a retry.</summary>
    private const int Unit = 1000;

    /// <summary>The free retries of this time can be used at once.</summary>
    private const long SavedNs = 10_000_000_000;

    private long _account;
    private long _most = (long)most * Unit;

    /// <summary>The state of the free retries: a token bucket in one number, as in
    /// <see cref="RateLimiting.Limit"/>.</summary>
    private long _freeNs = long.MinValue;

    /// <summary>Changes the maximum number of retries that the account holds.</summary>
    public void Bound(int retries) => Volatile.Write(ref _most, (long)retries * Unit);

    /// <summary>Retries in the account now, without the free ones.</summary>
    public double Left => Math.Max(0, Volatile.Read(ref _account)) / (double)Unit;

    /// <summary>Deposits for a new request. Writes only while the account is not full.</summary>
    /// <param name="share">Retries per request.</param>
    public void Deposit(double share)
    {
        if (Volatile.Read(ref _account) < Volatile.Read(ref _most))
        {
            Interlocked.Add(ref _account, (long)(share * Unit));
        }
    }

    /// <summary>Withdraws a retry; false when there is none.</summary>
    /// <param name="freePerSecond">Free retries per second.</param>
    public bool TryWithdraw(int freePerSecond, long nowNs)
    {
        long before = Volatile.Read(ref _account);
        while (before >= Unit)
        {
            long seen = Interlocked.CompareExchange(ref _account, before - Unit, before);
            if (seen == before)
            {
                return true;
            }
            before = seen;
        }
        return freePerSecond > 0 && TryFree(1_000_000_000 / freePerSecond, nowNs);
    }

    private bool TryFree(long eachNs, long nowNs)
    {
        long before = Volatile.Read(ref _freeNs);
        while (true)
        {
            long after = Math.Max(before, nowNs) + eachNs;
            if (after - nowNs > SavedNs)
            {
                return false;
            }
            long seen = Interlocked.CompareExchange(ref _freeNs, after, before);
            if (seen == before)
            {
                return true;
            }
            before = seen;
        }
    }
}
