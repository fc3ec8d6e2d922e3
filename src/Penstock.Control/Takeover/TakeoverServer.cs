using System.Net.Sockets;
using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Penstock.Control.Telemetry;
using Penstock.Proxy;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Takeover;

/// <summary>Offers this process to be taken over by another one with the same configuration file. If that fails before
/// the other process has everything, this one continues as if nothing had happened.</summary>
internal sealed class TakeoverServer : IAsyncDisposable
{
    private const int BucketsPerMessage = 65_536;

    /// <summary>The new process may read millions of clients, or wait for names to resolve.</summary>
    private static readonly TimeSpan PreparationTimeout = TimeSpan.FromMinutes(10);

    /// <summary>The loops stand still for at most this long.</summary>
    private static readonly TimeSpan FrozenTimeout = TimeSpan.FromSeconds(5);

    /// <summary>How long a request waits for an answer about its tokens.</summary>
    private const int AnswerTimeoutMs = 250;

    private readonly PenstockHost _host;
    private readonly ILogger _log;
    private readonly Socket _listening;
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource<int> _handedOver = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Task _running;
    private AskingSuccessor? _successor;

    private TakeoverServer(PenstockHost host, Socket listening, ILogger log)
    {
        (_host, _listening, _log) = (host, listening, log);
        _running = Task.Run(RunAsync);
    }

    /// <summary>Completes with the number of the process that has taken over. The client connections of this process
    /// may be open still, see <see cref="ProxyServer.Drained"/>.</summary>
    public Task<int> HandedOver => _handedOver.Task;

    /// <summary>Begins to offer; null when the address is taken, which is logged.</summary>
    public static TakeoverServer? Start(PenstockHost host, string address, ILogger log)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Bind(new UnixDomainSocketEndPoint(address));
            socket.Listen(1);
            return new(host, socket, log);
        }
        catch (SocketException e)
        {
            socket.Dispose();
            log.LogWarning(Events.TakeoverFailed,
                "no other process can take over from this one: its address for that is not free ({Cause})", e.Message);
            return null;
        }
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        _listening.Dispose();
        await _running;
        _successor?.Dispose();
        _stop.Dispose();
    }

    private async Task RunAsync()
    {
        while (!_handedOver.Task.IsCompleted)
        {
            try
            {
                using var connection = new TakeoverSocket(await _listening.AcceptAsync(_stop.Token));
                await ServeAsync(connection);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException) when (_stop.IsCancellationRequested)
            {
                return;
            }
            catch (Exception e) when (e is TakeoverException or SocketException)
            {
                _log.LogWarning(Events.TakeoverFailed, "another process did not take over: {Cause}", e.Message);
            }
        }
    }

    private async Task ServeAsync(TakeoverSocket connection)
    {
        int process = connection.CheckPeer();
        TakeoverHello hello = TakeoverText.ReadHello(
            connection.Receive(TakeoverKind.Hello, FrozenTimeout).Payload);
        (Socket asking, SafeFileHandle answering) = SocketPair.Create();
        asking.ReceiveTimeout = AnswerTimeoutMs;
        var successor = new AskingSuccessor(asking, process, _log);
        bool done = false;
        try
        {
            using (answering)
            {
                Offer(connection, answering);
            }
            if (hello.Protocol != TakeoverText.Protocol)
            {
                throw new TakeoverException($"process {process} is version {hello.Version}, which takes over in "
                    + "another way");
            }
            _log.LogInformation(Events.TakeoverBegun, "process {Process}, version {Version}, is taking over",
                process, hello.Version);
            connection.Receive(TakeoverKind.Quiesce, PreparationTimeout);
            await _host.QuiesceAsync();
            connection.Send(TakeoverKind.Quiet);
            connection.Receive(TakeoverKind.SendBuckets, PreparationTimeout);
            KeptBuckets buckets = _host.Proxy.Limiter.BucketsForSuccessor();
            Send(connection, buckets);
            connection.Send(TakeoverKind.EndOfBuckets);
            connection.Receive(TakeoverKind.Freeze, PreparationTimeout);
            done = _host.Proxy.TryHandOver(() => SendRest(connection, buckets) ? successor : null);
        }
        finally
        {
            if (!done)
            {
                successor.Dispose();
                _host.Resume();
            }
        }
        if (!done)
        {
            throw new TakeoverException("this process is stopping, or its loops are busy");
        }
        _successor = successor;
        _listening.Dispose();
        await FinishAsync(connection, process);
    }

    /// <summary>The other process has everything that it needs, so nothing here may fail any more.</summary>
    private async Task FinishAsync(TakeoverSocket connection, int process)
    {
        try
        {
            connection.Send(TakeoverKind.Yours);
            connection.Receive(TakeoverKind.StopAdmin, PreparationTimeout);
            await _host.LeaveAsync();
            connection.Send(TakeoverKind.AdminStopped);
        }
        catch (TakeoverException e)
        {
            await _host.LeaveAsync();
            _log.LogWarning(Events.TakeoverFailed,
                "process {Process} has the listeners and has not said that it serves: {Cause}", process, e.Message);
        }
        _handedOver.SetResult(process);
    }

    private void Offer(TakeoverSocket connection, SafeFileHandle answering)
    {
        ProxyServer proxy = _host.Proxy;
        IReadOnlyList<(string Address, IReadOnlyList<Socket> Sockets)> listeners = proxy.ListeningSockets();
        connection.Send(TakeoverKind.Offer, TakeoverText.Write(new TakeoverOffer(TakeoverText.Protocol,
            ProductVersion.Short, proxy.Limiter.HashKey, proxy.CopyTicketKeys(),
            [.. proxy.Upstreams().SelectMany(static u => u.Backends.Select(b =>
                new OfferedBackend(u.Name, b.Address, b.State, b.Weight, b.Health, b.Cause)))],
            listeners.Count)));
        foreach ((string address, IReadOnlyList<Socket> sockets) in listeners)
        {
            connection.Send(TakeoverKind.Listener, Encoding.UTF8.GetBytes(address),
                sockets.Select(static s => DescriptorOf(s.SafeHandle)).ToArray());
        }
        connection.Send(TakeoverKind.StoreLock, default,
            _host.StoreLock is { } storeLock ? [DescriptorOf(storeLock)] : []);
        connection.Send(TakeoverKind.Asking, default, [DescriptorOf(answering)]);
    }

    /// <summary>Called while the loops stand still.</summary>
    private bool SendRest(TakeoverSocket connection, KeptBuckets buckets)
    {
        try
        {
            Send(connection, buckets);
            connection.Send(TakeoverKind.Tokens, TakeoverText.Write(_host.CollectUnsaved()));
            connection.Send(TakeoverKind.EndOfBuckets);
            connection.Receive(TakeoverKind.Complete, FrozenTimeout);
            return true;
        }
        catch (TakeoverException e)
        {
            _log.LogWarning(Events.TakeoverFailed, "another process did not take over: {Cause}", e.Message);
            return false;
        }
    }

    private static void Send(TakeoverSocket connection, KeptBuckets buckets)
    {
        List<BucketChange> changes = [];
        for (bool more = true; more;)
        {
            changes.Clear();
            more = buckets.Collect(changes, BucketsPerMessage);
            foreach (IGrouping<int, BucketChange> ofLimit in changes.GroupBy(static change => change.Limit))
            {
                connection.Send(TakeoverKind.Buckets,
                    TakeoverText.Write(buckets.LimitAt(ofLimit.Key), [.. ofLimit]));
            }
            buckets.Commit(changes.ToArray());
        }
    }

    private static int DescriptorOf(SafeHandle handle) => (int)handle.DangerousGetHandle();
}
