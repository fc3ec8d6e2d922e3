namespace Penstock.Proxy.Upstreams;

/// <summary>Keeps retries from making an outage worse: every request pays a share of a retry into an account, every
/// retry takes a whole one out. So over any time retries are at most that share of the requests and what the account
/// held, which is bounded. Beside it some retries a second are free, saved up over ten seconds: the share of a quiet
/// upstream, or of one that has just started, would pay for none. (Finagle's RetryBudget with its numbers, but Envoy's
/// share; linkerd has the same.) Thread-safe.</summary>
/// <param name="most">What the account holds at most.</param>
internal sealed class RetryBudget(int most)
{
    /// <summary>The account counts in thousandths of a retry.</summary>
    private const int Unit = 1000;

    /// <summary>Free retries of so long can be made at once.</summary>
    private const long SavedNs = 10_000_000_000;

    private long _account;
    private long _most = (long)most * Unit;

    /// <summary>When the free retries that were made are earned: a token bucket in one word, as in
    /// <see cref="RateLimiting.Limit"/>.</summary>
    private long _freeNs = long.MinValue;

    /// <summary>What the account holds at most from now on.</summary>
    public void Bound(int retries) => Volatile.Write(ref _most, (long)retries * Unit);

    /// <summary>Retries that the account would pay for now.</summary>
    public double Left => Math.Max(0, Volatile.Read(ref _account)) / (double)Unit;

    /// <summary>A request came in for the first time. Writes only while the account is not full.</summary>
    /// <param name="share">Retries per request.</param>
    public void Deposit(double share)
    {
        if (Volatile.Read(ref _account) < Volatile.Read(ref _most))
        {
            Interlocked.Add(ref _account, (long)(share * Unit));
        }
    }

    /// <param name="freePerSecond">Retries a second that need no account.</param>
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
