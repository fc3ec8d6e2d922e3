using System.Net.Sockets;
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Penstock.Control.Takeover;

/// <summary>Two connected sockets (socketpair(2)), which .NET cannot create: one to use, one to pass on.</summary>
internal static unsafe partial class SocketPair
{
    private const int UnixFamily = 1;
    private const int StreamCloseOnExec = 1 | 0x80000;

    /// <exception cref="SocketException">No descriptor is left.</exception>
    public static (Socket One, SafeFileHandle Other) Create()
    {
        int* pair = stackalloc int[2];
        return socketpair(UnixFamily, StreamCloseOnExec, 0, pair) == 0
            ? (Of(pair[0]), new SafeFileHandle(pair[1], ownsHandle: true))
            : throw new SocketException(Marshal.GetLastPInvokeError());
    }

    /// <summary>The socket that has this descriptor, and owns it.</summary>
    public static Socket Of(int descriptor) => new(new SafeSocketHandle(descriptor, ownsHandle: true));

    [LibraryImport("libc", SetLastError = true)]
    private static partial int socketpair(int family, int type, int protocol, int* pair);
}
