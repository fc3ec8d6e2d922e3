using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Proxy.Exchanges;

/// <summary>One request's wait for tokens that nodes share. The connections of its loop reuse it. Not thread-safe,
/// except <see cref="Answer"/>.</summary>
internal sealed class TokenWait : TokenWaiter
{
    private readonly WaitSource _wait = new();
    private readonly Alarm _alarm;
    private readonly Loop _loop;
    private readonly Action _tell;
    private LeasedBucket? _client;
    private bool _granted;

    /// <summary>The request waits in line, or its answer is being delivered.</summary>
    private bool _pending;
    private bool _abandoned;

    public TokenWait(Loop loop)
    {
        _loop = loop;
        _alarm = new Alarm(this);
        _tell = Tell;
    }

    /// <summary>The client has left during the wait.</summary>
    public bool Canceled { get; private set; }

    public bool TimedOut { get; private set; }

    /// <summary>The bucket whose tokens have been taken for the request; null: none.</summary>
    public LeasedBucket? Prepaid => _granted ? _client : null;

    /// <summary>Begins to wait for a client's tokens.</summary>
    /// <returns>True: await <see cref="WaitAsync"/>. False: the result is known already.</returns>
    public bool Begin(LeasedBucket client, int cost, long untilMs)
    {
        _client = client;
        _granted = _abandoned = Canceled = TimedOut = false;
        bool? taken = client.Enter(this, cost, _loop.NowNs);
        if (taken is not null)
        {
            _granted = taken.Value;
            return false;
        }
        _pending = true;
        _loop.Deadlines.Set(_alarm, untilMs);
        return true;
    }

    public ValueTask<WaitResult> WaitAsync() => _wait.Wait();

    /// <summary>Takes note of the end of a wait.</summary>
    /// <returns>False: the answer is being delivered at this moment; await again.</returns>
    public bool IsOver(WaitResult result)
    {
        TimedOut |= result == WaitResult.TimedOut;
        Canceled |= result == WaitResult.Canceled;
        return StopWaiting();
    }

    public void Cancel() => _wait.Complete(WaitResult.Canceled);

    /// <summary>Ends the use of this object, also when the connection has not seen the end of the wait.</summary>
    /// <returns>False: an answer will still arrive, so the object must not be reused.</returns>
    public bool Abandon()
    {
        _abandoned = !StopWaiting();
        return !_abandoned;
    }

    public override void Answer(bool granted)
    {
        _granted = granted;
        _loop.Post(_tell);
    }

    private void Tell()
    {
        _pending = false;
        if (_abandoned && _granted)
        {
            _client!.Debit(_loop.NowNs, -Cost);
        }
        _wait.Complete(WaitResult.Ready);
    }

    private bool StopWaiting()
    {
        if (_pending && !_client!.Leave(this))
        {
            return false;
        }
        _pending = false;
        _loop.Deadlines.Remove(_alarm);
        return true;
    }

    private sealed class Alarm(TokenWait owner) : Deadline
    {
        public override void OnDue() => owner._wait.Complete(WaitResult.TimedOut);
    }
}
