namespace Penstock.Proxy.Upstreams;

/// <summary>Keeps retries from making an outage worse: every request pays a share of a retry into an account, every
/// retry takes a whole one out. So over any time retries are at most that share of the requests and what the account
/// held, which is bounded. (Finagle's RetryBudget; the numbers are Envoy's: 20 %, at least 3.) Thread-safe.</summary>
internal sealed class RetryBudget
{
    /// <summary>The account counts in thousandths of a retry.</summary>
    private const int Unit = 1000;

    private long _account;
    private long _most;

    /// <param name="least">Retries that a quiet upstream may always make.</param>
    public RetryBudget(int least)
    {
        _account = (long)least * Unit;
        Bound(least);
    }

    /// <summary>What the account holds at most.</summary>
    public void Bound(int retries) => Volatile.Write(ref _most, (long)retries * Unit);

    /// <summary>Retries that could be made now.</summary>
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

    public bool TryWithdraw()
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
        return false;
    }
}
