using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Penstock.Control.Acme;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Acme;

public sealed class HeldCertificateTests : IDisposable
{
    private static readonly DateTimeOffset Day = new(2026, 11, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly TestRoot _root = new(Day.AddDays(-1), Day.AddDays(500));

    public void Dispose() => _root.Dispose();

    [Fact]
    public void Stored_certificate_is_read_with_key_chain_and_dates()
    {
        (string key, string chain) = Issue("example.com");

        Assert.True(HeldCertificate.TryRead("example.com", "https://ca/", $"{key}\n{chain}\n{_root.Pem}",
            out HeldCertificate? held, out _));

        Assert.Equal(["example.com"], held.Names);
        Assert.Equal((Day, Day.AddDays(90)), (held.NotBefore, held.NotAfter));
        Assert.Equal(key.Trim(), held.KeyPem.Trim());
        var both = new X509Certificate2Collection();
        both.ImportFromPem(held.ChainPem);
        Assert.Equal(2, both.Count);
        Assert.StartsWith(held.KeyPem, held.Pem);
        Assert.DoesNotContain("KEY", held.ToString());
        Assert.True(HeldCertificate.TryRead("example.com", "https://ca/", held.Pem, out HeldCertificate? again, out _));
        Assert.Equal((held.ChainPem, held.KeyPem, held.Id), (again.ChainPem, again.KeyPem, again.Id));
    }

    [Fact]
    public void Certificate_for_another_name_or_key_and_text_that_is_none_are_rejected_with_the_reason()
    {
        (string key, string chain) = Issue("example.com");
        (string otherKey, _) = Issue("example.com");

        Assert.Equal("is not for www.example.com", Fault("www.example.com", $"{key}\n{chain}"));
        Assert.Equal("is for another key", Fault("example.com", $"{otherKey}\n{chain}"));
        Assert.Equal("contains no certificate", Fault("example.com", key));
        Assert.StartsWith("cannot be read: ", Fault("example.com", chain));
        Assert.StartsWith("cannot be read: ", Fault("example.com",
            $"{key}\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
    }

    [Fact]
    public void Certificate_of_tls_alpn_01_has_the_digest_of_the_authorization_as_rfc_8737_wants_it()
    {
        var shown = ChallengeCertificate.Create("example.com", "token.thumbprint", Day);

        using var certificate = X509Certificate2.CreateFromPem(shown.CertificatePem, shown.KeyPem);
        X509Extension digest = certificate.Extensions.Single(static e => e.Oid!.Value == "1.3.6.1.5.5.7.1.31");
        Assert.True(digest.Critical);
        Assert.Equal([4, 32, .. SHA256.HashData(Encoding.ASCII.GetBytes("token.thumbprint"))], digest.RawData);
        Assert.True(certificate.MatchesHostname("example.com"));
        Assert.True(certificate.HasPrivateKey);
        Assert.Equal("acme-tls/1", ChallengeCertificate.Protocol);
        Assert.DoesNotContain("KEY", shown.ToString());
    }

    private static string Fault(string name, string pem)
    {
        Assert.False(HeldCertificate.TryRead(name, "https://ca/", pem, out HeldCertificate? none, out string fault));
        Assert.Null(none);
        return fault;
    }

    private (string Key, string Chain) Issue(string name)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        byte[] csr = ChallengeCertificate.RequestFor(name, key).CreateSigningRequest();
        return (key.ExportPkcs8PrivateKeyPem(), _root.Issue(csr, Day, Day.AddDays(90)));
    }
}
