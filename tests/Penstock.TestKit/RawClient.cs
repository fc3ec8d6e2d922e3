using System.Net;
using System.Net.Sockets;
using System.Text;

namespace Penstock.TestKit;

/// <param name="Head">Without the empty line.</param>
public sealed record RawResponse(string Head, byte[] Body)
{
    public int Status => int.Parse(Head.AsSpan(9, 3), System.Globalization.CultureInfo.InvariantCulture);
    public string Text => Encoding.UTF8.GetString(Body);

    /// <summary>Value of a field, or null.</summary>
    public string? this[string name] => Wire.Field(Head, name);
}

/// <summary>A client that sends exactly the bytes it is given.</summary>
public sealed class RawClient : IDisposable
{
    private readonly Socket _socket;

    /// <param name="receiveBytes">Size of the kernel's receive buffer; 0: its default.</param>
    public RawClient(EndPoint server, int receiveBytes = 0)
    {
        _socket = new Socket(server.AddressFamily, SocketType.Stream,
            server is UnixDomainSocketEndPoint ? ProtocolType.Unspecified : ProtocolType.Tcp);
        if (receiveBytes > 0)
        {
            _socket.ReceiveBufferSize = receiveBytes;
        }
        try
        {
            _socket.Connect(server);
        }
        catch
        {
            _socket.Dispose();
            throw;
        }
        if (server is IPEndPoint)
        {
            _socket.NoDelay = true;
        }
        Stream = new NetworkStream(_socket, ownsSocket: true);
        if (server is IPEndPoint { Port: var port } && TestTls.IsSecured(port))
        {
            Stream = TestTls.Secure(Stream);
        }
        Reader = new Wire(Stream);
    }

    public Wire Reader { get; }

    /// <summary>The decrypted stream.</summary>
    public Stream Stream { get; }

    public async Task SendAsync(string bytes) => await Stream.WriteAsync(Encoding.Latin1.GetBytes(bytes));

    public async Task SendAsync(ReadOnlyMemory<byte> bytes) => await Stream.WriteAsync(bytes);

    /// <summary>Reads the next response, including interim ones; throws if it is incomplete.</summary>
    public async Task<RawResponse?> ReadAsync(bool toHead = false)
    {
        string? head = await Reader.ReadHeadAsync();
        return head is null ? null : new RawResponse(head, await Reader.ReadBodyAsync(head, isResponse: true, toHead));
    }

    /// <summary>Sends a GET on this connection and reads the response.</summary>
    public async Task<RawResponse> GetAsync(string target = "/", string fields = "")
    {
        await SendAsync($"GET {target} HTTP/1.1\r\nHost: test\r\n{fields}\r\n");
        return await ReadAsync() ?? throw new EndOfStreamException("closed without a response");
    }

    /// <summary>Has the server ended the connection (with nothing left to read)?</summary>
    public async Task<bool> IsEndedAsync()
    {
        try
        {
            return await Reader.ReadHeadAsync() is null;
        }
        catch (IOException)
        {
            return true;
        }
    }

    public void ShutdownSend()
    {
        TestTls.End(Stream);
        _socket.Shutdown(SocketShutdown.Send);
    }

    /// <summary>Ends the connection with a reset.</summary>
    public void Reset()
    {
        _socket.LingerState = new LingerOption(enable: true, 0);
        _socket.Dispose();
    }

    public void Dispose() => Stream.Dispose();
}
