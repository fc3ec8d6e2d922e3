using System.Net;
using System.Threading.Channels;
using Microsoft.AspNetCore.Connections;
using Penstock.Control.Admin;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Admin;

/// <summary>A maximum of two connections, and a third one that arrives.</summary>
public sealed class BoundedConnectionsTests : IAsyncDisposable
{
    private static readonly TimeSpan Grace = TimeSpan.FromMilliseconds(50);

    private readonly ManualTime _time = new();
    private readonly Crowd _crowd = new();

    [Fact]
    public async Task The_idlest_connection_is_closed_for_who_comes()
    {
        IConnectionListener listener = await BindAsync();
        Visitor first = await AdmitAsync(listener);
        Visitor second = await AdmitAsync(listener);
        _time.Advance(Grace);

        Visitor third = await AdmitAsync(listener);

        Assert.Equal((true, false, false), (first.Aborted, second.Aborted, third.Aborted));
    }

    [Fact]
    public async Task A_connection_that_has_just_come_is_left_open_for_its_request()
    {
        IConnectionListener listener = await BindAsync();
        Visitor first = await AdmitAsync(listener);
        await AdmitAsync(listener);

        _crowd.Come();
        Task third = listener.AcceptAsync(TestContext.Current.CancellationToken).AsTask();
        await Eventually.TrueAsync(() => _time.HasTimerBeyond(TimeSpan.Zero), "the third waits for its turn");
        Assert.Equal((false, false), (third.IsCompleted, first.Aborted));

        _time.Advance(Grace);
        await third;
        Assert.True(first.Aborted);
    }

    public ValueTask DisposeAsync() => _crowd.DisposeAsync();

    private async Task<IConnectionListener> BindAsync() =>
        await new BoundedConnections(_crowd, 2, _time).BindAsync(
            new IPEndPoint(IPAddress.Loopback, 0), TestContext.Current.CancellationToken);

    private async Task<Visitor> AdmitAsync(IConnectionListener listener)
    {
        Visitor visitor = _crowd.Come();
        visitor.Admitted = await listener.AcceptAsync(TestContext.Current.CancellationToken);
        return visitor;
    }

    /// <summary>Connections as from a listening socket.</summary>
    private sealed class Crowd : IConnectionListenerFactory, IConnectionListener
    {
        private readonly Channel<Visitor> _coming = Channel.CreateUnbounded<Visitor>();

        public EndPoint EndPoint { get; } = new IPEndPoint(IPAddress.Loopback, 0);

        public Visitor Come()
        {
            var visitor = new Visitor();
            _coming.Writer.TryWrite(visitor);
            return visitor;
        }

        public ValueTask<IConnectionListener> BindAsync(
            EndPoint endpoint, CancellationToken cancellationToken = default) =>
            new(this);

        public async ValueTask<ConnectionContext?> AcceptAsync(CancellationToken cancellationToken = default) =>
            await _coming.Reader.ReadAsync(cancellationToken);

        public ValueTask UnbindAsync(CancellationToken cancellationToken = default) => default;

        public ValueTask DisposeAsync() => default;
    }

    /// <summary>A connection that ends when it is closed, like one of Kestrel.</summary>
    private sealed class Visitor : DefaultConnectionContext
    {
        public bool Aborted { get; private set; }

        public override void Abort(ConnectionAbortedException abortReason)
        {
            Aborted = true;
            _ = Admitted?.DisposeAsync().AsTask();
        }

        public ConnectionContext? Admitted { get; set; }
    }
}
