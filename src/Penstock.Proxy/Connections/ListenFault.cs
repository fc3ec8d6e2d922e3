using System.Net;
using System.Net.Sockets;

namespace Penstock.Proxy.Connections;

/// <summary>Explains to the operator why a listener cannot be bound, and what to do about it.</summary>
public static class ListenFault
{
    private const int LastPrivilegedPort = 1023;

    /// <param name="fault">The exception of the bind.</param>
    /// <param name="address">The listener's address.</param>
    public static string Explain(Exception fault, EndPoint address)
    {
        ArgumentNullException.ThrowIfNull(fault);
        bool isUnix = address is UnixDomainSocketEndPoint;
        return (fault as SocketException)?.SocketErrorCode switch
        {
            SocketError.AddressAlreadyInUse when isUnix =>
                "another program listens there, or left a file of that name: stop it, or choose another path",
            SocketError.AddressAlreadyInUse =>
                "another program listens there: stop it ('ss -ltnp' names it), or choose another port",
            SocketError.AccessDenied when address is IPEndPoint { Port: > 0 and <= LastPrivilegedPort } =>
                "this user may not use ports below 1024: choose another, or give the program CAP_NET_BIND_SERVICE",
            SocketError.AccessDenied => "this user may not create a socket there: choose a folder that it may write",
            SocketError.AddressNotAvailable when isUnix => "its folder does not exist",
            SocketError.AddressNotAvailable => "no interface of this machine has that address",
            _ => fault.Message,
        };
    }
}
