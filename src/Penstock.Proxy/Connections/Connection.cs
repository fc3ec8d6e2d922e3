using System.Net;
using System.Net.Sockets;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Tls;

namespace Penstock.Proxy.Connections;

/// <summary>An event on a connection without a waiting method.</summary>
internal enum UnexpectedEvent : byte
{
    /// <summary>Bytes arrived.</summary>
    Data,
    TimedOut,
}

/// <summary>The user of a connection.</summary>
internal interface IConnectionOwner
{
    void OnUnexpectedEvent(UnexpectedEvent what);

    /// <summary>Called when the peer has ended its stream and when it is gone, once for each; see
    /// <see cref="Connection.PeerClosed"/> and <see cref="Connection.PeerGone"/>. It is called also while a method
    /// waits, and after the waits that the event ends. Bytes before the end may not have been read yet.</summary>
    void OnPeerClosed();
}

/// <summary>One non-blocking stream socket on a loop: try first, or wait until the socket is ready and then try. It
/// buffers nothing, so a waiting connection needs no buffer. Not thread-safe: all calls come from the loop.
///
/// The socket is registered edge-triggered, for space only once it had none. A receive that did not fill its buffer has
/// emptied the socket, so the next one waits for an event, without a system call that would say "would block".
///
/// With TLS, receives and sends go through the session, which comes back to the socket.</summary>
internal sealed class Connection : EventSource, ITlsTransport
{
    /// <summary>Result of a receive or send: nothing can be moved now. Wait, then try again.</summary>
    public const int WouldBlock = SocketCalls.WouldBlock;

    /// <summary>Result of a receive or send: the connection is broken.</summary>
    public const int Broken = SocketCalls.Broken;

    /// <summary>After this many waits in a row that complete without waiting, yield to the loop's other sources.
    /// Otherwise a peer that sends faster than Penstock relays would keep the loop to itself.</summary>
    private const int MaxAtOnce = 16;

    private const EpollEvents Always = EpollEvents.Read | EpollEvents.PeerClosed | EpollEvents.EdgeTriggered;

    private readonly Loop _loop;
    private readonly Socket _socket;
    private readonly WaitSource _data = new();
    private readonly WaitSource _space = new();
    private TlsSession? _tls;
    private bool _readable;
    private bool _writable;
    private bool _watchesSpace;
    private bool _peerClosed;
    private bool _sendEnded;
    private bool _expired;
    private bool _canceled;
    private int _atOnce;

    /// <summary>Takes ownership of a socket that is connected or, with <paramref name="connecting"/>, is being
    /// connected.</summary>
    public Connection(Loop loop, Socket socket, IConnectionOwner owner, bool connecting = false)
    {
        _loop = loop;
        _socket = socket;
        Owner = owner;
        (_writable, _watchesSpace) = (!connecting, connecting);
        loop.Register(this, socket, connecting ? Always | EpollEvents.Write : Always);
    }

    public IConnectionOwner Owner { get; }

    public bool IsClosed { get; private set; }

    /// <summary>Bytes or the end of the stream may have arrived.</summary>
    public bool MayHaveData => _readable || _tls is { HasData: true };

    /// <summary>The connection's TLS; null: it has none.</summary>
    public TlsSession? Tls => _tls;

    /// <summary>The peer has ended its stream. Bytes before the end may not have been received yet.</summary>
    public bool PeerClosed => _peerClosed;

    /// <summary>The peer also receives no more bytes: it reset the connection, or the network did.</summary>
    public bool PeerGone { get; private set; }

    /// <summary>The deadline has passed; waits end at once.</summary>
    public bool HasExpired => _expired;

    /// <summary><see cref="Cancel"/> was called.</summary>
    public bool WasCanceled => _canceled;

    public EndPoint? LocalEndPoint => _socket.LocalEndPoint;

    /// <summary>A method waits for data.</summary>
    public bool AwaitsData => _data.IsAwaited;

    /// <summary>Sets the deadline. Waits end with <see cref="WaitResult.TimedOut"/> when it has passed, at most
    /// <see cref="Deadlines.TickMs"/> late.</summary>
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

    /// <summary>Begins TLS. The session does the handshake when the owner calls <see cref="HandshakeAsync"/>.</summary>
    public void StartTls(TlsSession session) => _tls = session;

    /// <summary>Does the handshake of TLS, under the deadline.</summary>
    /// <returns>Null when it is done; otherwise why the connection cannot be used: <see cref="WaitResult.Ready"/> when
    /// the peer broke it, see <see cref="TlsSession.Fault"/>.</returns>
    public async ValueTask<WaitResult?> HandshakeAsync()
    {
        while (true)
        {
            while (!_loop.MayWorkHard())
            {
                _loop.Defer(this);
                if (await _data.Wait() is not WaitResult.Ready and WaitResult interrupted)
                {
                    return interrupted;
                }
            }
            HandshakeState state = IsClosed ? HandshakeState.Failed : _tls!.Handshake();
            if (state is HandshakeState.Done or HandshakeState.Failed)
            {
                return state == HandshakeState.Done ? null : WaitResult.Ready;
            }
            WaitResult result = state == HandshakeState.NeedsData
                ? await WaitForSocketAsync() : await WaitForSpaceAsync();
            if (result != WaitResult.Ready)
            {
                return result;
            }
        }
    }

    /// <returns>Bytes received; 0 at the end of the stream; <see cref="WouldBlock"/>; <see cref="Broken"/>.</returns>
    public int TryReceive(Span<byte> buffer) => _tls is null ? ReceiveRaw(buffer)
        : IsClosed ? Broken : MayHaveData ? _tls.Receive(buffer) : WouldBlock;

    /// <param name="isLast">The end of the stream follows at once; both may leave together.</param>
    /// <returns>Bytes that the kernel took, possibly fewer than given; <see cref="WouldBlock"/>: call it again with the
    /// same bytes; <see cref="Broken"/>.</returns>
    public int TrySend(ReadOnlySpan<byte> bytes, bool isLast = false) => _tls is null ? SendRaw(bytes, isLast)
        : IsClosed ? Broken : _writable ? _tls.Send(bytes, isLast) : WouldBlock;

    /// <inheritdoc/>
    public int ReceiveRaw(Span<byte> buffer)
    {
        if (!_readable || IsClosed)
        {
            return IsClosed ? Broken : WouldBlock;
        }
        int count = SocketCalls.Receive(Descriptor, buffer);
        if (count != Broken)
        {
            // When the peer's end is already announced, no further event comes. Keep reading until the end is reached.
            _readable = count == buffer.Length || (_peerClosed && count != WouldBlock);
        }
        return count;
    }

    /// <inheritdoc/>
    public int SendRaw(ReadOnlySpan<byte> bytes, bool more)
    {
        if (!_writable || IsClosed)
        {
            return IsClosed ? Broken : WouldBlock;
        }
        int count = SocketCalls.Send(Descriptor, bytes, more);
        if (count == Broken)
        {
            return Broken;
        }
        _writable = count == bytes.Length;
        if (!_writable && !_watchesSpace)
        {
            _watchesSpace = true;
            _loop.Watch(this, Always | EpollEvents.Write);
        }
        return count;
    }

    /// <summary>Waits until a receive may succeed. One waiter at a time.</summary>
    public ValueTask<WaitResult> WaitForDataAsync() => WaitForDataAsync(MayHaveData);

    private ValueTask<WaitResult> WaitForSocketAsync() => WaitForDataAsync(_readable);

    private ValueTask<WaitResult> WaitForDataAsync(bool mayHaveData)
    {
        WaitResult? result = Immediate(mayHaveData);
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

    /// <summary>Waits until a send may succeed, or until an attempt to connect has ended. One waiter at a
    /// time.</summary>
    public ValueTask<WaitResult> WaitForSpaceAsync() =>
        Immediate(_writable) is { } result ? new(result) : _space.Wait();

    /// <summary>Ends present and future waits with <see cref="WaitResult.Canceled"/>.</summary>
    public void Cancel()
    {
        _canceled = true;
        InterruptWaits();
    }

    /// <summary>Ends present waits with <see cref="WaitResult.Canceled"/>.</summary>
    public void InterruptWaits()
    {
        _data.Complete(WaitResult.Canceled);
        _space.Complete(WaitResult.Canceled);
    }

    /// <summary>The result of connecting: <see cref="SocketError.Success"/>, or why it failed.</summary>
    public SocketError ConnectError() => (SocketError)(int)_socket.GetSocketOption(
        SocketOptionLevel.Socket, SocketOptionName.Error)!;

    /// <summary>Whether bytes or the end of the stream have arrived. A system call. TLS may also have received records
    /// that are not for the reader, such as session tickets.</summary>
    public bool PollData() => _tls is null ? _socket.Poll(0, SelectMode.SelectRead)
        : (MayHaveData || _socket.Poll(0, SelectMode.SelectRead)) && PeekTls();

    /// <summary>Bytes or the end of the stream may have arrived, and TLS has something for a reader.</summary>
    public bool HasUnread => MayHaveData && (_tls is null || PeekTls());

    /// <summary>Ends the stream to the peer. The other direction stays open.</summary>
    public void ShutdownSend()
    {
        if (IsClosed)
        {
            return;
        }
        _sendEnded = true;
        _tls?.End();
        try
        {
            _socket.Shutdown(SocketShutdown.Send);
        }
        catch (SocketException)
        {
            // The peer has closed the connection already.
        }
    }

    /// <summary>Closes the socket. Present waits end with <see cref="WaitResult.Canceled"/>.</summary>
    /// <param name="reset">Send a reset, which tells the peer that the stream is incomplete.</param>
    public void Close(bool reset = false)
    {
        if (IsClosed)
        {
            return;
        }
        if (!reset)
        {
            _tls?.End();
        }
        IsClosed = true;
        _loop.Unregister(this);
        if (reset)
        {
            _socket.LingerState = new LingerOption(enable: true, seconds: 0);
        }
        _socket.Dispose();
        _tls?.Free();
        Cancel();
    }

    public override void OnReady(EpollEvents ready)
    {
        bool hungUp = (ready & (EpollEvents.HangUp | EpollEvents.Error)) != EpollEvents.None;
        bool readable = hungUp || (ready & (EpollEvents.Read | EpollEvents.PeerClosed)) != EpollEvents.None;
        bool told = _peerClosed && (PeerGone || !hungUp);
        _peerClosed |= hungUp || (ready & EpollEvents.PeerClosed) != EpollEvents.None;

        // epoll reports a hang-up also when both sides have ended their streams normally.
        PeerGone |= hungUp && (!_sendEnded || (ready & EpollEvents.Error) != EpollEvents.None);
        _readable |= readable;
        _writable |= hungUp || (ready & EpollEvents.Write) != EpollEvents.None;

        readable |= _writable && _tls?.TakeSpace() == true;
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
        else if (!attended && readable && (_tls is null || PeekTls()))
        {
            Owner.OnUnexpectedEvent(UnexpectedEvent.Data);
        }
    }

    public override void OnTurn()
    {
        if (MayHaveData)
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

    /// <summary>Whether TLS has bytes or the end of the stream for a reader.</summary>
    private bool PeekTls()
    {
        _readable = true; // the kernel decides
        return _tls!.Peek();
    }

    private WaitResult? Immediate(bool ready) => _canceled ? WaitResult.Canceled
        : ready ? WaitResult.Ready
        : _expired ? WaitResult.TimedOut : null;
}
