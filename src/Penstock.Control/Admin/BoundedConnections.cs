using System.IO.Pipelines;
using System.Net;
using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;

namespace Penstock.Control.Admin;

/// <summary>Holds a server to a number of connections. One that is full closes the connection that has been without a
/// request for longest, in favour of who comes: a crowd that connects and says nothing keeps nobody out. Kestrel's own
/// bound would reject who comes.</summary>
/// <param name="sockets">Accepts the connections.</param>
/// <param name="most">Of all its listeners together.</param>
/// <param name="time">Null: the system's.</param>
internal sealed class BoundedConnections(IConnectionListenerFactory sockets, int most, TimeProvider? time = null)
    : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    /// <summary>How long closing a connection may take before the next one is closed, too.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(100);

    /// <summary>How long a connection is left open that has just come or was just answered: its request may be on its
    /// way, or not yet seen by a busy process. So a crowd is let in at the bound twenty times a second.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(50);

    private readonly TimeProvider _time = time ?? TimeProvider.System;
    private readonly Lock _lock = new();
    private readonly LinkedList<BoundedConnection> _idle = new();
    private readonly Channel<bool> _room = Places(most);

    public bool CanBind(EndPoint endpoint) => true;

    public async ValueTask<IConnectionListener> BindAsync(
        EndPoint endpoint, CancellationToken cancellationToken = default) =>
        new Listener(await sockets.BindAsync(endpoint, cancellationToken), this);

    /// <summary>Answers a request; meanwhile its connection is not closed in favour of another one.</summary>
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
        // Nobody else is accepted meanwhile, so there is one more than the bound at most for each listener.
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
                // All of them are busy or have just come: again, soon.
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
        idlest.Abort(new ConnectionAbortedException("it was idle, and others want to come in"));
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
                return null; // as a listener says that it has stopped
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

    /// <summary>A connection that counts from accept to close, and says whether it has a request under way.</summary>
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

        /// <summary>When its last request ended, or it came: a timestamp of the clock.</summary>
        internal long IdleSince { get; set; }

        /// <summary>A request has begun, so it is not idle until <see cref="End"/>.</summary>
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
