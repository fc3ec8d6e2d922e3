using System.Net;
using System.Net.Sockets;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;

namespace Penstock.Control.Config;

/// <summary>Whether addresses are those where this Penstock listens.</summary>
internal static class OwnAddress
{
    /// <summary>Whether a backend is this listener; false where nobody can tell, such as for a DNS name.</summary>
    public static bool Is(BackendConfig backend, EndPoint? listener) => listener switch
    {
        UnixDomainSocketEndPoint unix => backend.Port == 0 && backend.Host == unix.ToString(),
        IPEndPoint { Port: > 0 } ip when ip.Port == backend.Port => IsAt(backend.Host, ip.Address),
        _ => false,
    };

    /// <summary>Whether only one of two sockets can listen: on the same address, or one of them on all addresses. Port
    /// 0 is any free port.</summary>
    public static bool Overlap(EndPoint one, EndPoint other) => one is IPEndPoint a && other is IPEndPoint b
        ? a.Port == b.Port && a.Port != 0 && (a.Address.Equals(b.Address) || Covers(a, b) || Covers(b, a))
        : one.Equals(other);

    /// <summary><c>::</c> includes IPv4.</summary>
    private static bool Covers(IPEndPoint all, IPEndPoint one) => all.Address.Equals(IPAddress.IPv6Any)
        || (all.Address.Equals(IPAddress.Any) && one.AddressFamily == AddressFamily.InterNetwork);

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
