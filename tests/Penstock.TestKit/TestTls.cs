using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Penstock.Proxy.Configuration;

namespace Penstock.TestKit;

/// <summary>With PENSTOCK_TEST_TLS=1 every <see cref="TestProxy"/> speaks TLS with clients and with every
/// <see cref="ScriptedBackend"/>, and so does every <see cref="RawClient"/>: the tests of HTTP then show that TLS
/// changes nothing. Tests with the trait <c>tls: no</c> are about something that TLS does change, or have a client of
/// their own.</summary>
public static class TestTls
{
    private static readonly ConcurrentDictionary<int, bool> Secured = new(); // by port
    private static readonly Lazy<TestCertificate> Certificate = new(static () =>
        TestAuthority.Shared.Issue("localhost", "127.0.0.1"));

    /// <summary>The switch is on.</summary>
    public static bool IsOn { get; } = Environment.GetEnvironmentVariable("PENSTOCK_TEST_TLS") == "1";

    /// <summary>TLS with a certificate for localhost and 127.0.0.1.</summary>
    public static ListenerTlsConfig Config { get; } = new() { Certificates = [Certificate.Value.Config()] };

    /// <summary>The configuration with TLS on every listener, and to every backend that speaks it, if the switch is on.
    /// </summary>
    public static ProxyConfig Apply(ProxyConfig config) => !IsOn ? config : config with
    {
        Listeners = [.. config.Listeners.Select(static l => l is { Address: IPEndPoint, ProxyProtocol: false }
            ? l with { Tls = l.Tls ?? Config } : l)],
        Upstreams = [.. config.Upstreams.Select(Apply)],
    };

    /// <summary>The same of one upstream.</summary>
    public static UpstreamConfig Apply(UpstreamConfig config) => !IsOn ? config : config with
    {
        Tls = config.Backends.Any(static b => b.IsTls) ? config.Tls : ToBackends,
        Backends = [.. config.Backends.Select(static b => b with { IsTls = b.IsTls || IsSecured(b.Port) })],
    };

    /// <summary>Trusts every <see cref="ScriptedBackend"/>.</summary>
    public static UpstreamTlsConfig ToBackends { get; } =
        new() { Authorities = TestAuthority.Shared.Text, ServerName = "localhost" };

    /// <summary>An entry of <c>listen</c> in a file, on the loopback address.</summary>
    /// <param name="folder">Where certificate and key are written.</param>
    public static string Listener(int port, string folder)
    {
        Note(port);
        File.WriteAllText(Path.Combine(folder, "test.crt"), Certificate.Value.Chain);
        File.WriteAllText(Path.Combine(folder, "test.key"), Certificate.Value.Key);
        string tls = IsOn ? ", tls: { certificates: [{ cert: test.crt, key: test.key }] }" : "";
        return $"{{ address: \"127.0.0.1:{port}\"{tls} }}";
    }

    /// <summary>An entry of <c>backends</c> in a file.</summary>
    public static string BackendUrl(int port) =>
        $"{(IsSecured(port) ? "https" : "http")}://127.0.0.1:{port}";

    /// <summary>An upstream's <c>tls</c> in a file.</summary>
    /// <param name="folder">Where the authority's certificate is written.</param>
    public static string Upstream(string folder)
    {
        File.WriteAllText(Path.Combine(folder, "ca.pem"), TestAuthority.Shared.Pem);
        return "{ ca: ca.pem, server_name: localhost }";
    }

    /// <summary>Whether the listener or backend of this process at a port speaks TLS, which it may only with the switch
    /// on.</summary>
    public static void Note(int port, bool isSecured = true) => Secured[port] = IsOn && isSecured;

    public static bool IsSecured(int port) => Secured.GetValueOrDefault(port);

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

    /// <summary>A backend's side of TLS, before the handshake.</summary>
    public static SslServerAuthenticationOptions ServerOptions { get; } = new()
    {
        ServerCertificateContext = SslStreamCertificateContext.Create(Certificate.Value.Loaded(), null, offline: true),
    };

    /// <summary>The client's side of TLS, with the handshake done.</summary>
    public static SslStream Secure(Stream stream, Action<SslClientAuthenticationOptions>? change = null)
    {
        SslClientAuthenticationOptions options = ClientOptions();
        change?.Invoke(options);
        var secure = new SslStream(stream);
        secure.AuthenticateAsClient(options);
        return secure;
    }

    /// <summary>Ends the stream by a close_notify, if it is one of TLS and still open.</summary>
    public static void End(Stream stream)
    {
        try
        {
            if (stream is SslStream { IsAuthenticated: true } secure)
            {
                secure.ShutdownAsync().GetAwaiter().GetResult();
            }
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException or InvalidOperationException)
        {
            // The connection has ended, or has been ended so before.
        }
    }
}
