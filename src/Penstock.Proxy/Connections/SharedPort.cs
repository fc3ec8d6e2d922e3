using System.Net;
using System.Net.Sockets;

namespace Penstock.Proxy.Connections;

/// <summary>Ports on which several sockets listen, of one user (socket(7), SO_REUSEPORT): one for each loop, or one of
/// each of two processes while one takes over from the other.</summary>
public static class SharedPort
{
    private const int SolSocket = 1;
    private const int SoReuseAddress = 2;
    private const int SoReusePort = 15;

    /// <summary>Without IPv6, "all addresses" are all of IPv4.</summary>
    /// <param name="ipv6">Whether the system has IPv6; null: ask the system.</param>
    public static EndPoint WithoutIpv6(EndPoint address, bool? ipv6 = null) =>
        address is IPEndPoint { Address: var ip, Port: var port } && ip.Equals(IPAddress.IPv6Any)
            && !(ipv6 ?? Socket.OSSupportsIPv6) ? new IPEndPoint(IPAddress.Any, port) : address;

    /// <summary>A second Penstock would take half of the traffic, because processes share ports, too.</summary>
    /// <exception cref="SocketException">Another socket listens there, or the address cannot be bound.</exception>
    public static void CheckFree(IPEndPoint address)
    {
        ArgumentNullException.ThrowIfNull(address);
        if (address.Port != 0)
        {
            Bind(address, share: false).Dispose();
        }
    }

    /// <summary>A socket that is bound and does not listen yet. It does not block.</summary>
    /// <exception cref="SocketException">The address cannot be bound.</exception>
    public static Socket Bind(IPEndPoint address) => Bind(address, share: true);

    private static Socket Bind(IPEndPoint address, bool share)
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
                socket.DualMode = address.Address.Equals(IPAddress.IPv6Any);
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
}
