using System.Diagnostics.CodeAnalysis;
using System.Net.Sockets;
using System.Runtime.InteropServices;

namespace Penstock.Proxy.Connections;

/// <summary>A socket that another process has, too.</summary>
internal static partial class SharedSocket
{
    /// <summary>Closes this process' descriptor and changes nothing else. <see cref="Socket.Dispose()"/> would delete
    /// the file of a Unix domain socket, and make the socket blocking for both processes.</summary>
    [SuppressMessage("Usage", "CA1816", Justification = "the finalizer would delete the file, too")]
    public static void Release(Socket socket)
    {
        GC.SuppressFinalize(socket);
        int descriptor = (int)socket.SafeHandle.DangerousGetHandle();
        socket.SafeHandle.SetHandleAsInvalid();
        _ = close(descriptor);
    }

    [LibraryImport("libc")]
    private static partial int close(int descriptor);
}
