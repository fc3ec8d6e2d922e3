using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Penstock.Control.Acme;

namespace Penstock.IntegrationTests.Acme;

/// <summary>Answers http-01, as a listener on port 80 does.</summary>
internal sealed class HttpAnswers : IAsyncDisposable
{
    private const string Prefix = "/.well-known/acme-challenge/";

    private readonly HttpListener _listener = new();
    private readonly TaskCompletionSource<CertificateKeeper[]> _keepers = new();
    private readonly Task _running;
    private int _next;

    public HttpAnswers(int port)
    {
        _listener.Prefixes.Add($"http://*:{port.ToString(CultureInfo.InvariantCulture)}/");
        _listener.Start();
        _running = ServeAsync();
    }

    /// <summary>Answers from now on; until then requests wait.</summary>
    /// <param name="keepers">Each is asked in turn, as nodes behind one address are.</param>
    public void For(params CertificateKeeper[] keepers) => _keepers.SetResult(keepers);

    /// <summary>How many requests have got an answer, and how many none.</summary>
    public (int Found, int Missing) Count { get; private set; }

    public async ValueTask DisposeAsync()
    {
        _listener.Close();
        _keepers.TrySetResult([]);
        await _running;
    }

    private async Task ServeAsync()
    {
        CertificateKeeper[] keepers = await _keepers.Task;
        while (_listener.IsListening)
        {
            try
            {
                HttpListenerContext context = await _listener.GetContextAsync();
                string path = context.Request.Url!.AbsolutePath;
                string? answer = path.StartsWith(Prefix, StringComparison.Ordinal)
                    ? keepers[_next++ % keepers.Length].KeyAuthorizationOf(path[Prefix.Length..]) : null;
                Count = answer is null ? (Count.Found, Count.Missing + 1) : (Count.Found + 1, Count.Missing);
                context.Response.StatusCode = answer is null ? 404 : 200;
                context.Response.Close(Encoding.ASCII.GetBytes(answer ?? "no"), willBlock: true);
            }
            catch (Exception e) when (
                e is HttpListenerException or ObjectDisposedException or InvalidOperationException)
            {
                return;
            }
        }
    }
}

/// <summary>Answers tls-alpn-01, as a listener on port 443 does.</summary>
internal sealed class TlsAnswers : IAsyncDisposable
{
    private readonly TcpListener _listener;
    private readonly TaskCompletionSource<CertificateKeeper> _keeper = new();
    private readonly Task _running;

    public TlsAnswers(int port)
    {
        _listener = new(IPAddress.Loopback, port);
        _listener.Start();
        _running = ServeAsync();
    }

    /// <summary>Answers from now on; until then handshakes wait.</summary>
    public void For(CertificateKeeper keeper) => _keeper.SetResult(keeper);

    public async ValueTask DisposeAsync()
    {
        _listener.Stop();
        await _running;
    }

    private async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                using TcpClient client = await _listener.AcceptTcpClientAsync();
                await using var tls = new SslStream(client.GetStream());
                await tls.AuthenticateAsServerAsync(Options, null, CancellationToken.None);
            }
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // The test ends.
        }
    }

    private async ValueTask<SslServerAuthenticationOptions> Options(
        SslStream stream, SslClientHelloInfo hello, object? state, CancellationToken stop)
    {
        ChallengeCertificate shown = (await _keeper.Task).Challenges.Single(one => one.Name == hello.ServerName);
        using var read = X509Certificate2.CreateFromPem(shown.CertificatePem, shown.KeyPem);
        return new SslServerAuthenticationOptions
        {
            ServerCertificate = X509CertificateLoader.LoadPkcs12(read.Export(X509ContentType.Pkcs12), null),
            ApplicationProtocols = [new SslApplicationProtocol(ChallengeCertificate.Protocol)],
        };
    }
}
