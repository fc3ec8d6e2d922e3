using System.Collections.Concurrent;
using System.Net;
using Microsoft.AspNetCore.Connections;

namespace Penstock;

/// <summary>Listeners of one Kestrel that can be stopped and started one by one, which Kestrel itself cannot do. A
/// stopped listener does not accept connections, and those that it had are cut, as if its server had been killed.
/// </summary>
internal sealed class SwitchedListeners(IConnectionListenerFactory sockets)
    : IConnectionListenerFactory, IConnectionListenerFactorySelector
{
    private readonly ConcurrentDictionary<int, Listener> _byPort = new();

    public bool CanBind(EndPoint endpoint) => true;

    public async ValueTask<IConnectionListener> BindAsync(
        EndPoint endpoint, CancellationToken cancellationToken = default)
    {
        var listener = new Listener(sockets, await sockets.BindAsync(endpoint, cancellationToken));
        _byPort[((IPEndPoint)listener.EndPoint).Port] = listener;
        return listener;
    }

    public bool Has(int port) => _byPort.ContainsKey(port);

    /// <param name="but">The id of a connection that is not cut, because it gets the answer.</param>
    public Task StopAsync(int port, string but) => _byPort[port].StopAsync(but);

    /// <exception cref="IOException">The port is used by another program now.</exception>
    public Task StartAsync(int port) => _byPort[port].StartAsync();

    private sealed class Listener(IConnectionListenerFactory sockets, IConnectionListener first) : IConnectionListener
    {
        private readonly ConcurrentDictionary<string, ConnectionContext> _connections = new();
        private readonly SemaphoreSlim _switch = new(1);
        private volatile IConnectionListener? _open = first;
        private volatile TaskCompletionSource _changed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private volatile bool _ended;

        public EndPoint EndPoint { get; } = first.EndPoint;

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default)
        {
            while (!_ended)
            {
                TaskCompletionSource changed = _changed;
                if (_open is not { } open)
                {
                    await changed.Task.WaitAsync(cancellationToken);
                }
                else if (await open.AcceptAsync(cancellationToken) is { } connection)
                {
                    _connections[connection.ConnectionId] = connection;
                    connection.ConnectionClosed.Register(
                        () => _connections.TryRemove(connection.ConnectionId, out _));
                    return connection;
                }
            }
            return null; // this means that the listener has ended
        }

        public async Task StopAsync(string but)
        {
            await _switch.WaitAsync();
            try
            {
                if (_open is { } open)
                {
                    _open = null;
                    await open.UnbindAsync();
                    await open.DisposeAsync();
                }
            }
            finally
            {
                _switch.Release();
            }
            foreach (ConnectionContext connection in _connections.Values.Where(c => c.ConnectionId != but))
            {
                connection.Abort(new ConnectionAbortedException("its echo server was stopped"));
            }
        }

        public async Task StartAsync()
        {
            await _switch.WaitAsync();
            try
            {
                _open ??= await sockets.BindAsync(EndPoint);
                Change();
            }
            finally
            {
                _switch.Release();
            }
        }

        public async ValueTask UnbindAsync(CancellationToken cancellationToken = default)
        {
            _ended = true;
            Change();
            if (_open is { } open)
            {
                await open.UnbindAsync(cancellationToken);
            }
        }

        public async ValueTask DisposeAsync()
        {
            if (_open is { } open)
            {
                await open.DisposeAsync();
            }
            _switch.Dispose();
        }

        private void Change() => Interlocked.Exchange(ref _changed,
            new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
    }
}
