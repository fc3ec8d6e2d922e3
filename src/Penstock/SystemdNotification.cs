using System.Net.Sockets;
using System.Text;

namespace Penstock;

/// <summary>sd_notify(3): one datagram to the socket that systemd names, so that <c>Type=notify</c> units are
/// "started" when the listeners are really open.</summary>
internal static class SystemdNotification
{
    public static void Send(string state, Func<string, string?> environment)
    {
        if (environment("NOTIFY_SOCKET") is not { Length: > 1 } path)
            return;
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified);
            // "@name" is how the environment writes the abstract namespace, whose names begin with a zero byte
            var address = path[0] == '@' ? "\0" + path[1..] : path;
            socket.SendTo(Encoding.UTF8.GetBytes(state), new UnixDomainSocketEndPoint(address));
        }
        catch (SocketException)
        {
            // serving matters more than reporting that we serve; systemd's start timeout tells the operator
        }
    }
}
