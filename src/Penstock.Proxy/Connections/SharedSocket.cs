using System.Diagnostics.CodeAnalysis;
using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;

namespace Penstock.Proxy.Connections;

/// <summary>A socket that another process has, too.</summary>
internal static class SharedSocket
{
    /// <summary>Closes this process' descriptor and changes nothing else. <see cref="Socket.Dispose()"/> would delete
    /// the file of a Unix domain socket, and make the socket blocking for both processes.</summary>
    [SuppressMessage("Usage", "CA1816", Justification = "the finalizer would delete the file, too")]
    public static void Release(Socket socket)
    {
        GC.SuppressFinalize(socket);
        nint descriptor = socket.SafeHandle.DangerousGetHandle();
        socket.SafeHandle.SetHandleAsInvalid();
        new SafeFileHandle(descriptor, ownsHandle: true).Dispose();
    }
}
