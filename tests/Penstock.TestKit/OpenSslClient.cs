using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Tls;

namespace Penstock.TestKit;

/// <summary>A TLS client for what <c>SslStream</c> cannot send: OpenSSL on a blocking socket. It accepts every
/// certificate.</summary>
public sealed unsafe partial class OpenSslClient : IDisposable
{
    private const string Library = "libssl.so.3";
    private static readonly TlsContext Context = TlsContext.ForBackends(new UpstreamTlsConfig { Verify = false });

    private readonly Socket _socket = new(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp)
    {
        SendTimeout = 20_000, ReceiveTimeout = 20_000, NoDelay = true,
    };

    private readonly nint _ssl;

    /// <summary>Connects and does the handshake.</summary>
    /// <exception cref="IOException">The handshake failed.</exception>
    public OpenSslClient(int port)
    {
        _socket.Connect(IPAddress.Loopback, port);
        _ssl = OpenSsl.SSL_new(Context);
        _ = SSL_set_fd(_ssl, (int)_socket.Handle);
        OpenSsl.SSL_set_connect_state(_ssl);
        if (Repeat(() => OpenSsl.SSL_do_handshake(_ssl)) != 1)
        {
            throw new IOException("the handshake failed");
        }
    }

    /// <summary>Sends a KeyUpdate (RFC 8446 §4.6.3), which gives the sender new keys.</summary>
    /// <param name="answered">The server has to answer with one of its own.</param>
    /// <returns>False: the connection is broken.</returns>
    public bool UpdateKeys(bool answered) =>
        SSL_key_update(_ssl, answered ? 1 : 0) == 1 && Repeat(() => OpenSsl.SSL_do_handshake(_ssl)) == 1;

    /// <summary>Sends these bytes in one record.</summary>
    public bool Send(string text)
    {
        byte[] bytes = Encoding.ASCII.GetBytes(text);
        fixed (byte* start = bytes)
        {
            nint at = (nint)start;
            return Repeat(() => OpenSsl.SSL_write(_ssl, (byte*)at, bytes.Length)) == bytes.Length;
        }
    }

    /// <summary>What has arrived, at least one byte; empty at the end.</summary>
    public string Receive()
    {
        byte[] bytes = new byte[16 * 1024];
        fixed (byte* start = bytes)
        {
            nint at = (nint)start;
            int count = Repeat(() => OpenSsl.SSL_read(_ssl, (byte*)at, bytes.Length));
            return Encoding.ASCII.GetString(bytes, 0, Math.Max(0, count));
        }
    }

    public void Dispose()
    {
        OpenSsl.SSL_free(_ssl);
        OpenSsl.ERR_clear_error();
        _socket.Dispose();
    }

    /// <summary>Calls again what a signal of the runtime has interrupted, as it may on a socket with a time-out.
    /// </summary>
    private int Repeat(Func<int> call)
    {
        long start = Environment.TickCount64;
        int result;
        do
        {
            OpenSsl.ERR_clear_error();
            result = call();
        }
        while (result <= 0 && Environment.TickCount64 - start < _socket.SendTimeout
            && OpenSsl.SSL_get_error(_ssl, result) is OpenSsl.ErrorWantRead or OpenSsl.ErrorWantWrite);
        return result;
    }

    [LibraryImport(Library)]
    private static partial int SSL_set_fd(nint ssl, int descriptor);

    [LibraryImport(Library)]
    private static partial int SSL_key_update(nint ssl, int kind);
}
