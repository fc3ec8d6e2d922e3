using System.Net;
using System.Net.Sockets;
using Penstock.Proxy.EventLoop;

namespace Penstock.Proxy.Connections;

/// <summary>What happened on a connection while nobody was waiting for it.</summary>
internal enum UnexpectedEvent : byte
{
    /// <summary>Bytes came in.</summary>
    Data,
    TimedOut,
}

/// <summary>Who uses a connection.</summary>
internal interface IConnectionOwner
{
    void OnUnexpectedEvent(UnexpectedEvent what);

    /// <summary>The peer has ended its stream, or is gone; see <see cref="Connection.PeerClosed"/> and
    /// <see cref="Connection.PeerGone"/>. Told once for each, whoever waits for the connection, and after the waits
    /// that this ends: what can be read before the end may not have been read yet.</summary>
    void OnPeerClosed();
}

/// <summary>One non-blocking stream socket on a loop, used by readiness: try first or wait first, then try. Nothing is
/// buffered here, so a connection that waits costs no buffer. Not thread-safe: all calls come from the loop.
///
/// The socket is registered once, edge-triggered, for everything. A receive that did not fill its buffer has drained
/// the socket, so the next try waits for an event instead of a system call that would say "would block".</summary>
internal sealed class Connection : EventSource
{
    /// <summary>Result of a try: nothing can be moved now; wait, then try again.</summary>
    public const int WouldBlock = -1;

    /// <summary>Result of a try: the connection is broken.</summary>
    public const int Broken = -2;

    /// <summary>Waits for data in a row that end at once, before the loop's other sources have a turn: a peer that
    /// sends faster than we relay would keep the loop to itself.</summary>
    private const int MaxAtOnce = 16;

    private readonly Loop _loop;
    private readonly Socket _socket;
    private readonly WaitSource _data = new();
    private readonly WaitSource _space = new();
    private bool _readable;
    private bool _writable;
    private bool _peerClosed;
    private bool _sendEnded;
    private bool _expired;
    private bool _canceled;
    private int _atOnce;

    /// <summary>Takes over a connected, or (with <paramref name="connecting"/>) a connecting, socket.</summary>
    public Connection(Loop loop, Socket socket, IConnectionOwner owner, bool connecting = false)
    {
        _loop = loop;
        _socket = socket;
        Owner = owner;
        _writable = !connecting;
        loop.Register(this, socket,
            EpollEvents.Read | EpollEvents.Write | EpollEvents.PeerClosed | EpollEvents.EdgeTriggered);
    }

    public IConnectionOwner Owner { get; }

    public bool IsClosed { get; private set; }

    /// <summary>Bytes or an end may be there to be received.</summary>
    public bool MayHaveData => _readable;

    /// <summary>The peer has sent its last byte; there may be some to be received before it.</summary>
    public bool PeerClosed => _peerClosed;

    /// <summary>The peer takes no bytes either: it reset the connection, or the network gave it up.</summary>
    public bool PeerGone { get; private set; }

    /// <summary>Its deadline has passed; waits end at once.</summary>
    public bool HasExpired => _expired;

    /// <summary>It was ended from our side.</summary>
    public bool WasCanceled => _canceled;

    public EndPoint? LocalEndPoint => _socket.LocalEndPoint;

    /// <summary>Somebody waits for data.</summary>
    public bool AwaitsData => _data.IsAwaited;

    /// <summary>From now on waits end with <see cref="WaitResult.TimedOut"/> after that long.</summary>
    public void SetDeadline(long afterMs)
    {
        _expired = false;
        _loop.Deadlines.Set(this, _loop.NowMs + afterMs);
    }

    public void ClearDeadline()
    {
        _expired = false;
        Deadlines.Clear(this);
    }

    /// <returns>Bytes received; 0 at the end of the stream; <see cref="WouldBlock"/>; <see cref="Broken"/>.</returns>
    public int TryReceive(Span<byte> buffer)
    {
        if (!_readable || IsClosed)
        {
            return IsClosed ? Broken : WouldBlock;
        }
        int count = _socket.Receive(buffer, SocketFlags.None, out SocketError error);
        if (error == SocketError.Success)
        {
            // With the peer's end already announced no further edge will come: keep reading until it is seen.
            _readable = count == buffer.Length || _peerClosed;
            return count;
        }
        if (error == SocketError.WouldBlock)
        {
            _readable = false;
            return WouldBlock;
        }
        return Broken;
    }

    /// <returns>Bytes that the kernel took, possibly fewer than given; <see cref="WouldBlock"/>;
    /// <see cref="Broken"/>.</returns>
    public int TrySend(ReadOnlySpan<byte> bytes)
    {
        if (!_writable || IsClosed)
        {
            return IsClosed ? Broken : WouldBlock;
        }
        int count = _socket.Send(bytes, SocketFlags.None, out SocketError error);
        if (error == SocketError.Success)
        {
            _writable = count == bytes.Length;
            return count;
        }
        if (error == SocketError.WouldBlock)
        {
            _writable = false;
            return WouldBlock;
        }
        return Broken;
    }

    /// <summary>Waits until a receive is worth trying. One waiter at a time.</summary>
    public ValueTask<WaitResult> WaitForDataAsync()
    {
        WaitResult? result = Immediate(_readable);
        if (result is null)
        {
            _atOnce = 0;
            return _data.Wait();
        }
        if (result == WaitResult.Ready && ++_atOnce > MaxAtOnce)
        {
            _atOnce = 0;
            _loop.Defer(this);
            return _data.Wait();
        }
        return new(result.Value);
    }

    /// <summary>Waits until a send is worth trying, or until a connecting socket has an outcome. One waiter at a
    /// time.</summary>
    public ValueTask<WaitResult> WaitForSpaceAsync() =>
        Immediate(_writable) is { } result ? new(result) : _space.Wait();

    /// <summary>Ends waits, now and in future, with <see cref="WaitResult.Canceled"/>.</summary>
    public void Cancel()
    {
        _canceled = true;
        InterruptWaits();
    }

    /// <summary>Ends waits that are under way with <see cref="WaitResult.Canceled"/>.</summary>
    public void InterruptWaits()
    {
        _data.Complete(WaitResult.Canceled);
        _space.Complete(WaitResult.Canceled);
    }

    /// <summary>The outcome of connecting.</summary>
    public SocketError ConnectError() => (SocketError)(int)_socket.GetSocketOption(
        SocketOptionLevel.Socket, SocketOptionName.Error)!;

    /// <summary>Asks the kernel whether bytes or an end are there, now. A system call.</summary>
    public bool PollData() => _socket.Poll(0, SelectMode.SelectRead);

    /// <summary>Sends the end of our stream; the other direction stays open.</summary>
    public void ShutdownSend()
    {
        if (IsClosed)
        {
            return;
        }
        _sendEnded = true;
        try
        {
            _socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // The peer was faster.
        }
    }

    /// <summary>Closes the socket. Waits that are under way end with <see cref="WaitResult.Canceled"/>.</summary>
    /// <param name="reset">Tell the peer that the stream is cut, not ended.</param>
    public void Close(bool reset = false)
    {
        if (IsClosed)
        {
            return;
        }
        IsClosed = true;
        _loop.Unregister(this);
        if (reset)
        {
            _socket.LingerState = new LingerOption(enable: true, seconds: 0);
        }
        _socket.Dispose();
        Cancel();
    }

    public override void OnReady(EpollEvents ready)
    {
        bool hungUp = (ready & (EpollEvents.HangUp | EpollEvents.Error)) != EpollEvents.None;
        bool readable = hungUp || (ready & (EpollEvents.Read | EpollEvents.PeerClosed)) != EpollEvents.None;
        bool told = _peerClosed && (PeerGone || !hungUp);
        _peerClosed |= hungUp || (ready & EpollEvents.PeerClosed) != EpollEvents.None;

        // When both sides have ended their streams in good order that is a "hang-up", too.
        PeerGone |= hungUp && (!_sendEnded || (ready & EpollEvents.Error) != EpollEvents.None);
        _readable |= readable;
        _writable |= hungUp || (ready & EpollEvents.Write) != EpollEvents.None;

        bool attended = _writable && _space.Complete(WaitResult.Ready);
        attended |= readable && _data.Complete(WaitResult.Ready);
        if (IsClosed)
        {
            return;
        }
        if (_peerClosed && !told)
        {
            Owner.OnPeerClosed();
        }
        else if (!attended && readable)
        {
            Owner.OnUnexpectedEvent(UnexpectedEvent.Data);
        }
    }

    public override void OnTurn()
    {
        if (_readable)
        {
            _data.Complete(WaitResult.Ready);
        }
    }

    public override void OnDue()
    {
        _expired = true;
        bool attended = _data.Complete(WaitResult.TimedOut);
        attended |= _space.Complete(WaitResult.TimedOut);
        if (!attended)
        {
            Owner.OnUnexpectedEvent(UnexpectedEvent.TimedOut);
        }
    }

    private WaitResult? Immediate(bool ready) => _canceled ? WaitResult.Canceled
        : ready ? WaitResult.Ready
        : _expired ? WaitResult.TimedOut : null;
}
