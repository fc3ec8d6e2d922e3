using System.Net;
using System.Net.Sockets;
using Penstock.Proxy.EventLoop;

namespace Penstock.Proxy.Connections;

/// <summary>Accepts connections on one loop. Every loop has a listening socket of its own on the same address
/// (SO_REUSEPORT), so the kernel spreads the connections and no loop waits for another.</summary>
internal sealed class Listener : EventSource
{
    /// <summary>The kernel cuts it down to net.core.somaxconn (4096 by default).</summary>
    private const int Backlog = 65535;
    private const int SolSocket = 1;
    private const int SoReuseAddress = 2;
    private const int SoReusePort = 15;
    private const int MaxAcceptsPerRound = 64;

    /// <summary>How long accepting pauses when the process is out of descriptors.</summary>
    private const long PauseMs = 100;

    /// <summary>How often at most the operator is told that accepting pauses.</summary>
    private const long TellEveryMs = 10_000;

    private readonly Loop _loop;
    private readonly Socket _socket;
    private readonly Action<Socket> _onAccept;
    private readonly Action<string> _onPause;
    private readonly Func<string?> _obstacle;
    private long _tellAgainMs;

    /// <param name="socket">One of <see cref="BindEach"/>.</param>
    /// <param name="onAccept">Takes over an accepted, non-blocking socket.</param>
    /// <param name="obstacle">Why no client may be let in now; null when one may.</param>
    /// <param name="onPause">Told the cause when accepting has to pause, every ten seconds at most.</param>
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

    /// <summary>Listening sockets on one address, one for each loop; one only for a Unix domain socket, which cannot be
    /// shared.</summary>
    /// <param name="address"><c>[::]</c> stands for all addresses, of IPv4, too.</param>
    /// <param name="mode">Of the file of a Unix domain socket; null: as the umask says.</param>
    /// <param name="ipv6">Does the system have IPv6? By default it is asked.</param>
    /// <exception cref="SocketException">The address is taken, not ours, or not allowed.</exception>
    public static Socket[] BindEach(EndPoint address, int loops, UnixFileMode? mode = null, bool? ipv6 = null)
    {
        if (address is UnixDomainSocketEndPoint unix)
        {
            return [BindUnix(unix, mode)];
        }
        address = WithoutIpv6(address, ipv6);
        if (((IPEndPoint)address).Port != 0)
        {
            // Sharing works between processes, too: without this look a second Penstock would take half the traffic.
            Bind(address, share: false).Dispose();
        }
        var sockets = new List<Socket>();
        try
        {
            for (int i = 0; i < loops; i++)
            {
                sockets.Add(Bind(i == 0 ? address : sockets[0].LocalEndPoint!, share: true));
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

    /// <summary>Where IPv6 is off, "all addresses" are those of IPv4.</summary>
    internal static EndPoint WithoutIpv6(EndPoint address, bool? ipv6 = null) =>
        address is IPEndPoint { Address: var ip, Port: var port } && ip.Equals(IPAddress.IPv6Any)
            && !(ipv6 ?? Socket.OSSupportsIPv6) ? new IPEndPoint(IPAddress.Any, port) : address;

    private static Socket Bind(EndPoint address, bool share)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
        try
        {
            // Raw, because SocketOptionName.ReuseAddress also shares the port.
            socket.SetRawSocketOption(SolSocket, SoReuseAddress, BitConverter.GetBytes(1));
            if (share)
            {
                socket.SetRawSocketOption(SolSocket, SoReusePort, BitConverter.GetBytes(1));
            }
            if (address.AddressFamily == AddressFamily.InterNetworkV6)
            {
                socket.DualMode = ((IPEndPoint)address).Address.Equals(IPAddress.IPv6Any);
            }
            socket.Bind(address);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static Socket BindUnix(UnixDomainSocketEndPoint address, UnixFileMode? mode)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
        try
        {
            string path = address.ToString();
            UnixSocketFile.RemoveIfStale(path);
            socket.Bind(address);
            if (mode is { } wanted)
            {
                File.SetUnixFileMode(path, wanted); // nobody can connect before the socket listens
            }
            socket.Listen(Backlog);
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    public override void OnReady(EpollEvents ready)
    {
        if (DueMs == long.MaxValue)
        {
            OnTurn(); // else accepting pauses, whoever knocks
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
        _loop.Defer(this); // more may wait, and no further edge will tell
    }

    public override void OnDue() => OnTurn();

    /// <summary>Accepts what already waits, then stops listening.</summary>
    public void Close()
    {
        while (Descriptor >= 0 && TryAccept())
        {
        }
        _loop.Unregister(this);
        _socket.Dispose();
    }

    private bool TryAccept()
    {
        // Accept would report "nothing there" by an exception; asking first is one cheap system call.
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
            // That client went away between the two calls; the next one may be there.
            return true;
        }
    }

    /// <summary>No room: come back in a moment instead of spinning. The kernel keeps who knocks meanwhile.</summary>
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
