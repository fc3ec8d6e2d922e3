using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Penstock.Proxy.EventLoop;

/// <summary>Calls on sockets that <see cref="Socket"/> does not have.</summary>
internal static unsafe partial class SocketCalls
{
    /// <summary>Nothing can be moved now.</summary>
    public const int WouldBlock = -1;

    /// <summary>The connection is broken.</summary>
    public const int Broken = -2;

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

    /// <summary>Receives on a non-blocking socket, without the checks and states of <see cref="Socket"/>.</summary>
    /// <param name="descriptor">Stays open during the call.</param>
    /// <returns>Bytes received; 0 at the end of the stream; <see cref="WouldBlock"/>; <see cref="Broken"/>.</returns>
    public static int Receive(int descriptor, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            return Result(recv(descriptor, start, buffer.Length, 0));
        }
    }

    /// <summary>Sends on a non-blocking socket, as <see cref="Receive"/> receives.</summary>
    /// <param name="descriptor">Stays open during the call.</param>
    /// <param name="more">The kernel may hold the bytes back until more bytes or the end of the stream come, at most
    /// 200 ms (MSG_MORE, tcp(7)): then both leave in one packet, and the peer wakes once.</param>
    /// <returns>The bytes that the kernel took; <see cref="WouldBlock"/>; <see cref="Broken"/>.</returns>
    public static int Send(int descriptor, ReadOnlySpan<byte> bytes, bool more)
    {
        fixed (byte* start = bytes)
        {
            return Result(send(descriptor, start, bytes.Length, more ? NoSignal | More : NoSignal));
        }
    }

    private static int Result(nint count) => count >= 0 ? (int)count
        : Marshal.GetLastPInvokeError() == TryAgain ? WouldBlock : Broken;

    [LibraryImport("libc", SetLastError = true)]
    private static partial int connect(SafeHandle socket, byte* address, int length);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint send(int descriptor, byte* bytes, nint length, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint recv(int descriptor, byte* buffer, nint length, int flags);
}
