using System.Net;
using System.Net.Sockets;

namespace Penstock.Proxy.Clients;

/// <summary>An address in the two forms that requests need: as text for the backend and the log, and as a client's
/// name, for which IPv6 addresses are grouped by network. Created once per connection. Immutable.</summary>
internal sealed class ClientAddress
{
    private readonly int _ipv6Prefix;

    public ClientAddress(EndPoint? endPoint, int ipv6Prefix)
    {
        _ipv6Prefix = ipv6Prefix;
        if (endPoint is IPEndPoint ip)
        {
            Port = ip.Port;
            IPAddress address = AddressText.Plain(ip.Address);
            Ip = address;
            Text = AddressText.Format(address);
            ClientName = NameOf(address, ipv6Prefix);
        }
        else
        {
            Text = ClientName = "unix"u8.ToArray();
        }
    }

    /// <summary>Null for a Unix domain socket.</summary>
    public IPAddress? Ip { get; }
    public int Port { get; }
    public byte[] Text { get; }

    /// <summary>The address; of IPv6 the network that counts as one client. Null for a Unix domain socket.</summary>
    public IPAddress? Network => Ip is null || Ip.AddressFamily != AddressFamily.InterNetworkV6 || _ipv6Prefix == 128
        ? Ip : AddressText.Masked(Ip, _ipv6Prefix);

    /// <summary>Address and port, for other systems. It allocates, so do not use it on the usual path.</summary>
    public IPEndPoint? EndPoint => Ip is null ? null : new IPEndPoint(Ip, Port);

    /// <summary><c>192.0.2.1</c>, or <c>2001:db8::/64</c>.</summary>
    public byte[] ClientName { get; }

    /// <summary>The client name of an address: the address, or its IPv6 network.</summary>
    public static byte[] NameOf(IPAddress address, int ipv6Prefix)
    {
        if (address.AddressFamily != AddressFamily.InterNetworkV6 || ipv6Prefix == 128)
        {
            return AddressText.Format(address);
        }
        byte[] network = AddressText.Format(AddressText.Masked(address, ipv6Prefix));
        return [.. network, .. System.Text.Encoding.ASCII.GetBytes($"/{ipv6Prefix}")];
    }
}
