using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Penstock.Proxy.Configuration;

namespace Penstock.TestKit;

/// <summary>With PENSTOCK_TEST_TLS=1 every <see cref="TestProxy"/> speaks TLS on its listeners, and every
/// <see cref="RawClient"/> to one: the tests of HTTP then show that TLS changes nothing. Tests with the trait
/// <c>tls: no</c> are about something that TLS does change, or have a client of their own.</summary>
public static class TestTls
{
    private static readonly ConcurrentDictionary<EndPoint, bool> Secured = new();
    private static readonly Lazy<TestCertificate> Certificate = new(static () =>
        TestAuthority.Shared.Issue("localhost", "127.0.0.1"));

    public static bool IsOn { get; } = Environment.GetEnvironmentVariable("PENSTOCK_TEST_TLS") == "1";

    /// <summary>TLS with a certificate for localhost and 127.0.0.1.</summary>
    public static ListenerTlsConfig Config { get; } = new() { Certificates = [Certificate.Value.Config()] };

    /// <summary>The configuration with TLS on every listener, if the switch is on.</summary>
    public static ProxyConfig Apply(ProxyConfig config) => !IsOn ? config : config with
    {
        Listeners = [.. config.Listeners.Select(static l => l is { Address: IPEndPoint, ProxyProtocol: false }
            ? l with { Tls = l.Tls ?? Config } : l)],
    };

    /// <summary>Clients of this listener speak TLS.</summary>
    public static void Note(EndPoint listener) => Secured[listener] = true;

    public static bool IsSecured(EndPoint listener) => Secured.ContainsKey(listener);

    /// <summary>Accepts certificates of <see cref="TestAuthority.Shared"/>, for any name.</summary>
    public static SslClientAuthenticationOptions ClientOptions()
    {
        var policy = new X509ChainPolicy
        {
            TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck,
        };
        policy.CustomTrustStore.Add(TestAuthority.Shared.Certificate);
        return new()
        {
            TargetHost = "localhost",
            CertificateChainPolicy = policy,
            RemoteCertificateValidationCallback =
                static (_, _, _, errors) => !errors.HasFlag(SslPolicyErrors.RemoteCertificateChainErrors),
        };
    }

    /// <summary>For an HttpClient, with or without TLS.</summary>
    public static SocketsHttpHandler Handler() => new() { SslOptions = ClientOptions() };

    /// <summary>The client's side of TLS, with the handshake done.</summary>
    public static SslStream Secure(Stream stream, Action<SslClientAuthenticationOptions>? change = null)
    {
        SslClientAuthenticationOptions options = ClientOptions();
        change?.Invoke(options);
        var secure = new SslStream(stream);
        secure.AuthenticateAsClient(options);
        return secure;
    }
}
