using Penstock.Proxy.Balancing;
using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>One connection's wait for a slot at a backend. Reusable. Not thread-safe, except
/// <see cref="Grant"/>.</summary>
internal sealed class SlotWait(Loop loop) : SlotWaiter
{
    private readonly WaitSource _wait = new();
    private readonly Alarm _alarm = new();
    private Backend? _backend;
    private bool _granted;

    /// <summary>The client has left during the wait.</summary>
    public bool Canceled { get; private set; }
    public bool TimedOut { get; private set; }

    /// <summary>The hash under which the queue gives slots to this client.</summary>
    public static ulong TurnOf(ReadOnlySpan<byte> clientName) => StableHash.Of(clientName);

    public void Begin(ReadOnlySpan<byte> clientName, ulong key)
    {
        (Client, AffinityHash) = (TurnOf(clientName), key);
        _backend = null;
        _granted = Canceled = TimedOut = false;
    }

    /// <returns>The backend, or null when no slot became free in time.</returns>
    public async ValueTask<Backend?> WaitAsync(SlotQueue queue, long timeoutMs)
    {
        _alarm.Rings = () => _wait.Complete(WaitResult.TimedOut);
        loop.Deadlines.Set(_alarm, loop.NowMs + timeoutMs);
        while (!_granted)
        {
            WaitResult result = await _wait.Wait();
            if (result == WaitResult.Ready)
            {
                continue;
            }
            TimedOut |= result == WaitResult.TimedOut;
            Canceled |= result == WaitResult.Canceled;
            if (queue.Leave(this))
            {
                break; // otherwise a slot is being granted at this moment: await that
            }
        }
        loop.Deadlines.Remove(_alarm);
        return _backend;
    }

    public void Cancel() => _wait.Complete(WaitResult.Canceled);

    public override void Grant(Backend? backend) => loop.Post(() =>
    {
        _backend = backend;
        _granted = true;
        _wait.Complete(WaitResult.Ready);
    });

    private sealed class Alarm : Deadline
    {
        public Action? Rings { get; set; }

        public override void OnDue() => Rings?.Invoke();
    }
}
