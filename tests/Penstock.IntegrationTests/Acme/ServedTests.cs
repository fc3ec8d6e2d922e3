using System.Diagnostics;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Penstock.Control.Config;
using Penstock.IntegrationTests.Admin;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Acme;

/// <summary>The listeners of Penstock answer the challenges of a CA, and serve the certificates that come.</summary>
public sealed class ServedTests(ITestOutputHelper output) : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-test-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [InlineData("http-01")]
    [InlineData("tls-alpn-01")]
    public async Task Name_in_the_configuration_is_served_by_https_without_a_further_word(string challenge)
    {
        PebbleTests.SkipUnlessInstalled();
        await using var backend = ScriptedBackend.Always("ok");
        await using Pebble pebble = await Pebble.StartAsync();
        var watch = Stopwatch.StartNew();
        await using AdminFixture node = await AdminFixture.StartAsync(change: config => config with
        {
            Proxy = config.Proxy with
            {
                Listeners =
                [
                    new(new IPEndPoint(IPAddress.Loopback, pebble.HttpPort), "plain"),
                    new(new IPEndPoint(IPAddress.Loopback, pebble.TlsPort), "secure")
                    {
                        // Clients must show a certificate, but the CA has none.
                        Tls = new()
                        {
                            RedirectFrom = pebble.HttpPort,
                            ClientAuth = new() { Authorities = TestAuthority.Shared.Text },
                        },
                    },
                ],
                Upstreams = [config.Proxy.Upstreams[0] with { Backends = [TestProxy.Backend(backend.Port)] }],
            },
            Tls = new()
            {
                Acme = new()
                {
                    Names = ["a.example"], Directories = [pebble.DirectoryUrl], Roots = PebbleTests.Roots(pebble),
                    Storage = Path.Combine(_folder, "acme"),
                    Challenge = challenge == "http-01" ? AcmeChallenge.Http01 : AcmeChallenge.TlsAlpn01,
                },
            },
        });
        using var plain = new RawClient(node.Host.Proxy.EndPoints[0]);
        Assert.Equal(308, (await plain.GetAsync("/.well-known/acme-challenge/no-token")).Status);

        await Eventually.TrueAsync(() => node.Host.Proxy.Certificates().Count == 1, "the certificate is in force");
        output.WriteLine($"{challenge}: served {watch.ElapsedMilliseconds} ms after the start");

        using var client = new SslStream(new TcpClient("127.0.0.1", pebble.TlsPort).GetStream());
        await client.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = "a.example",
            ClientCertificateContext = SslStreamCertificateContext.Create(
                TestAuthority.Shared.Issue("client").Loaded(), null, offline: true),
            RemoteCertificateValidationCallback = static (_, shown, _, errors) => shown is not null
                && !errors.HasFlag(SslPolicyErrors.RemoteCertificateNameMismatch),
        });
        await client.WriteAsync("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n"u8.ToArray());
        Assert.StartsWith("HTTP/1.1 200 OK", await new Wire(client).ReadHeadAsync());
        Assert.Equal("plain", node.Host.Proxy.ReadMetrics().Listeners[0].Listener);
    }
}
