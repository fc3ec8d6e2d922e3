using System.Net.Sockets;
using Penstock.Proxy.Connections;
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
            SocketError.Success => Step.Send,
            SocketError.OperationAborted => Failing.ClientGone(exchange),
            _ => Failing.Failed(exchange, FailureOf(error)),
        };
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
