using System.Net;
using System.Runtime.InteropServices;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Penstock.Control.Config;

namespace Penstock.Control.Admin;

/// <summary>Who sent a request that the guard has allowed.</summary>
/// <param name="Name">The name of the token; without a token, <c>loopback</c> or the user at the Unix socket.</param>
internal sealed record AdminCaller(string Name, AdminRole Role)
{
    private const string UnixSocket = "unix socket";

    // Constants of socket(7) and unix(7). The kernel fills in process, user and group, each a whole number.
    private const int SolSocket = 1;
    private const int SoPeerCredentials = 17;
    private const int CredentialsBytes = 3 * sizeof(int);

    /// <summary>The caller of an API that needs no token.</summary>
    public static AdminCaller WithoutToken(HttpContext http) =>
        new(http.Connection.RemoteIpAddress is null ? UserOf(http) : "loopback", AdminRole.Admin);

    private static string UserOf(HttpContext http)
    {
        Span<byte> credentials = stackalloc byte[CredentialsBytes];
        return http.Features.Get<IConnectionSocketFeature>()?.Socket
                .GetRawSocketOption(SolSocket, SoPeerCredentials, credentials) == CredentialsBytes
            ? $"uid {MemoryMarshal.Read<int>(credentials[sizeof(int)..])}" : "unknown user";
    }

    /// <summary>Where the request came from.</summary>
    public static string AddressOf(HttpContext http) => http.Connection.RemoteIpAddress switch
    {
        null => UnixSocket,
        { IsIPv4MappedToIPv6: true } address => address.MapToIPv4().ToString(),
        IPAddress address => address.ToString(),
    };
}
