using System.Net.Sockets;
using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Tls;

namespace Penstock.Proxy.Upstreams;

/// <summary>One loop's idle connections to one backend. The one used last is rented first. Not thread-safe, but other
/// threads may read the counters.</summary>
internal sealed class ConnectionPool(Loop loop, Backend backend)
{
    /// <summary>The pool keeps at most this many idle connections; further ones are closed.</summary>
    private const int MaxIdle = 512;
    private const int InProgress = 115;
    private const long TellEveryMs = 60_000;

    private readonly List<BackendConnection> _idle = [];
    private string? _told;
    private long _tellAgainMs;
    private long _requests;
    private long _failures;

    public Loop Loop => loop;
    public Backend Backend => backend;
    public int IdleCount => _idle.Count;
    public long Requests => Volatile.Read(ref _requests);
    public long Failures => Volatile.Read(ref _failures);

    /// <summary>The ticket for the next connection with TLS.</summary>
    public TlsResumption Resumption { get; } = new();

    /// <summary>Whether to log why TLS with the backend failed: when the cause is new, otherwise once a
    /// minute.</summary>
    public bool MayTell(string cause)
    {
        bool tells = cause != _told || loop.NowMs >= _tellAgainMs;
        if (tells)
        {
            (_told, _tellAgainMs) = (cause, loop.NowMs + TellEveryMs);
        }
        return tells;
    }

    public void CountRequest() => Volatile.Write(ref _requests, _requests + 1);

    public void CountFailure() => Volatile.Write(ref _failures, _failures + 1);

    /// <summary>Takes an idle connection that is still open; null when there is none.</summary>
    public BackendConnection? TryRent()
    {
        while (_idle.Count > 0)
        {
            BackendConnection connection = _idle[^1];
            _idle.RemoveAt(_idle.Count - 1);
            loop.IdleSources--;
            connection.IsIdle = false;
            connection.IsReused = true;
            if (connection.Tls == backend.Tls)
            {
                return connection;
            }
            connection.Io.Close(); // it began under other settings
        }
        return null;
    }

    /// <summary>Starts to open a connection. Await <see cref="Connection.WaitForSpaceAsync"/>, then call
    /// <see cref="Connection.ConnectError"/>.</summary>
    /// <returns>Null when it failed at once, with <paramref name="error"/>.</returns>
    public BackendConnection? Dial(BackendAddress? address, out SocketError error)
    {
        if (address is null)
        {
            error = SocketError.HostNotFound;
            return null;
        }

        bool unix = address.EndPoint.AddressFamily == AddressFamily.Unix;
        Socket? socket = null;
        try
        {
            socket = new Socket(address.EndPoint.AddressFamily, SocketType.Stream,
                unix ? ProtocolType.Unspecified : ProtocolType.Tcp) { Blocking = false };
            if (!unix)
            {
                socket.NoDelay = true;
            }
            int errno = SocketCalls.Connect(socket, address.Bytes);
            if (errno is 0 or InProgress)
            {
                error = SocketError.Success;
                return new BackendConnection(this, socket);
            }
            error = (SocketError)new SocketException(errno).SocketErrorCode;
        }
        catch (SocketException e)
        {
            error = e.SocketErrorCode;
        }
        socket?.Dispose();
        return null;
    }

    /// <summary>Puts a connection whose last exchange ended cleanly into the pool.</summary>
    /// <param name="idleTimeoutMs">How long it may stay idle; 0: it is closed.</param>
    public void Return(BackendConnection connection, long idleTimeoutMs)
    {
        if (idleTimeoutMs == 0 || connection.Io.HasUnread
            || _idle.Count >= MaxIdle || connection.Io.IsClosed || backend.IsRetired)
        {
            // The backend sent data without a request; it would be taken for the next request's response.
            connection.Io.Close();
            return;
        }
        connection.IsIdle = true;
        connection.Io.SetDeadline(idleTimeoutMs);
        _idle.Add(connection);
        loop.IdleSources++;
    }

    /// <summary>Closes an idle connection on which an unexpected event happened.</summary>
    public void Discard(BackendConnection connection)
    {
        _idle.Remove(connection);
        loop.IdleSources--;
        connection.IsIdle = false;
        connection.Io.Close();
    }

    public void CloseIdle()
    {
        while (TryRent() is { } connection)
        {
            connection.Io.Close();
        }
    }
}

/// <summary>A connection to a backend. It serves one exchange at a time and is idle in its pool in between.</summary>
internal sealed class BackendConnection : IConnectionOwner
{
    public BackendConnection(ConnectionPool pool, Socket socket)
    {
        Pool = pool;
        Tls = pool.Backend.Tls;
        Io = new Connection(pool.Loop, socket, this, connecting: true);
    }

    public ConnectionPool Pool { get; }
    public Connection Io { get; }

    /// <summary>TLS of the connection; null: it has none.</summary>
    public TlsClient? Tls { get; }
    public bool IsIdle { get; set; }

    /// <summary>It has been idle in the pool, so the backend may have closed it before it receives the next
    /// request.</summary>
    public bool IsReused { get; set; }

    /// <summary>It began with a PROXY protocol header, which names the client. Therefore it serves only this client's
    /// exchange.</summary>
    public bool IsAnnounced { get; set; }

    /// <summary>Does the handshake of TLS on a connection that has just been opened, and checks the backend's
    /// certificate.</summary>
    /// <returns>Null when it is done, otherwise why it failed; empty: a wait has ended, see
    /// <see cref="Connection.HasExpired"/> and <see cref="Connection.WasCanceled"/>.</returns>
    public async ValueTask<string?> SecureAsync(TlsClient tls)
    {
        Backend backend = Pool.Backend;
        Io.StartTls(tls.Begin(Io, backend.Host, Pool.Resumption));
        if (await Io.HandshakeAsync() is { } failed)
        {
            return failed != WaitResult.Ready ? ""
                : Io.Tls!.Fault is { Length: > 0 } fault ? fault : "the backend closed the connection";
        }
        return tls.Reject(Io.Tls!, backend.Host);
    }

    public void OnUnexpectedEvent(UnexpectedEvent what)
    {
        if (IsIdle)
        {
            Pool.Discard(this);
        }
    }

    public void OnPeerClosed() => OnUnexpectedEvent(UnexpectedEvent.Data);
}
