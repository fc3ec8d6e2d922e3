using System.Threading.Tasks.Sources;

namespace Penstock.Proxy.Connections;

internal enum WaitResult : byte
{
    /// <summary>The socket may be ready: try again.</summary>
    Ready,
    TimedOut,

    /// <summary>Penstock ended the wait.</summary>
    Canceled,
}

/// <summary>A reusable wait that allocates nothing. Awaiting it suspends an async method; completing it resumes the
/// method at once, on the loop's thread. One wait at a time; not thread-safe.</summary>
internal sealed class WaitSource : IValueTaskSource<WaitResult>
{
    private ManualResetValueTaskSourceCore<WaitResult> _core;
    private bool _waiting;

    public bool IsAwaited => _waiting;

    public ValueTask<WaitResult> Wait()
    {
        _core.Reset();
        _waiting = true;
        return new ValueTask<WaitResult>(this, _core.Version);
    }

    /// <returns>Whether a method was waiting.</returns>
    public bool Complete(WaitResult result)
    {
        if (!_waiting)
        {
            return false;
        }
        _waiting = false;
        _core.SetResult(result);
        return true;
    }

    WaitResult IValueTaskSource<WaitResult>.GetResult(short token) => _core.GetResult(token);

    ValueTaskSourceStatus IValueTaskSource<WaitResult>.GetStatus(short token) => _core.GetStatus(token);

    void IValueTaskSource<WaitResult>.OnCompleted(Action<object?> continuation, object? state, short token,
        ValueTaskSourceOnCompletedFlags flags) => _core.OnCompleted(continuation, state, token, flags);
}
