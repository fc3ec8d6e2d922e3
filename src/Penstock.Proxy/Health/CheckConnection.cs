using System.Net;
using System.Net.Sockets;
using Penstock.Proxy.Tls;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Health;

/// <summary>TLS with a backend failed, or its certificate is not accepted.</summary>
internal sealed class CheckSecurityException(string message) : Exception(message);

/// <summary>The connection of one health check, with TLS if the backend speaks it: the same sessions and verification
/// as for requests. It holds a descriptor of the checks' share until it is closed. Not thread-safe.</summary>
internal sealed class CheckConnection : ITlsTransport, IDisposable
{
    private readonly Socket _socket;
    private readonly byte[] _received = new byte[16 * 1024];
    private ArraySegment<byte> _unread;
    private bool _ended;
    private readonly MemoryStream _unsent = new();
    private TlsSession? _tls;
    private int _returned;

    private CheckConnection(Socket socket) => _socket = socket;

    public IPEndPoint? LocalEndPoint => _socket.LocalEndPoint as IPEndPoint;

    public IPEndPoint? RemoteEndPoint => _socket.RemoteEndPoint as IPEndPoint;

    /// <exception cref="SocketException">The backend cannot be reached, or no descriptor is left.</exception>
    public static async Task<CheckConnection> OpenAsync(BackendAddress address, CancellationToken cancel)
    {
        if (!Descriptors.TryReserveForCheck())
        {
            throw new SocketException((int)SocketError.TooManyOpenSockets);
        }
        CheckConnection? connection = null;
        try
        {
            EndPoint to = address.EndPoint;
            connection = new(new Socket(to.AddressFamily, SocketType.Stream,
                to is UnixDomainSocketEndPoint ? ProtocolType.Unspecified : ProtocolType.Tcp));
            await connection._socket.ConnectAsync(to, cancel);
            return connection;
        }
        catch
        {
            if (connection is null)
            {
                Descriptors.ReturnFromCheck();
            }
            connection?.Dispose();
            throw;
        }
    }

    /// <summary>Does the handshake, and checks the backend's certificate.</summary>
    /// <exception cref="CheckSecurityException">It failed; the message says why.</exception>
    public async Task SecureAsync(TlsClient tls, string host, CancellationToken cancel)
    {
        _tls = tls.Begin(this, host, new TlsResumption());
        HandshakeState state;
        do
        {
            state = _tls.Handshake();
            await FlushAsync(cancel);
            if (state == HandshakeState.NeedsData)
            {
                await FillAsync(cancel);
            }
        }
        while (state is HandshakeState.NeedsData or HandshakeState.NeedsSpace);
        string? fault = state == HandshakeState.Done ? tls.Reject(_tls, host)
            : _tls.Fault.Length > 0 ? _tls.Fault : "the backend closed the connection";
        if (fault is not null)
        {
            throw new CheckSecurityException(fault);
        }
    }

    public async Task SendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancel)
    {
        if (_tls is null)
        {
            SendRaw(bytes.Span, more: false);
        }
        else if (_tls.Send(bytes.Span) != bytes.Length)
        {
            throw new SocketException((int)SocketError.ConnectionReset);
        }
        await FlushAsync(cancel);
    }

    /// <returns>0 at the end of the stream.</returns>
    public async Task<int> ReceiveAsync(Memory<byte> buffer, CancellationToken cancel)
    {
        if (_tls is null)
        {
            return await _socket.ReceiveAsync(buffer, SocketFlags.None, cancel);
        }
        while (true)
        {
            int count = _tls.Receive(buffer.Span);
            if (count != TlsSession.WouldBlock)
            {
                return Math.Max(0, count);
            }
            await FillAsync(cancel);
        }
    }

    public int ReceiveRaw(Span<byte> buffer)
    {
        if (_unread.Count == 0)
        {
            return _ended ? 0 : TlsSession.WouldBlock;
        }
        int count = Math.Min(buffer.Length, _unread.Count);
        _unread.AsSpan(0, count).CopyTo(buffer);
        _unread = _unread[count..];
        return count;
    }

    public int SendRaw(ReadOnlySpan<byte> bytes, bool more)
    {
        _unsent.Write(bytes);
        return bytes.Length;
    }

    private async Task FillAsync(CancellationToken cancel)
    {
        int count = await _socket.ReceiveAsync(_received, SocketFlags.None, cancel);
        _ended = count == 0;
        _unread = new(_received, 0, count);
    }

    private async Task FlushAsync(CancellationToken cancel)
    {
        ReadOnlyMemory<byte> bytes = _unsent.ToArray();
        _unsent.SetLength(0);
        while (!bytes.IsEmpty)
        {
            bytes = bytes[await _socket.SendAsync(bytes, SocketFlags.None, cancel)..];
        }
    }

    public void Dispose()
    {
        if (Interlocked.Exchange(ref _returned, 1) == 0)
        {
            _tls?.Free();
            _socket.Dispose();
            Descriptors.ReturnFromCheck();
        }
    }
}
