using System.Net;
using System.Net.Sockets;
using Penstock.Proxy.EventLoop;

namespace Penstock.Proxy.Connections;

/// <summary>Accepts client connections on one loop. Every loop has its own listening socket on the same address
/// (SO_REUSEPORT), so the kernel spreads the connections and no loop waits for another. Not thread-safe.</summary>
internal sealed class Listener : EventSource
{
    /// <summary>The kernel reduces it to net.core.somaxconn (4096 by default).</summary>
    private const int Backlog = 65535;
    private const int MaxAcceptsPerRound = 64;

    /// <summary>How long accepting pauses when no client may be accepted.</summary>
    private const long PauseMs = 100;

    /// <summary>At most one log line in this time says that accepting pauses.</summary>
    private const long TellEveryMs = 10_000;

    private readonly Loop _loop;
    private readonly Socket _socket;
    private readonly Action<Socket> _onAccept;
    private readonly Action<string> _onPause;
    private readonly Func<string?> _obstacle;
    private long _tellAgainMs;

    /// <param name="socket">One of <see cref="BindEach"/>.</param>
    /// <param name="onAccept">Called with an accepted, non-blocking socket.</param>
    /// <param name="obstacle">Returns why no client may be accepted now; null when one may.</param>
    /// <param name="onPause">Called with the cause when accepting pauses, at most every ten seconds.</param>
    public Listener(Loop loop, Socket socket, Action<Socket> onAccept, Func<string?> obstacle,
        Action<string> onPause)
    {
        _loop = loop;
        _socket = socket;
        _onAccept = onAccept;
        _onPause = onPause;
        _obstacle = obstacle;
        loop.Register(this, socket, EpollEvents.Read | EpollEvents.EdgeTriggered);
    }

    /// <summary>Binds listening sockets to one address, one for each loop; for a Unix domain socket only one, because
    /// it cannot be shared.</summary>
    /// <param name="address">The address; <c>[::]</c> means all addresses of IPv6 and IPv4.</param>
    /// <param name="mode">The mode of a Unix domain socket's file; null: by the umask.</param>
    /// <param name="ipv6">Whether the system has IPv6; null: ask the system.</param>
    /// <param name="inherited">Sockets that listen on the address already. They come first, and all of them are used,
    /// because connections wait in each.</param>
    /// <exception cref="SocketException">The address is in use, not an address of this machine, or not
    /// allowed.</exception>
    public static Socket[] BindEach(EndPoint address, int loops, UnixFileMode? mode = null, bool? ipv6 = null,
        IReadOnlyList<Socket>? inherited = null)
    {
        List<Socket> sockets = [.. inherited ?? []];
        if (address is UnixDomainSocketEndPoint unix)
        {
            return sockets.Count > 0 ? [.. sockets] : [BindUnix(unix, mode)];
        }
        address = SharedPort.WithoutIpv6(address, ipv6);
        if (sockets.Count == 0)
        {
            SharedPort.CheckFree((IPEndPoint)address);
        }
        try
        {
            for (int i = sockets.Count; i < loops; i++)
            {
                sockets.Add(SharedPort.Bind((IPEndPoint)(i == 0 ? address : sockets[0].LocalEndPoint!)));
                sockets[i].Listen(Backlog);
            }
            return [.. sockets];
        }
        catch
        {
            sockets.ForEach(static s => s.Dispose());
            throw;
        }
    }

    private static Socket BindUnix(UnixDomainSocketEndPoint address, UnixFileMode? mode)
    {
        Socket socket = UnixSocketFile.Bind(address, mode);
        socket.Listen(Backlog);
        return socket;
    }

    public override void OnReady(EpollEvents ready)
    {
        if (DueMs == long.MaxValue)
        {
            OnTurn(); // otherwise accepting pauses until the deadline
        }
    }

    public override void OnTurn()
    {
        for (int i = 0; i < MaxAcceptsPerRound; i++)
        {
            if (Descriptor < 0 || !TryAccept())
            {
                return;
            }
        }
        _loop.Defer(this); // more may wait, and no further event will come for them
    }

    public override void OnDue() => OnTurn();

    /// <summary>Accepts the connections that already wait, then stops listening.</summary>
    public void Close()
    {
        while (Descriptor >= 0 && TryAccept())
        {
        }
        _loop.Unregister(this);
        if (_socket.LocalEndPoint is UnixDomainSocketEndPoint unix)
        {
            File.Delete(unix.ToString()); // .NET does so only if this process has bound the socket
        }
        _socket.Dispose();
    }

    /// <summary>Leaves the socket, with the connections that wait in it, to another process.</summary>
    public void Release()
    {
        _loop.Detach(this);
        SharedSocket.Release(_socket);
    }

    private bool TryAccept()
    {
        // Accept would throw an exception when no connection waits. Asking first is one cheap system call.
        if (!_socket.Poll(0, SelectMode.SelectRead))
        {
            return false;
        }
        if (_obstacle() is { } obstacle)
        {
            Pause(obstacle);
            return false;
        }
        try
        {
            Socket client = _socket.Accept();
            client.Blocking = false;
            _onAccept(client);
            return true;
        }
        catch (SocketException e) when (e.SocketErrorCode is SocketError.TooManyOpenSockets
            or SocketError.NoBufferSpaceAvailable)
        {
            Pause("out of descriptors, raise LimitNOFILE for more");
            return false;
        }
        catch (SocketException)
        {
            // That client left between the two calls. Another one may wait.
            return true;
        }
    }

    /// <summary>Pauses accepting instead of spinning. New connections wait in the kernel's queue.</summary>
    private void Pause(string cause)
    {
        if (_loop.NowMs >= _tellAgainMs)
        {
            _tellAgainMs = _loop.NowMs + TellEveryMs;
            _onPause(cause);
        }
        _loop.Deadlines.Set(this, _loop.NowMs + PauseMs);
    }
}
