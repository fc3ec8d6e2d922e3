using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Penstock.Proxy.Configuration;

namespace Penstock.TestKit;

/// <summary>A certificate and its key in PEM, as they would be in files.</summary>
public sealed record TestCertificate(string Chain, string Key)
{
    /// <summary>For the configuration of a listener, as if read from files of this name.</summary>
    public CertificateConfig Config(string name = "test") => new(Pem($"{name}.crt", Chain), Pem($"{name}.key", Key));

    /// <summary>For a client or a server of .NET.</summary>
    public X509Certificate2 Loaded()
    {
        using X509Certificate2 certificate = X509Certificate2.CreateFromPem(Chain, Key);
        return X509CertificateLoader.LoadPkcs12(certificate.Export(X509ContentType.Pkcs12), null);
    }

    public static PemText Pem(string name, string text) => PemText.Of(name, text);
}

/// <summary>An authority for tests. It exists only in this process.</summary>
public sealed class TestAuthority
{
    /// <summary>An authority that tests may share.</summary>
    public static readonly TestAuthority Shared = new("Test CA");

    private readonly X509Certificate2 _root;

    public TestAuthority(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        _root = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-400), DateTimeOffset.UtcNow.AddDays(3650));
        Pem = _root.ExportCertificatePem() + "\n";
    }

    /// <summary>Its certificate.</summary>
    public string Pem { get; }

    public PemText Text => TestCertificate.Pem("ca.pem", Pem);

    public X509Certificate2 Certificate => _root;

    /// <summary>Issues a certificate for these names, the first of which is also its common name.</summary>
    public TestCertificate Issue(params string[] names) => Issue(names, rsa: false);

    /// <param name="rsa">With an RSA key, otherwise ECDSA.</param>
    /// <param name="from">When it begins to be valid, in days from now.</param>
    /// <param name="to">When it expires.</param>
    public TestCertificate Issue(string[] names, bool rsa, double from = -1, double to = 90)
    {
        var alternatives = new SubjectAlternativeNameBuilder();
        foreach (string name in names)
        {
            if (IPAddress.TryParse(name, out IPAddress? address))
            {
                alternatives.AddIpAddress(address);
            }
            else if (name.Contains("://", StringComparison.Ordinal))
            {
                alternatives.AddUri(new Uri(name));
            }
            else
            {
                alternatives.AddDnsName(name);
            }
        }
        using AsymmetricAlgorithm key = rsa ? RSA.Create(2048) : ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var subject = new X500DistinguishedName($"CN={names[0]}, O=Test");
        CertificateRequest request = key is RSA r
            ? new(subject, r, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : new(subject, (ECDsa)key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(alternatives.Build());
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, false));
        DateTimeOffset now = DateTimeOffset.UtcNow;
        using X509Certificate2 issued = request.Create(_root.SubjectName,
            X509SignatureGenerator.CreateForECDsa(_root.GetECDsaPrivateKey()!), now.AddDays(from), now.AddDays(to),
            RandomNumberGenerator.GetBytes(8));
        return new($"{issued.ExportCertificatePem()}\n{Pem}", key.ExportPkcs8PrivateKeyPem() + "\n");
    }
}
