using System.Net.Sockets;

namespace Penstock.TestKit;

/// <summary>The file of a Unix domain socket that a killed process has left behind.</summary>
public static class StaleSocket
{
    /// <summary>Creates a socket file on which no process listens.</summary>
    public static void Leave(string path)
    {
        using var killed = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        killed.Bind(new UnixDomainSocketEndPoint(path + ".bound"));
        File.Move(path + ".bound", path); // so that closing the socket, unlike a kill, does not remove the file
    }
}
