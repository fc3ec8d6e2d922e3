using System.Net;
using System.Net.Sockets;

namespace Penstock.TestKit;

/// <summary>A listener whose backlog is full and that never accepts: connecting to it hangs.</summary>
public sealed class FullListener : IDisposable
{
    private readonly Socket _listener = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
    private readonly List<Socket> _fillers = [];

    private FullListener()
    {
        _listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        _listener.Listen(0);
    }

    public int Port => ((IPEndPoint)_listener.LocalEndPoint!).Port;

    public static async Task<FullListener> StartAsync()
    {
        var full = new FullListener();
        for (int i = 0; i < 4; i++)
        {
            var filler = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                await filler.ConnectAsync(full._listener.LocalEndPoint!).WaitAsync(TimeSpan.FromMilliseconds(50));
            }
            catch (Exception e) when (e is TimeoutException or SocketException)
            {
                // The backlog is full now.
            }
            full._fillers.Add(filler);
        }
        return full;
    }

    public void Dispose()
    {
        _fillers.ForEach(static f => f.Dispose());
        _listener.Dispose();
    }
}
