using System.Diagnostics;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Penstock.Control;
using Penstock.Control.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Store;

/// <summary>The check of the database's certificate.</summary>
public sealed class PostgresTlsTests(PostgresTlsTests.TlsPostgres tls) : IClassFixture<PostgresTlsTests.TlsPostgres>
{
    /// <summary>A PostgreSQL whose certificate is made out to 127.0.0.1, and certificates that are none of
    /// its.</summary>
    public sealed class TlsPostgres : IAsyncLifetime
    {
        private readonly string _folder = Directory.CreateTempSubdirectory("penstock-tls-").FullName;

        internal PostgresServer Server { get; private set; } = null!;

        internal string Url { get; private set; } = "";

        internal string PathOf(string file) => Path.Combine(_folder, file);

        public async ValueTask InitializeAsync()
        {
            if (PostgresServer.Programs is null)
            {
                return;
            }

            DateTimeOffset from = DateTimeOffset.UtcNow.AddYears(-1);
            using X509Certificate2 root = NewRoot("root", from);
            using X509Certificate2 other = NewRoot("other", from);
            await WriteAsync("server", NewServer(root, "127.0.0.1", from, from.AddYears(2)));
            await WriteAsync("client", NewServer(root, "127.0.0.2", from, from.AddYears(2)));
            await File.WriteAllTextAsync(PathOf("empty.crt"), "");
            File.SetUnixFileMode(_folder, (UnixFileMode)0b111_101_101);
            if (Environment.IsPrivilegedProcess)
            {
                using var chown = Process.Start("chown", ["-R", "postgres", _folder]);
                await chown.WaitForExitAsync();
            }
            Server = await PostgresServer.StartAsync($"-c fsync=off -c ssl=on -c ssl_cert_file={PathOf("server.crt")} "
                + $"-c ssl_key_file={PathOf("server.key")} -c ssl_ca_file={PathOf("root.crt")}");
            Url = await Server.NewDatabaseAsync();
        }

        public async ValueTask DisposeAsync()
        {
            if (Server is not null)
            {
                await Server.DisposeAsync();
            }

            Directory.Delete(_folder, recursive: true);
        }

        private X509Certificate2 NewRoot(string name, DateTimeOffset from)
        {
            var request = new CertificateRequest("CN=" + name, ECDsa.Create(ECCurve.NamedCurves.nistP256),
                HashAlgorithmName.SHA256);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
            X509Certificate2 root = request.CreateSelfSigned(from, from.AddYears(2));
            File.WriteAllText(PathOf(name + ".crt"), root.ExportCertificatePem());
            return root;
        }

        private static X509Certificate2 NewServer(X509Certificate2 root, string address, DateTimeOffset from,
            DateTimeOffset to)
        {
            using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new CertificateRequest("CN=" + address, key, HashAlgorithmName.SHA256);
            var names = new SubjectAlternativeNameBuilder();
            names.AddIpAddress(IPAddress.Parse(address));
            request.CertificateExtensions.Add(names.Build());
            using X509Certificate2 signed = request.Create(root, from, to, RandomNumberGenerator.GetBytes(8));
            return signed.CopyWithPrivateKey(key);
        }

        private async Task WriteAsync(string name, X509Certificate2 certificate)
        {
            await File.WriteAllTextAsync(PathOf(name + ".crt"), certificate.ExportCertificatePem());
            using ECDsa key = certificate.GetECDsaPrivateKey()!;
            await File.WriteAllTextAsync(PathOf(name + ".key"), key.ExportPkcs8PrivateKeyPem());
            File.SetUnixFileMode(PathOf(name + ".key"), UnixFileMode.UserRead | UnixFileMode.UserWrite);
            certificate.Dispose();
        }
    }

    [Theory]
    [InlineData("sslmode=require", null)]
    [InlineData("sslmode=require&sslrootcert={root.crt}", null)]
    [InlineData("sslrootcert={root.crt}", null)]
    [InlineData("sslmode=verify-full&sslrootcert={root.crt}", null)]
    [InlineData("sslmode=prefer&sslrootcert={other.crt}", null)] // as libpq, which ignores it then
    [InlineData("sslmode=require&sslrootcert={other.crt}",
        "is not signed by one of {other.crt} (its issuer is CN=root)")]
    [InlineData("sslrootcert={other.crt}", "is not signed by one of {other.crt}")]
    [InlineData("sslmode=verify-ca&sslrootcert={other.crt}", "is not signed by one of {other.crt}")]
    [InlineData("sslmode=verify-ca", "is not signed by one of the system's certificates")]
    [InlineData("sslmode=require&sslrootcert={gone.crt}", "sslrootcert {gone.crt} cannot be read")]
    [InlineData("sslmode=require&sslrootcert={empty.crt}", "sslrootcert {empty.crt} contains no certificate")]
    [InlineData("sslmode=require&sslcert={gone.crt}&sslkey={gone.key}", "sslcert or sslkey cannot be read")]
    public void Server_whose_certificate_does_not_do_is_rejected_with_the_cause(string query, string? cause)
    {
        SharedPostgres.SkipUnlessInstalled();

        string? fault = Open($"{tls.Url}?{Fill(query)}");

        if (cause is null)
        {
            Assert.Null(fault);
        }
        else
        {
            Assert.Contains(Fill(cause), fault);
        }
    }

    [Fact]
    public void Name_of_the_server_is_checked_by_verify_full_only()
    {
        SharedPostgres.SkipUnlessInstalled();
        string url = tls.Url.Replace("127.0.0.1", "localhost") + $"?sslrootcert={tls.PathOf("root.crt")}";

        Assert.Null(Open(url + "&sslmode=verify-ca"));
        Assert.Contains("(CN=127.0.0.1) is not valid for localhost", Open(url + "&sslmode=verify-full"));
    }

    [Fact]
    public async Task Own_certificate_is_shown_to_the_server()
    {
        SharedPostgres.SkipUnlessInstalled();
        Assert.True(PostgresUrl.TryParse(
            $"{tls.Url}?sslmode=require&sslcert={tls.PathOf("client.crt")}&sslkey={tls.PathOf("client.key")}"
            + "&application_name=by-certificate&connect_timeout=60", out PostgresUrl? url));
        using var store = PostgresStore.Open(url);

        Assert.Equal("/CN=127.0.0.2", await tls.Server.SqlAsync(tls.Url, "SELECT client_dn FROM pg_stat_ssl JOIN "
            + "pg_stat_activity USING (pid) WHERE application_name = 'by-certificate'"));
    }

    private string Fill(string text)
    {
        foreach (string file in (string[])["root.crt", "other.crt", "gone.crt", "gone.key", "empty.crt"])
        {
            text = text.Replace($"{{{file}}}", tls.PathOf(file));
        }

        return text;
    }

    /// <summary>Null, or why the store does not open.</summary>
    private static string? Open(string setting)
    {
        Assert.True(PostgresUrl.TryParse(setting, out PostgresUrl? url, out string? fault), fault);
        for (int attempt = 1; ; attempt++)
        {
            try
            {
                PostgresStore.Open(url).Dispose();
                return null;
            }
            catch (StartException e) when (attempt < 5 && e.Message.Contains("did not answer in time"))
            {
                // The machine is loaded; this result is not about the certificate.
            }
            catch (StartException e)
            {
                Assert.DoesNotContain(PostgresServer.Password, e.Message);
                return e.Message;
            }
        }
    }
}
