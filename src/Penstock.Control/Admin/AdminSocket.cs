using System.Net;
using System.Net.Sockets;
using Penstock.Control.Config;
using Penstock.Proxy.Connections;

namespace Penstock.Control.Admin;

/// <summary>The socket on which the admin API listens. Not thread-safe.</summary>
internal sealed class AdminSocket : IDisposable
{
    private readonly UnixFileMode? _mode;
    private Socket? _bound;

    private AdminSocket(EndPoint endPoint, UnixFileMode? mode) => (EndPoint, _mode) = (endPoint, mode);

    public EndPoint EndPoint { get; }

    /// <summary>Whether it is bound already.</summary>
    public bool IsBound => _bound is not null;

    /// <summary>Null when the API is off.</summary>
    /// <param name="shared">Another process listens there and hands over: bind now, so that a fault is found before
    /// that. A path cannot be shared; it is bound later, when the other process has left it.</param>
    /// <exception cref="StartException">The address cannot be bound.</exception>
    public static AdminSocket? Bind(AdminConfig config, bool shared)
    {
        if (config.Listen is not { } listen)
        {
            return null;
        }
        listen = SharedPort.WithoutIpv6(listen);
        var socket = new AdminSocket(listen, config.Mode);
        if (shared && listen is IPEndPoint address)
        {
            try
            {
                socket._bound = SharedPort.Bind(address);
            }
            catch (SocketException e)
            {
                throw Failed(listen, e);
            }
        }
        return socket;
    }

    public static StartException Failed(EndPoint listen, Exception cause) => new($"admin cannot listen on {listen}: "
        + (cause is SocketException ? ListenFault.Explain(cause, listen) : cause.Message)
        + "; its key is admin.listen", cause);

    /// <summary>The bound socket, which belongs to the caller from now on.</summary>
    /// <exception cref="SocketException">The address cannot be bound.</exception>
    public Socket Take()
    {
        if (_bound is { } bound)
        {
            _bound = null;
            return bound;
        }
        if (EndPoint is IPEndPoint address)
        {
            SharedPort.CheckFree(address);
            return SharedPort.Bind(address);
        }
        return UnixSocketFile.Bind((UnixDomainSocketEndPoint)EndPoint, _mode);
    }

    public void Dispose() => _bound?.Dispose();
}
