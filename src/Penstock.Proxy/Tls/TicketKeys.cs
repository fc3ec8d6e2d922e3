using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using static Penstock.Proxy.Tls.OpenSsl;

namespace Penstock.Proxy.Tls;

/// <summary>The keys that encrypt session tickets (RFC 5077). New tickets use the first; the others still open older
/// tickets. Thread-safe.</summary>
internal sealed unsafe class TicketKeys
{
    /// <summary>Name, key of AES-256-CBC, key of HMAC-SHA256.</summary>
    public const int KeyBytes = NameBytes + CipherBytes + MacBytes;

    private const int NameBytes = 16;
    private const int CipherBytes = 32;
    private const int MacBytes = 32;
    private const int IvBytes = 16;

    // Results of the callback.
    private const int Failed = -1;
    private const int Unknown = 0;
    private const int Accepted = 1;
    private const int AcceptedRenew = 2;

    /// <summary>Looked up once: OpenSSL would search its providers for each ticket.</summary>
    private static readonly nint Cipher = EVP_CIPHER_fetch(0, "AES-256-CBC", 0);

    private volatile byte[][] _keys = [RandomNumberGenerator.GetBytes(KeyBytes)];

    /// <summary>The keys, the newest first.</summary>
    public IReadOnlyList<byte[]> All => _keys;

    /// <param name="keys">Each of <see cref="KeyBytes"/> bytes, the newest first; at least one.</param>
    public void Use(IEnumerable<byte[]> keys) => _keys = [.. keys];

    /// <summary>Begins to use a new random key, and forgets the oldest if there are three.</summary>
    public void Rotate() => _keys = [RandomNumberGenerator.GetBytes(KeyBytes), .. _keys.Take(2)];

    /// <summary>Encrypts or opens a ticket: gives OpenSSL the keys for it.</summary>
    [UnmanagedCallersOnly]
    [SuppressMessage("Design", "CA1031", Justification = "no exception may leave the callback")]
    internal static int OnTicket(nint ssl, byte* name, byte* iv, nint cipher, nint mac, int encrypts)
    {
        try
        {
            byte[][] keys = TlsSession.Of(ssl).Context.Server!.Tickets._keys;
            var nameInTicket = new Span<byte>(name, NameBytes);
            if (encrypts != 0)
            {
                keys[0].AsSpan(0, NameBytes).CopyTo(nameInTicket);
                return RAND_bytes(iv, IvBytes) == 1 && Init(keys[0], iv, cipher, mac, encrypts: true)
                    ? Accepted : Failed;
            }
            for (int i = 0; i < keys.Length; i++)
            {
                if (keys[i].AsSpan(0, NameBytes).SequenceEqual(nameInTicket))
                {
                    // A client uses a ticket of TLS 1.3 only once (RFC 8446 §C.4), so it needs another one.
                    return !Init(keys[i], iv, cipher, mac, encrypts: false) ? Failed
                        : i == 0 && SSL_version(ssl) != Tls13 ? Accepted : AcceptedRenew;
                }
            }
            return Unknown;
        }
        catch (Exception)
        {
            return Failed;
        }
    }

    private static bool Init(byte[] key, byte* iv, nint cipher, nint mac, bool encrypts)
    {
        fixed (byte* start = key, digestName = "digest\0"u8, keyName = "key\0"u8, digest = "SHA256\0"u8)
        {
            OsslParam* parameters = stackalloc OsslParam[3];
            parameters[0] = new()
            {
                Key = keyName, DataType = OsslParam.ByteString, Data = start + NameBytes + CipherBytes,
                DataSize = MacBytes,
            };
            parameters[1] = new()
            {
                Key = digestName, DataType = OsslParam.Utf8String, Data = digest, DataSize = 6,
            };
            parameters[2] = default;
            byte* cipherKey = start + NameBytes;
            return EVP_MAC_CTX_set_params(mac, parameters) == 1
                && (encrypts ? EVP_EncryptInit_ex(cipher, Cipher, 0, cipherKey, iv)
                    : EVP_DecryptInit_ex(cipher, Cipher, 0, cipherKey, iv)) == 1;
        }
    }
}
