using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Proxy.Exchanges;

/// <summary>One request's wait for tokens that nodes share, reused by its loop's connections. On its loop but for
/// <see cref="Answer"/>.</summary>
internal sealed class TokenWait : TokenWaiter
{
    private readonly WaitSource _wait = new();
    private readonly Alarm _alarm;
    private readonly Loop _loop;
    private readonly Action _tell;
    private LeasedBucket? _client;
    private bool _granted;

    /// <summary>It stands in line, or an answer is on its way.</summary>
    private bool _pending;
    private bool _abandoned;

    public TokenWait(Loop loop)
    {
        _loop = loop;
        _alarm = new Alarm(this);
        _tell = Tell;
    }

    /// <summary>The client went away meanwhile.</summary>
    public bool Canceled { get; private set; }

    public bool TimedOut { get; private set; }

    /// <summary>Whose tokens have been taken for the request; null: nobody's.</summary>
    public LeasedBucket? Prepaid => _granted ? _client : null;

    /// <summary>Stands in line for a client's tokens.</summary>
    /// <returns>True: it waits, see <see cref="WaitAsync"/>. False: that is decided already.</returns>
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

    /// <summary>Takes note of how a wait ended.</summary>
    /// <returns>False: it is being answered in this moment, and that word must be awaited.</returns>
    public bool IsOver(WaitResult result)
    {
        TimedOut |= result == WaitResult.TimedOut;
        Canceled |= result == WaitResult.Canceled;
        return StopWaiting();
    }

    public void Cancel() => _wait.Complete(WaitResult.Canceled);

    /// <summary>Its connection ends without having seen the end of the wait.</summary>
    /// <returns>False: an answer is still to come, it cannot be used again.</returns>
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
