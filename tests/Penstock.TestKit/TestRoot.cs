using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Penstock.TestKit;

/// <summary>A certificate authority of a test.</summary>
public sealed class TestRoot : IDisposable
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
    private readonly X509Certificate2 _certificate;
    private long _serial = 0x7000_0000_0000_0000;

    public TestRoot(DateTimeOffset notBefore, DateTimeOffset notAfter)
    {
        var request = new CertificateRequest("CN=Penstock test root", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        _certificate = request.CreateSelfSigned(notBefore, notAfter);
    }

    public string Pem => _certificate.ExportCertificatePem();

    /// <summary>The certificate that somebody requests by a CSR.</summary>
    public string Issue(byte[] csr, DateTimeOffset notBefore, DateTimeOffset notAfter) => Issue(
        CertificateRequest.LoadSigningRequest(csr, HashAlgorithmName.SHA256,
            CertificateRequestLoadOptions.UnsafeLoadCertificateExtensions), notBefore, notAfter);

    /// <summary>A certificate for a server on this machine, and its key.</summary>
    public (string Certificate, string Key) IssueForLoopback(DateTimeOffset notBefore, DateTimeOffset notAfter)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=localhost", key, HashAlgorithmName.SHA256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddDnsName("localhost");
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        return (Issue(request, notBefore, notAfter), key.ExportPkcs8PrivateKeyPem());
    }

    public void Dispose()
    {
        _certificate.Dispose();
        _key.Dispose();
    }

    private string Issue(CertificateRequest request, DateTimeOffset notBefore, DateTimeOffset notAfter)
    {
        request.CertificateExtensions.Add(
            X509AuthorityKeyIdentifierExtension.CreateFromCertificate(_certificate, true, false));
        byte[] serial = BitConverter.GetBytes(Interlocked.Decrement(ref _serial));
        Array.Reverse(serial);
        using X509Certificate2 issued = request.Create(_certificate, notBefore, notAfter, serial);
        return issued.ExportCertificatePem();
    }
}
