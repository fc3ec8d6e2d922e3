using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Penstock.Proxy.Connections;
using Penstock.Proxy.Observability;
using Penstock.Proxy.Tls;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>Opens a new connection to the backend of the current attempt.</summary>
internal static class Dialing
{
    /// <summary>How long to wait for a free file descriptor before the next attempt to open a socket.</summary>
    private const long DescriptorWaitMs = 20;

    public static async ValueTask<Step> DialAsync(Exchange exchange)
    {
        Backend backend = exchange.Backend!;
        (BackendAddress? first, BackendAddress? second) = backend.AddressesToTry();
        long connectMs = exchange.ConnectTimeoutMs;
        long timeoutMs = second is null ? connectMs : Math.Max(1, connectMs / 2);
        SocketError error = await ConnectAsync(exchange, first, timeoutMs);
        if (second is not null && error is not (SocketError.Success or SocketError.OperationAborted)
            && !IsOutOfDescriptors(error))
        {
            // The server may listen only on the name's other address: localhost may be 127.0.0.1, ::1, or both.
            exchange.Current.Connection?.Io.Close();
            SocketError other = await ConnectAsync(exchange, second, timeoutMs);
            if (other == SocketError.Success)
            {
                backend.Connected(second);
            }
            error = other is SocketError.Success or SocketError.OperationAborted ? other : error;
        }
        return error switch
        {
            SocketError.Success when exchange.Current.Connection!.Tls is { } tls => await SecureAsync(exchange, tls),
            SocketError.Success => Step.Send,
            SocketError.OperationAborted => Failing.ClientGone(exchange),
            _ => Failing.Failed(exchange, FailureOf(error)),
        };
    }

    /// <summary>TLS with the backend, within what is left of the time to connect. A PROXY protocol header comes
    /// before it.</summary>
    private static async ValueTask<Step> SecureAsync(Exchange exchange, TlsClient tls)
    {
        BackendConnection connection = exchange.Current.Connection!;
        if (!Sending.TrySendOrigin(exchange, connection))
        {
            return Failing.Failed(exchange, Failure.NotSent);
        }
        string? fault = await connection.SecureAsync(tls);
        if (fault is null)
        {
            return Step.Send;
        }
        if (connection.Io.WasCanceled)
        {
            return Failing.ClientGone(exchange);
        }
        Tell(exchange.Worker, connection, fault.Length > 0 ? fault : "the handshake was not finished in time");
        return Failing.Failed(exchange, fault.Length == 0 ? Failure.ConnectTimedOut : Failure.NotSecured);
    }

    /// <summary>Logs why TLS with a backend failed, not too often.</summary>
    private static void Tell(Worker worker, BackendConnection connection, string fault)
    {
        if (connection.Pool.MayTell(fault))
        {
            worker.Logger.LogWarning(Events.BackendInsecure, "TLS with backend {Backend} failed: {Cause}",
                connection.Pool.Backend, fault);
        }
    }

    private static Failure FailureOf(SocketError error) => IsOutOfDescriptors(error) ? Failure.NoDescriptors
        : error is SocketError.NoBufferSpaceAvailable or SocketError.AddressNotAvailable ? Failure.NoResources
        : error == SocketError.TimedOut ? Failure.ConnectTimedOut : Failure.NotConnected;

    private static bool IsOutOfDescriptors(SocketError error) =>
        error is SocketError.TooManyOpenSockets or SocketError.ProcessLimit;

    /// <returns>OperationAborted when the client has left during the wait.</returns>
    private static async ValueTask<SocketError> ConnectAsync(Exchange exchange, BackendAddress? address,
        long timeoutMs)
    {
        Worker worker = exchange.Worker;
        ConnectionPool pool = worker.PoolOf(exchange.Backend!);
        exchange.Current.Connection = worker.Dial(pool, address, out SocketError error);
        for (long waitedMs = 0; IsOutOfDescriptors(error) && waitedMs < exchange.ConnectTimeoutMs;
            waitedMs += DescriptorWaitMs)
        {
            await exchange.Pause.WaitAsync(DescriptorWaitMs);
            if (exchange.Client.HasLeft)
            {
                return SocketError.OperationAborted;
            }
            exchange.Current.Connection = worker.Dial(pool, address, out error);
        }
        if (exchange.Current.Connection is not { } connection)
        {
            return error;
        }
        connection.Io.SetDeadline(timeoutMs);
        WaitResult result = await connection.Io.WaitForSpaceAsync();
        return result == WaitResult.Canceled ? SocketError.OperationAborted
            : result == WaitResult.Ready ? connection.Io.ConnectError() : SocketError.TimedOut;
    }
}
