using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Tls;

/// <summary>Clients that show a certificate: they are limited by it, and backends learn who they are.</summary>
public sealed class ClientCertificateTests : IAsyncDisposable
{
    private static readonly TestAuthority Authority = TestAuthority.Shared;
    private static readonly TestAuthority Clients = new("Clients CA");

    private readonly ScriptedBackend _backend = ScriptedBackend.Always("ok");

    public ValueTask DisposeAsync() => _backend.DisposeAsync();

    [Fact]
    public async Task Client_is_limited_by_its_certificate_and_not_by_its_address()
    {
        await using TestProxy proxy = Start(CertificatePart.Subject);
        proxy.Server.Limiter.Clients.Register("CN=gold,O=Test", new LimitConfig(5, 0.001));
        TestCertificate gold = Clients.Issue("gold"), one = Clients.Issue("one"), two = Clients.Issue("two");

        Assert.Equal(5, await AdmittedAsync(proxy, gold)); // registered
        Assert.Equal(2, await AdmittedAsync(proxy, one)); // each has its own bucket under the default limit
        Assert.Equal(2, await AdmittedAsync(proxy, two));
        Assert.Equal(0, await AdmittedAsync(proxy, Clients.Issue("one"))); // the same subject
    }

    [Theory]
    [InlineData(CertificatePart.San, "https://id.test/7")]
    [InlineData(CertificatePart.Fingerprint, null)]
    public async Task Other_parts_of_the_certificate_identify_as_well(CertificatePart part, string? id)
    {
        await using TestProxy proxy = Start(part);
        TestCertificate client = Clients.Issue("https://id.test/7", "x.test");
        using X509Certificate2 loaded = client.Loaded();
        id ??= loaded.GetCertHashString(System.Security.Cryptography.HashAlgorithmName.SHA256).ToLowerInvariant();
        proxy.Server.Limiter.Clients.Register(id, new LimitConfig(4, 0.001));

        Assert.Equal(4, await AdmittedAsync(proxy, client));
    }

    [Fact]
    public async Task Client_without_a_certificate_or_with_one_of_a_stranger_is_rejected_in_the_handshake()
    {
        await using TestProxy proxy = Start(CertificatePart.Subject);

        Assert.Equal(0, await AdmittedAsync(proxy, null));
        Assert.Equal(0, await AdmittedAsync(proxy, Authority.Issue("stranger")));
        Assert.Equal(0, await AdmittedAsync(proxy, Clients.Issue(["late"], rsa: false, from: -30, to: -1)));
        Assert.Equal(2, await AdmittedAsync(proxy, Clients.Issue("fine")));
    }

    [Fact]
    public async Task Certificate_may_be_optional_and_then_others_count_by_their_address()
    {
        await using TestProxy proxy = Start(CertificatePart.Subject, required: false);

        Assert.Equal(2, await AdmittedAsync(proxy, null));
        Assert.Equal(0, await AdmittedAsync(proxy, null));
        Assert.Equal(2, await AdmittedAsync(proxy, Clients.Issue("one")));
        Assert.Equal(0, await AdmittedAsync(proxy, Authority.Issue("stranger")));
    }

    [Fact]
    public async Task Authority_that_a_reload_removes_issues_no_client_any_more_and_no_session_is_resumed()
    {
        await using TestProxy proxy = Start(CertificatePart.Subject);
        TestCertificate client = Clients.Issue("one");
        Assert.Equal(2, await AdmittedAsync(proxy, client));
        ProxyConfig config = proxy.Server.Config;

        proxy.Apply(config with
        {
            Listeners = [config.Listeners[0] with
            {
                Tls = config.Listeners[0].Tls! with { ClientAuth = new() { Authorities = Authority.Text } },
            }],
        });

        Assert.Equal(0, await AdmittedAsync(proxy, client));
        Assert.Equal(2, await AdmittedAsync(proxy, Authority.Issue("two")));
    }

    [Fact]
    public async Task Backend_gets_parts_of_the_certificate_and_nobody_else_can_send_the_fields()
    {
        await using TestProxy proxy = Start(CertificatePart.Subject, required: false, limited: false,
            new("X-Subject", CertificatePart.Subject), new("X-Hash", CertificatePart.Fingerprint));
        TestCertificate certificate = Clients.Issue("one");
        using X509Certificate2 loaded = certificate.Loaded();
        const string Forged = "X-Subject: CN=admin\r\nX_SUBJECT: CN=admin\r\nx-hash: 1\r\n";

        using (SslStream client = Connect(proxy, certificate))
        {
            await client.WriteAsync("GET /with HTTP/1.1\r\nHost: a\r\n"u8.ToArray());
            await client.WriteAsync(System.Text.Encoding.ASCII.GetBytes(Forged + "\r\n"));
            await new Wire(client).ReadHeadAsync();
        }
        using (SslStream client = Connect(proxy, null))
        {
            await client.WriteAsync("GET /without HTTP/1.1\r\nHost: a\r\n"u8.ToArray());
            await client.WriteAsync(System.Text.Encoding.ASCII.GetBytes(Forged + "\r\n"));
            await new Wire(client).ReadHeadAsync();
        }

        string with = _backend.Heads.First(static head => head.StartsWith("GET /with ", StringComparison.Ordinal));
        string without = _backend.Heads.First(static head => head.StartsWith("GET /without", StringComparison.Ordinal));
        Assert.Equal("CN=one,O=Test", Wire.Field(with, "X-Subject"));
        Assert.Equal(loaded.GetCertHashString(System.Security.Cryptography.HashAlgorithmName.SHA256),
            Wire.Field(with, "X-Hash"), ignoreCase: true);
        Assert.DoesNotContain("admin", with + without);
        Assert.Null(Wire.Field(without, "X-Hash"));
    }

    /// <summary>How many of four requests, on two connections, are admitted.</summary>
    private static async Task<int> AdmittedAsync(TestProxy proxy, TestCertificate? certificate)
    {
        int admitted = 0;
        try
        {
            for (int i = 0; i < 2; i++)
            {
                using SslStream client = Connect(proxy, certificate);
                var wire = new Wire(client);
                for (int j = 0; j < 4; j++)
                {
                    await client.WriteAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n"u8.ToArray());
                    if (await wire.ReadHeadAsync() is not { } head)
                    {
                        return admitted;
                    }
                    await wire.ReadBodyAsync(head, isResponse: true, toHead: false);
                    admitted += head.StartsWith("HTTP/1.1 200", StringComparison.Ordinal) ? 1 : 0;
                }
            }
        }
        catch (Exception e) when (e is IOException or System.Security.Authentication.AuthenticationException)
        {
            // rejected in the handshake, which TLS 1.3 tells with the first read
        }
        return admitted;
    }

    private static SslStream Connect(TestProxy proxy, TestCertificate? certificate) => TestTls.Secure(
        new TcpClient("127.0.0.1", ((IPEndPoint)proxy.EndPoint).Port).GetStream(), options =>
        {
            if (certificate is not null)
            {
                options.ClientCertificateContext =
                    SslStreamCertificateContext.Create(certificate.Loaded(), null, offline: true);
            }
        });

    private TestProxy Start(CertificatePart part, bool required = true, bool limited = true,
        params PassedPart[] passed)
    {
        ProxyConfig config = TestProxy.Config(_backend.Port);
        return new(config with
        {
            Clients = new()
            {
                Identify =
                [
                    new(IdentityKind.Certificate, part.ToString().ToLowerInvariant()), new(IdentityKind.Address, ""),
                ],
            },
            Limits = limited ? new Dictionary<string, LimitConfig> { ["default"] = new(2, 0.001) }
                : new Dictionary<string, LimitConfig>(),
            Listeners = [config.Listeners[0] with
            {
                Tls = TestTls.Config with
                {
                    ClientAuth = new() { Authorities = Clients.Text, Required = required, Passed = [.. passed] },
                },
            }],
        });
    }
}
