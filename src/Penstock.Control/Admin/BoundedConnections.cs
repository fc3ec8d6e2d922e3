using System.IO.Pipelines;
using System.Net;
using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Penstock.Control.Admin;

/// <summary>Limits a server to a number of connections. When it is full, a new connection replaces the one that has
/// been without a request for the longest time. So clients that connect and send nothing cannot block the server.
/// Kestrel's limit would reject the new connection instead.</summary>
/// <param name="sockets">Accepts the connections.</param>
/// <param name="most">The maximum for all listeners together.</param>
/// <param name="time">Null: the system's clock.</param>
internal sealed class BoundedConnections(IConnectionListenerFactory sockets, int most, TimeProvider? time = null)
    : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    /// <summary>How long to wait for a closed connection before the next one is closed.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(100);

    /// <summary>How long a connection stays open after it was accepted or answered, because its next request may be on
    /// the way. So at most all connections are replaced twenty times a second.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(50);

    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly Lock _lock = new();
    private readonly LinkedList<BoundedConnection> _idle = new();
    private readonly Channel<bool> _room = Places(most);

    public bool CanBind(EndPoint endpoint) => true;

    public async ValueTask<IConnectionListener> BindAsync(
        EndPoint endpoint, CancellationToken cancellationToken = default) =>
        new Listener(await sockets.BindAsync(endpoint, cancellationToken), this);

    /// <summary>Answers a request; its connection is not closed during that time.</summary>
    public static async Task CountAsync(HttpContext context, RequestDelegate answer)
    {
        BoundedConnection? connection = context.Features.Get<BoundedConnection>();
        connection?.Begin();
        try
        {
            await answer(context);
        }
        finally
        {
            connection?.End();
        }
    }

    private async ValueTask<ConnectionContext> AdmitAsync(ConnectionContext newcomer, CancellationToken cancel)
    {
        // A listener accepts no other connection during this wait, so it has at most one above the maximum.
        while (!_room.Reader.TryRead(out _))
        {
            using var patience = new CancellationTokenSource(CloseIdlest(), _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel, patience.Token);
            try
            {
                await _room.Reader.WaitToReadAsync(either.Token);
            }
            catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
            {
                // No connection could be closed in time; try again.
            }
        }
        var admitted = new BoundedConnection(newcomer, this);
        newcomer.Features.Set(admitted);
        SetIdle(admitted, idle: true);
        return admitted;
    }

    private static Channel<bool> Places(int count)
    {
        var places = Channel.CreateBounded<bool>(count);
        for (int i = 0; i < count; i++)
        {
            places.Writer.TryWrite(true);
        }

        return places;
    }

    /// <returns>How long to wait for room before the next call.</returns>
    private TimeSpan CloseIdlest()
    {
        BoundedConnection idlest;
        lock (_lock)
        {
            if (_idle.First is not { } first)
            {
                return Patience;
            }
            idlest = first.Value;
            TimeSpan left = Grace - _time.GetElapsedTime(idlest.IdleSince);
            if (left > TimeSpan.Zero)
            {
                return left;
            }
            _idle.RemoveFirst();
        }
        idlest.Abort(new ConnectionAbortedException("it was idle, and a new connection needs its place"));
        return Patience;
    }

    private void SetIdle(BoundedConnection connection, bool idle)
    {
        lock (_lock)
        {
            if (connection.Node.List is not null)
            {
                _idle.Remove(connection.Node);
            }
            if (idle)
            {
                connection.IdleSince = _time.GetTimestamp();
                _idle.AddLast(connection.Node);
            }
        }
    }

    private sealed class Listener(IConnectionListener listener, BoundedConnections bounds) : IConnectionListener
    {
        private readonly CancellationTokenSource _stop = new();

        public EndPoint EndPoint => listener.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            if (await listener.AcceptAsync(cancellationToken) is not { } newcomer)
            {
                return null;
            }

            try
            {
                return await bounds.AdmitAsync(newcomer, _stop.Token);
            }
            catch (OperationCanceledException)
            {
                await newcomer.DisposeAsync();
                return null; // this means that the listener has stopped
            }
        }

        public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            await _stop.CancelAsync();
            await listener.UnbindAsync(cancellationToken);
        }

        public async ValueTask DisposeAsync()
        {
            await listener.DisposeAsync();
            _stop.Dispose();
        }
    }

    /// <summary>A connection that is counted from accept to close and knows whether it has a request in progress.
    /// </summary>
    private sealed class BoundedConnection : ConnectionContext
    {
        private readonly ConnectionContext _connection;
        private readonly BoundedConnections _bounds;
        private int _closed;

        internal BoundedConnection(ConnectionContext connection, BoundedConnections bounds)
        {
            (_connection, _bounds) = (connection, bounds);
            Node = new(this);
        }

        public override string ConnectionId
        {
            get => _connection.ConnectionId;
            set => _connection.ConnectionId = value;
        }

        public override IFeatureCollection Features => _connection.Features;

        public override IDictionary<object, object?> Items
        {
            get => _connection.Items;
            set => _connection.Items = value;
        }

        public override IDuplexPipe Transport
        {
            get => _connection.Transport;
            set => _connection.Transport = value;
        }

        public override CancellationToken ConnectionClosed
        {
            get => _connection.ConnectionClosed;
            set => _connection.ConnectionClosed = value;
        }

        public override EndPoint? LocalEndPoint
        {
            get => _connection.LocalEndPoint;
            set => _connection.LocalEndPoint = value;
        }

        public override EndPoint? RemoteEndPoint
        {
            get => _connection.RemoteEndPoint;
            set => _connection.RemoteEndPoint = value;
        }

        internal LinkedListNode<BoundedConnection> Node { get; }

        /// <summary>When it was accepted or its last request ended: a timestamp of the clock.</summary>
        internal long IdleSince { get; set; }

        /// <summary>A request begins; the connection is not idle until <see cref="End"/>.</summary>
        public void Begin() => _bounds.SetIdle(this, idle: false);

        public void End() => _bounds.SetIdle(this, idle: Volatile.Read(ref _closed) == 0);

        public override void Abort(ConnectionAbortedException abortReason) => _connection.Abort(abortReason);

        public override void Abort() => _connection.Abort();

        public override async ValueTask DisposeAsync()
        {
            await _connection.DisposeAsync();
            await base.DisposeAsync();
            if (Interlocked.Exchange(ref _closed, 1) == 0)
            {
                _bounds.SetIdle(this, idle: false);
                _bounds._room.Writer.TryWrite(true);
            }
        }
    }
}
