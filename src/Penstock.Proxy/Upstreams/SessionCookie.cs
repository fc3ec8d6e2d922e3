using System.Buffers.Text;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Penstock.Proxy.Configuration;

namespace Penstock.Proxy.Upstreams;

/// <summary>The cookie of sticky sessions at one backend: an HMAC-SHA-256 of the backend's address under the operator's
/// secret, cut to 128 bits. Nobody can forge it, it reveals no address, and every node with the same secret recognises
/// it. Reading one compares it with the cookies of all backends, which are few. Immutable.</summary>
internal sealed class SessionCookie
{
    private const int Bytes = 16;

    public SessionCookie(StickyConfig config, Backend backend)
    {
        byte[] mac = HMACSHA256.HashData(Encoding.UTF8.GetBytes(config.Secret),
            Encoding.UTF8.GetBytes(backend.Address)); // without the upstream's name: a rename keeps the sessions
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

    /// <summary>The whole Set-Cookie field line with its CRLF.</summary>
    public byte[] Field { get; }
}
