using Penstock.Proxy.EventLoop;

namespace Penstock.Proxy.Connections;

/// <summary>A wait for a given time that can be canceled. Reusable, with one wait at a time. Belongs to one loop; not
/// thread-safe.</summary>
internal sealed class Pause(Loop loop) : Deadline
{
    private readonly WaitSource _wait = new();

    /// <returns><see cref="WaitResult.TimedOut"/> when the time is over, else
    /// <see cref="WaitResult.Canceled"/>.</returns>
    public ValueTask<WaitResult> WaitAsync(long ms)
    {
        loop.Deadlines.Set(this, loop.NowMs + ms);
        return _wait.Wait();
    }

    /// <summary>Cancels the present wait, if there is one.</summary>
    public void Cancel()
    {
        loop.Deadlines.Remove(this);
        _wait.Complete(WaitResult.Canceled);
    }

    public override void OnDue() => _wait.Complete(WaitResult.TimedOut);
}
