using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;

namespace Penstock.Proxy.Exchanges;

/// <summary>What a socket did not take at once.</summary>
internal sealed partial class ClientConnection
{
    // [_pendingStart, _pendingEnd) of _pending.
    private byte[]? _pending;
    private int _pendingStart;
    private int _pendingEnd;

    private void Stash(ReadOnlySpan<byte> octets, int sent)
    {
        octets = octets[sent..];
        _pending = octets.Length <= BufferPool.Large
            ? _loop.Buffers.Rent(octets.Length) : GC.AllocateUninitializedArray<byte>(octets.Length);
        octets.CopyTo(_pending);
        _pendingStart = 0;
        _pendingEnd = octets.Length;
    }

    /// <summary>Sends what is pending; afterwards nothing is, whatever the end.</summary>
    private async ValueTask<RelayEnd> FlushAsync(Connection to)
    {
        RelayEnd end = RelayEnd.Done;
        while (end == RelayEnd.Done && _pendingStart < _pendingEnd)
        {
            int sent = to.TrySend(_pending.AsSpan(_pendingStart, _pendingEnd - _pendingStart));
            _pendingStart += Math.Max(0, sent);
            if (sent == Connection.Broken)
            {
                end = RelayEnd.TargetClosed;
            }
            else if (_pendingStart < _pendingEnd)
            {
                to.SetDeadline(ResponseTimeoutMs);
                end = await to.WaitForSpaceAsync() switch
                {
                    WaitResult.Ready => RelayEnd.Done,
                    WaitResult.TimedOut => RelayEnd.TargetTimedOut,
                    _ => RelayEnd.Canceled,
                };
            }
        }
        ReleasePending();
        return end;
    }

    private void ReleasePending()
    {
        if (_pending is not null)
        {
            if (_pending.Length <= BufferPool.Large)
            {
                _loop.Buffers.Return(_pending);
            }
            _pending = null;
        }
        _pendingStart = _pendingEnd = 0;
    }
}
