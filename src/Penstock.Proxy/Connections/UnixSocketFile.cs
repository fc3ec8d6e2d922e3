using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;

namespace Penstock.Proxy.Connections;

/// <summary>The file of a Unix domain socket. A killed process leaves it behind, and the path cannot be bound until the
/// file is removed.</summary>
public static unsafe partial class UnixSocketFile
{
    // Constants of statx(2) and inode(7).
    private const int CurrentFolder = -100;
    private const int DoNotFollow = 0x100;
    private const uint AskForType = 1;
    private const int ResultBytes = 256;
    private const int ModeOffset = 28;
    private const int TypeMask = 0xF000;
    private const int SocketKind = 0xC000;

    /// <summary>A socket that is bound, over a stale file if there is one, and does not listen yet. It does not
    /// block.</summary>
    /// <param name="mode">The mode of the file; null: by the umask.</param>
    /// <exception cref="SocketException">The path cannot be bound.</exception>
    /// <exception cref="IOException">The mode cannot be set.</exception>
    public static Socket Bind(UnixDomainSocketEndPoint address, UnixFileMode? mode)
    {
        ArgumentNullException.ThrowIfNull(address);
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
        try
        {
            string path = address.ToString();
            RemoveIfStale(path);
            socket.Bind(address);
            if (mode is { } wanted)
            {
                File.SetUnixFileMode(path, wanted); // before the socket listens, so nobody has connected yet
            }
            return socket;
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    /// <summary>Removes the file if it is a socket that no process listens on. Any other file is left alone.</summary>
    public static void RemoveIfStale(string path)
    {
        if (IsSocket(path) && !IsListenedOn(path))
        {
            File.Delete(path);
        }
    }

    private static bool IsSocket(string path)
    {
        Span<byte> result = stackalloc byte[ResultBytes];
        fixed (byte* at = result)
        fixed (byte* name = Encoding.UTF8.GetBytes(path + '\0'))
        {
            return statx(CurrentFolder, name, DoNotFollow, AskForType, at) == 0
                && (MemoryMarshal.Read<ushort>(result[ModeOffset..])
                    & TypeMask) == SocketKind;
        }
    }

    private static bool IsListenedOn(string path)
    {
        using var probe = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            probe.Connect(new UnixDomainSocketEndPoint(path));
            return true;
        }
        catch (SocketException e)
        {
            return e.SocketErrorCode != SocketError.ConnectionRefused; // with any other error the socket may be in use
        }
    }

    [LibraryImport("libc", SetLastError = true)]
    private static partial int statx(int folder, byte* path, int flags, uint mask, byte* result);
}
