using System.Net;
using System.Net.Sockets;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;

namespace Penstock.Control.Config;

/// <summary>Whether a backend's address is one where this Penstock listens.</summary>
internal static class OwnAddress
{
    /// <summary>False where nobody can tell, such as for a DNS name.</summary>
    public static bool Is(BackendConfig backend, EndPoint? listener) => listener switch
    {
        UnixDomainSocketEndPoint unix => backend.Port == 0 && backend.Host == unix.ToString(),
        IPEndPoint { Port: > 0 } ip when ip.Port == backend.Port => IsAt(backend.Host, ip.Address),
        _ => false,
    };

    /// <summary>Connecting to <c>0.0.0.0</c> or <c>::</c> leads to loopback.</summary>
    private static bool IsAt(string host, IPAddress listener)
    {
        bool all = IsAll(listener);
        if (host == "localhost")
        {
            return all || IPAddress.IsLoopback(listener);
        }
        if (!AddressText.TryParseScoped(host, out IPAddress? address))
        {
            return false;
        }
        address = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;
        return address.Equals(listener) || (IsAll(address) && IPAddress.IsLoopback(listener))
            || (all && (IsAll(address) || IPAddress.IsLoopback(address)));
    }

    private static bool IsAll(IPAddress address) =>
        address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any);
}
