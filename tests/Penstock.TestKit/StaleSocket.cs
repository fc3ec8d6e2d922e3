using System.Net.Sockets;

namespace Penstock.TestKit;

/// <summary>The file of a Unix domain socket as a killed process leaves it.</summary>
public static class StaleSocket
{
    /// <summary>Puts one there that nobody listens on.</summary>
    public static void Leave(string path)
    {
        using var killed = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        killed.Bind(new UnixDomainSocketEndPoint(path + ".bound"));
        File.Move(path + ".bound", path); // so that closing the socket, unlike a kill, does not remove the file
    }
}
