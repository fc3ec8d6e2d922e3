using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Upstreams;

/// <summary>A sticky session's cookie for one backend: an HMAC-SHA-256 of the backend's address under the operator's
/// secret, cut to 128 bits. It cannot be made up, tells nobody an address, and every node with the same secret knows
/// it; reading one is a comparison with the few that there are. Immutable.</summary>
internal sealed class SessionCookie
{
    private const int Bytes = 16;

    public SessionCookie(StickyConfig config, Backend backend)
    {
        byte[] mac = HMACSHA256.HashData(Encoding.UTF8.GetBytes(config.Secret),
            Encoding.UTF8.GetBytes(backend.Address)); // not the upstream's name: sessions outlive another one
        string value = Base64Url.EncodeToString(mac.AsSpan(0, Bytes));
        string maxAge = config.MaxAge > TimeSpan.Zero
            ? string.Create(CultureInfo.InvariantCulture, $"; Max-Age={(long)config.MaxAge.TotalSeconds}") : "";
        string name = config.CookieOf(backend.Upstream);
        string secure = config.Secure ? "; Secure" : "";
        Backend = backend;
        Value = Encoding.ASCII.GetBytes(value);
        Field = Encoding.ASCII.GetBytes(
            $"Set-Cookie: {name}={value}; Path=/; HttpOnly; SameSite=Lax{maxAge}{secure}\r\n");
    }

    public Backend Backend { get; }
    public byte[] Value { get; }

    /// <summary>The whole Set-Cookie field with its line's end.</summary>
    public byte[] Field { get; }
}
