using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Penstock.Control.Acme;

/// <summary>A certificate with its key. Not a record, because a record shows all members, and the key must not be
/// shown.</summary>
internal sealed class HeldCertificate
{
    private const string Begin = "-----BEGIN CERTIFICATE-----";

    private HeldCertificate(string name, string directory, string keyPem, string chainPem, X509Certificate2 leaf)
    {
        (Names, Directory, KeyPem, ChainPem) = ([name], directory, keyPem, chainPem);
        NotBefore = new(leaf.NotBefore.ToUniversalTime());
        NotAfter = new(leaf.NotAfter.ToUniversalTime());
        Id = RenewalTimes.IdOf(leaf);
        Spread = RenewalTimes.SpreadOf(leaf.RawDataMemory.Span);
    }

    /// <summary>The names that it is for.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>The URL of the CA that it is from.</summary>
    public string Directory { get; }

    /// <summary>The private key, PKCS #8 in PEM.</summary>
    public string KeyPem { get; }

    /// <summary>The certificate in PEM, then those of the CA.</summary>
    public string ChainPem { get; }

    public DateTimeOffset NotBefore { get; }

    public DateTimeOffset NotAfter { get; }

    /// <summary>By which the CA knows it (RFC 9773 §4.1); null: it cannot be told from the certificate.</summary>
    public string? Id { get; }

    /// <summary>A number from 0 to 1 that differs from certificate to certificate, and is the same on every node.
    /// </summary>
    public double Spread { get; }

    /// <summary>How it is stored: one file, so that a certificate never meets another one's key. HAProxy and nginx read
    /// such a file too.</summary>
    public string Pem => $"{KeyPem}\n{ChainPem}";

    public override string ToString() => $"{Names[0]}, valid until {NotAfter:u}";

    /// <param name="fault">Why the text is not a certificate for the name with its key.</param>
    public static bool TryRead(string name, string directory, string pem,
        [NotNullWhen(true)] out HeldCertificate? certificate, out string fault)
    {
        (certificate, fault) = (null, "");
        int chain = pem.IndexOf(Begin, StringComparison.Ordinal);
        if (chain < 0)
        {
            fault = "contains no certificate";
            return false;
        }
        try
        {
            using var leaf = X509Certificate2.CreateFromPem(pem.AsSpan(chain));
            using var key = ECDsa.Create();
            key.ImportFromPem(pem.AsSpan(0, chain));
            using ECDsa? certified = leaf.GetECDsaPublicKey();
            if (certified is null
                || !certified.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(key.ExportSubjectPublicKeyInfo()))
            {
                fault = "is for another key";
            }
            else if (!leaf.MatchesHostname(name))
            {
                fault = $"is not for {name}";
            }
            else
            {
                certificate = new(name, directory, pem[..chain].Trim(), pem[chain..].Trim() + "\n", leaf);
            }
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            fault = $"cannot be read: {e.Message}";
        }
        return certificate is not null;
    }
}

/// <summary>A certificate that proves to a CA that a name leads here (RFC 8737): a listener shows it to those who ask
/// for the protocol <c>acme-tls/1</c> by ALPN.</summary>
internal sealed class ChallengeCertificate
{
    /// <summary>The protocol that the CA asks for.</summary>
    public const string Protocol = "acme-tls/1";

    private const string AcmeIdentifier = "1.3.6.1.5.5.7.1.31";
    private const byte TagOfBytes = 4; // in DER

    private ChallengeCertificate(string name, string certificatePem, string keyPem) =>
        (Name, CertificatePem, KeyPem) = (name, certificatePem, keyPem);

    public string Name { get; }

    public string CertificatePem { get; }

    public string KeyPem { get; }

    public override string ToString() => Name;

    public static ChallengeCertificate Create(string name, string keyAuthorization, DateTimeOffset now)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        CertificateRequest request = RequestFor(name, key);
        byte[] digest = SHA256.HashData(System.Text.Encoding.ASCII.GetBytes(keyAuthorization));
        request.CertificateExtensions.Add(new X509Extension(
            AcmeIdentifier, [TagOfBytes, (byte)digest.Length, .. digest], critical: true));
        using X509Certificate2 certificate = request.CreateSelfSigned(now.AddDays(-1), now.AddDays(7));
        return new(name, certificate.ExportCertificatePem(), key.ExportPkcs8PrivateKeyPem());
    }

    /// <summary>A request without a subject: the name is only where clients look for it.</summary>
    public static CertificateRequest RequestFor(string name, ECDsa key)
    {
        var request = new CertificateRequest(new X500DistinguishedName(""), key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName(name);
        request.CertificateExtensions.Add(names.Build(critical: true)); // RFC 5280 §4.2.1.6: without a subject
        return request;
    }
}
