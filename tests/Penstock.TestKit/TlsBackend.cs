using System.Collections.Concurrent;
using System.Net;
using System.Net.Security;
using System.Net.Sockets;

namespace Penstock.TestKit;

/// <summary>A backend with TLS by .NET, whose every connection answers requests "ok".</summary>
public sealed class TlsBackend : IAsyncDisposable
{
    private readonly TcpListener _listener = new(IPAddress.Loopback, 0);
    private readonly CancellationTokenSource _stop = new();
    private readonly SslServerAuthenticationOptions _options;
    private readonly Task _accepting;

    /// <param name="response">The bytes of every response.</param>
    /// <param name="clientCertificate">Clients must show a certificate, which is not checked.</param>
    public TlsBackend(TestCertificate certificate, string response = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        bool clientCertificate = false)
    {
        _options = new()
        {
            ServerCertificateContext = SslStreamCertificateContext.Create(certificate.Loaded(), null, offline: true),
            ClientCertificateRequired = clientCertificate,
            RemoteCertificateValidationCallback = (_, shown, _, _) =>
            {
                ClientSubjects.Enqueue(shown?.Subject ?? "");
                return shown is not null || !clientCertificate;
            },
        };
        Response = response;
        _listener.Start(512);
        _accepting = Task.Run(AcceptAsync);
    }

    public int Port => ((IPEndPoint)_listener.LocalEndpoint).Port;
    public string Response { get; }

    /// <summary>The subjects of the certificates that clients have shown; empty: none.</summary>
    public ConcurrentQueue<string> ClientSubjects { get; } = new();

    /// <summary>The server name that each client asked for.</summary>
    public ConcurrentQueue<string> Names { get; } = new();

    /// <summary>Heads of all requests, in the order of their arrival.</summary>
    public ConcurrentQueue<string> Heads { get; } = new();

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listener.Stop();
        await _accepting;
        _stop.Dispose();
    }

    private async Task AcceptAsync()
    {
        try
        {
            while (true)
            {
                _ = ServeAsync(await _listener.AcceptTcpClientAsync(_stop.Token));
            }
        }
        catch (OperationCanceledException)
        {
            // the end
        }
    }

    private async Task ServeAsync(TcpClient client)
    {
        using (client)
        await using (var secure = new SslStream(client.GetStream()))
        {
            try
            {
                await secure.AuthenticateAsServerAsync(_options, _stop.Token);
                Names.Enqueue(secure.TargetHostName);
                var wire = new Wire(secure);
                while (await wire.ReadHeadAsync() is { } head)
                {
                    Heads.Enqueue(head);
                    await wire.ReadBodyAsync(head, isResponse: false, toHead: false);
                    await secure.WriteAsync(System.Text.Encoding.Latin1.GetBytes(Response), _stop.Token);
                    if (Response.Contains("Connection: close", StringComparison.Ordinal))
                    {
                        client.Client.Shutdown(SocketShutdown.Send); // without a close_notify
                        return;
                    }
                }
            }
            catch (Exception e) when (e is IOException or OperationCanceledException
                or System.Security.Authentication.AuthenticationException)
            {
                // Penstock closed the connection, or did not accept the certificate.
            }
        }
    }
}
