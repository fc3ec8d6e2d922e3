using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Penstock.Proxy.EventLoop;

/// <summary>Calls on sockets that <see cref="Socket"/> does not have.</summary>
internal static unsafe partial class SocketCalls
{
    private const int NoSignal = 0x4000;
    private const int More = 0x8000;
    private const int TryAgain = 11;

    /// <summary>Starts to connect a non-blocking socket. <c>Socket.Connect</c> would throw an exception for "in
    /// progress".</summary>
    /// <returns>0: connected at once; else errno (115: in progress).</returns>
    public static int Connect(Socket socket, ReadOnlySpan<byte> address)
    {
        fixed (byte* at = address)
        {
            return connect(socket.SafeHandle, at, address.Length) == 0 ? 0 : Marshal.GetLastPInvokeError();
        }
    }

    /// <summary>Sends bytes that the kernel may hold back until more bytes or the end of the stream come, at most 200
    /// ms (MSG_MORE, tcp(7)): then both leave in one packet, and the peer wakes once.</summary>
    /// <returns>The bytes that the kernel took.</returns>
    public static int SendMore(Socket socket, ReadOnlySpan<byte> bytes, out SocketError error)
    {
        fixed (byte* start = bytes)
        {
            nint count = send(socket.SafeHandle, start, bytes.Length, NoSignal | More);
            error = count >= 0 ? SocketError.Success
                : Marshal.GetLastPInvokeError() == TryAgain ? SocketError.WouldBlock : SocketError.SocketError;
            return (int)count;
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int connect(SafeHandle socket, byte* address, int length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint send(SafeHandle socket, byte* bytes, nint length, int flags);
}
