using System.Text;
using Microsoft.Extensions.Logging;
using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Observability;
using Penstock.Proxy.Tls;

namespace Penstock.Proxy.Exchanges;

/// <summary>The beginning of a client connection with TLS.</summary>
internal static class Handshake
{
    /// <summary>What a client gets that speaks HTTP where TLS is spoken.</summary>
    private static readonly byte[] PlainAnswer = PlainAnswerOf(
        """{"code":400,"message":"This port speaks HTTPS, the request was sent in plain HTTP"}""");

    /// <param name="early">Bytes of the handshake that were received already.</param>
    public static async ValueTask<Step> RunAsync(ClientConnection client, byte[] early)
    {
        Worker worker = client.Worker;
        Connection io = client.Io;
        io.SetDeadline(worker.Snapshot.HandshakeTimeoutMs);
        if (early.Length == 0 && await io.WaitForDataAsync() is not WaitResult.Ready and WaitResult silent)
        {
            client.Counters.CountHandshake(silent == WaitResult.TimedOut ? HandshakeEnd.TimedOut : HandshakeEnd.Left);
            return Step.Close;
        }
        io.StartTls(new TlsSession(client.Port.Settings.Tls!.Default, io, early));
        WaitResult? failed = await io.HandshakeAsync();
        TlsSession tls = io.Tls!;
        client.Counters.CountHandshake(failed switch
        {
            null => tls.IsResumed ? HandshakeEnd.Resumed : HandshakeEnd.Full,
            WaitResult.TimedOut => HandshakeEnd.TimedOut,
            WaitResult.Ready when tls.Fault.Length > 0 => HandshakeEnd.Failed,
            _ => HandshakeEnd.Left,
        });
        if (failed is null)
        {
            if (client.Port.Settings.Config.Tls?.ClientAuth is not null)
            {
                tls.ReadCertificate();
            }
            return Step.Read;
        }
        if (tls.IsPlainHttp)
        {
            _ = io.SendRaw(PlainAnswer, more: true);
            client.EndAfterThisAndLinger();
        }
        if (tls.Fault.Length > 0 && worker.Logger.IsEnabled(LogLevel.Debug))
        {
            worker.Logger.LogDebug(Events.HandshakeFailed, "TLS with {Peer} on {Listener} failed: {Fault}",
                client.Peer, client.Counters.Listener, tls.Fault);
        }
        return Step.Close;
    }

    private static byte[] PlainAnswerOf(string body) => Encoding.ASCII.GetBytes("HTTP/1.1 400 Bad Request\r\n"
        + $"Content-Type: application/json\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n{body}");
}
