using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Xunit;

namespace Penstock.UnitTests.Config;

/// <summary>What keys of TLS say together.</summary>
public sealed class TlsConfigTests
{
    private const string Listeners = """
        listen: [0.0.0.0:80, { address: 0.0.0.0:443, tls: { redirect_from: 80 } }]
        backends: [127.0.0.1:9001]

        """;

    [Fact]
    public void Listener_needs_no_certificate_when_a_ca_gives_them() => Assert.Empty(
        ConfigText.Faults(Listeners + "tls: { acme: { names: [example.com] } }\n"));

    [Fact]
    public void Listener_without_any_certificate_is_an_error() => Assert.Contains(
        "tls: a listener has no certificate", Assert.Single(ConfigText.Faults(Listeners)));

    [Theory]
    [InlineData("off")]
    [InlineData("1h")]
    [InlineData("1d")]
    [InlineData("365d")]
    [InlineData("3650d")]
    public void Hsts_may_be_days(string age) => Assert.Empty(ConfigText.Faults(
        Listeners.Replace("redirect_from: 80", $"redirect_from: 80, hsts: {age}")
        + "tls: { acme: { names: [example.com] } }\n"));

    [Theory]
    [InlineData("0d")]
    [InlineData("1.5d")]
    [InlineData("3651d")]
    public void Hsts_is_whole_days_within_bounds(string age) => Assert.Contains("is not from 1d to 3650d in whole days",
        Assert.Single(ConfigText.Faults(Listeners.Replace("redirect_from: 80", $"redirect_from: 80, hsts: {age}")
            + "tls: { acme: { names: [example.com] } }\n")));

    /// <summary>Files that are not the certificate of the key, each with what it seems to be.</summary>
    [Theory]
    [InlineData("request", "own", "cert", "this is a request: write the certificate that the authority has made of it")]
    [InlineData("own", "certificate", "cert", "this is a private key: are cert and key exchanged?")]
    [InlineData("der", "own", "cert", "make PEM of it: openssl x509 -inform der -in FILE -out FILE.pem")]
    [InlineData("certificate of another", "own", "key", "the certificate of this key must be the first in its file")]
    public void Wrong_file_is_told_where_it_is_named(string cert, string key, string at, string remedy)
    {
        using var own = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=a", own, HashAlgorithmName.SHA256);
        DateTimeOffset now = DateTimeOffset.UtcNow;
        using X509Certificate2 certificate = request.CreateSelfSigned(now, now.AddDays(90));
        using X509Certificate2 another = new CertificateRequest("CN=b", other, HashAlgorithmName.SHA256)
            .CreateSelfSigned(now, now.AddDays(90));
        DirectoryInfo folder = Directory.CreateTempSubdirectory("penstock-test-");
        try
        {
            Put("request", Encoding.ASCII.GetBytes(request.CreateSigningRequestPem()));
            Put("own", Encoding.ASCII.GetBytes(own.ExportPkcs8PrivateKeyPem()));
            Put("der", certificate.RawData);
            Put("certificate", Encoding.ASCII.GetBytes(certificate.ExportCertificatePem()));
            Put("certificate of another",
                Encoding.ASCII.GetBytes(another.ExportCertificatePem() + "\n" + certificate.ExportCertificatePem()));
            string fault = Assert.Single(ConfigText.Faults(
                "listen: [{ address: 0.0.0.0:443, tls: { certificates: "
                + $"[{{ cert: {Of(cert)}, key: {Of(key)} }}] }} }}]\nbackends: [127.0.0.1:9001]"));

            Assert.Contains($"| {remedy} |", fault);
            Assert.EndsWith($".certificates[0].{at}", fault);
        }
        finally
        {
            folder.Delete(recursive: true);
        }

        string Of(string name) => $"'{Path.Combine(folder.FullName, name)}'";

        void Put(string name, byte[] content)
        {
            string path = Path.Combine(folder.FullName, name);
            File.WriteAllBytes(path, content);
            File.SetUnixFileMode(path, UnixFileMode.UserRead);
        }
    }
}
