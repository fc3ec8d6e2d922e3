using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Penstock.Control.Acme;

/// <summary>The key of an ACME account: ES256, that is ECDSA with P-256 and SHA-256 (RFC 7518 §3.4).</summary>
internal sealed class AcmeKey : IDisposable
{
    private readonly ECDsa _key;

    private AcmeKey(ECDsa key)
    {
        _key = key;
        ECPoint point = key.ExportParameters(includePrivateParameters: false).Q;
        PublicKey = new("P-256", "EC", Base64Url.EncodeToString(point.X), Base64Url.EncodeToString(point.Y));
        // RFC 7638: the members in the order of their names, without white space, as the record has them.
        Thumbprint = Base64Url.EncodeToString(SHA256.HashData(
            JsonSerializer.SerializeToUtf8Bytes(PublicKey, AcmeJson.Default.JsonWebKey)));
    }

    public JsonWebKey PublicKey { get; }

    /// <summary>Of the public key, in base64url.</summary>
    public string Thumbprint { get; }

    /// <summary>The private key, PKCS #8 in PEM.</summary>
    public string Pem => _key.ExportPkcs8PrivateKeyPem();

    public static AcmeKey Create() => new(ECDsa.Create(ECCurve.NamedCurves.nistP256));

    /// <exception cref="CryptographicException">The text is not a private key of this kind.</exception>
    /// <exception cref="ArgumentException">The text is no PEM.</exception>
    public static AcmeKey FromPem(string pem)
    {
        var key = ECDsa.Create();
        try
        {
            key.ImportFromPem(pem);
            return new(key);
        }
        catch
        {
            key.Dispose();
            throw;
        }
    }

    /// <summary>What the CA wants to find at the name: the token, and whose answer it is (RFC 8555 §8.1).</summary>
    public string AuthorizationOf(string token) => $"{token}.{Thumbprint}";

    /// <summary>A signed request (RFC 7515, flattened JSON).</summary>
    public SignedRequest Sign(JwsHead head, string payload)
    {
        string signed = EncodedHead(head);
        string body = Encoded(payload);
        byte[] signature = _key.SignData(Encoding.ASCII.GetBytes($"{signed}.{body}"), HashAlgorithmName.SHA256);
        return new(signed, body, Base64Url.EncodeToString(signature));
    }

    /// <summary>Binds this key to an account that the operator has at the CA (RFC 8555 §7.3.4).</summary>
    /// <param name="macKey">In base64url.</param>
    public SignedRequest Bind(string keyId, string macKey, string url)
    {
        string head = EncodedHead(new("HS256", url) { Kid = keyId });
        string body = Encoded(JsonSerializer.Serialize(PublicKey, AcmeJson.Default.JsonWebKey));
        return new(head, body, Mac(Base64Url.DecodeFromChars(macKey), head, body));
    }

    /// <summary>The HS256 signature of a head and a payload that are in base64url (RFC 7518 §3.2).</summary>
    public static string Mac(byte[] key, string head, string payload) =>
        Base64Url.EncodeToString(HMACSHA256.HashData(key, Encoding.ASCII.GetBytes($"{head}.{payload}")));

    public void Dispose() => _key.Dispose();

    private static string EncodedHead(JwsHead head) =>
        Encoded(JsonSerializer.Serialize(head, AcmeJson.Default.JwsHead));

    private static string Encoded(string text) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(text));
}
