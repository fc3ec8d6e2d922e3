using System.Net.Sockets;
using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;

namespace Penstock.Proxy.Upstreams;

/// <summary>One loop's idle connections to one backend. The one used last is rented first. Not thread-safe, but other
/// threads may read the counters.</summary>
internal sealed class ConnectionPool(Loop loop, Backend backend)
{
    /// <summary>The pool keeps at most this many idle connections; further ones are closed.</summary>
    private const int MaxIdle = 512;
    private const int InProgress = 115;

    private readonly List<BackendConnection> _idle = [];
    private long _requests;
    private long _failures;

    public Loop Loop => loop;
    public Backend Backend => backend;
    public int IdleCount => _idle.Count;
    public long Requests => Volatile.Read(ref _requests);
    public long Failures => Volatile.Read(ref _failures);

    public void CountRequest() => Volatile.Write(ref _requests, _requests + 1);

    public void CountFailure() => Volatile.Write(ref _failures, _failures + 1);

    /// <summary>Takes an idle connection that is still open; null when there is none.</summary>
    public BackendConnection? TryRent()
    {
        if (_idle.Count == 0)
        {
            return null;
        }
        BackendConnection connection = _idle[^1];
        _idle.RemoveAt(_idle.Count - 1);
        loop.IdleSources--;
        connection.IsIdle = false;
        connection.IsReused = true;
        return connection;
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
            int errno = Epoll.Connect(socket.SafeHandle, address.Bytes);
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
        if (idleTimeoutMs == 0 || connection.Io.MayHaveData
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
        Io = new Connection(pool.Loop, socket, this, connecting: true);
    }

    public ConnectionPool Pool { get; }
    public Connection Io { get; }
    public bool IsIdle { get; set; }

    /// <summary>It has been idle in the pool, so the backend may have closed it before it receives the next
    /// request.</summary>
    public bool IsReused { get; set; }

    /// <summary>It began with a PROXY protocol header, which names the client. Therefore it serves only this client's
    /// exchange.</summary>
    public bool IsAnnounced { get; set; }

    public void OnUnexpectedEvent(UnexpectedEvent what)
    {
        if (IsIdle)
        {
            Pool.Discard(this);
        }
    }

    public void OnPeerClosed() => OnUnexpectedEvent(UnexpectedEvent.Data);
}
