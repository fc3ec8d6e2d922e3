using System.Net.Sockets;
using System.Text;
using Microsoft.Extensions.Logging;
using Microsoft.Win32.SafeHandles;
using Penstock.Control.Telemetry;
using Penstock.Proxy;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;

namespace Penstock.Control.Takeover;

/// <summary>A running process from which this one takes over its listeners, its buckets and what it knows about
/// backends. Not thread-safe.</summary>
internal sealed class Predecessor : IDisposable
{
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(10);

    /// <summary>The old process may have to save millions of buckets.</summary>
    private static readonly TimeSpan SaveTimeout = TimeSpan.FromMinutes(2);

    private readonly TakeoverSocket _connection;
    private readonly TakeoverOffer _offer;
    private readonly List<(string Address, IReadOnlyList<Socket> Sockets)> _listeners = [];
    private Socket? _questions;

    private Predecessor(TakeoverSocket connection, int process, TakeoverOffer offer)
    {
        (_connection, _offer, Process) = (connection, offer, process);
        for (int i = 0; i < offer.Listeners; i++)
        {
            TakeoverMessage listener = Receive(TakeoverKind.Listener);
            _listeners.Add((Encoding.UTF8.GetString(listener.Payload),
                [.. listener.Descriptors.Select(static d => new Socket(new SafeSocketHandle(d, ownsHandle: true))
                {
                    Blocking = false,
                })]));
        }
        if (Receive(TakeoverKind.StoreLock).Descriptors is [int descriptor])
        {
            StoreLock = new SafeFileHandle(descriptor, ownsHandle: true);
        }
        _questions = SocketPair.Of(Receive(TakeoverKind.Asking).Descriptors[0]);
    }

    /// <summary>Its number.</summary>
    public int Process { get; }

    public string Version => _offer.Version;

    /// <summary>The lock of its store's file; null when the store has no file.</summary>
    public SafeFileHandle? StoreLock { get; }

    /// <summary>Connects to the process that offers itself; null when none does.</summary>
    /// <exception cref="StartException">It cannot be taken over.</exception>
    public static Predecessor? Find(string address)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            socket.Connect(new UnixDomainSocketEndPoint(address));
        }
        catch (SocketException)
        {
            socket.Dispose();
            return null;
        }
        var connection = new TakeoverSocket(socket);
        try
        {
            int process = connection.CheckPeer();
            connection.Send(TakeoverKind.Hello,
                TakeoverText.Write(new TakeoverHello(TakeoverText.Protocol, ProductVersion.Short)));
            TakeoverOffer offer = TakeoverText.ReadOffer(
                connection.Receive(TakeoverKind.Offer, AnswerTimeout).Payload);
            return offer.Protocol == TakeoverText.Protocol ? new(connection, process, offer)
                : throw new TakeoverException($"it is version {offer.Version}, which hands over in another way: "
                    + "restart it instead");
        }
        catch (TakeoverException e)
        {
            connection.Dispose();
            throw new StartException($"cannot take over from the running Penstock: {e.Message}", e);
        }
    }

    /// <summary>Makes it save all tokens, so that the store can be read.</summary>
    public void Quiesce() => Do(() =>
    {
        _connection.Send(TakeoverKind.Quiesce);
        _connection.Receive(TakeoverKind.Quiet, SaveTimeout);
    });

    /// <summary>Gives the proxy what the old process has. Call it before the clients are read.</summary>
    public void Prepare(ProxyServer proxy)
    {
        proxy.Limiter.UseHashKey(_offer.HashKey);
        proxy.UseTicketKeys(_offer.TicketKeys);
        foreach ((string address, IReadOnlyList<Socket> sockets) in _listeners)
        {
            proxy.Inherit(address, sockets);
        }
        foreach (OfferedBackend known in _offer.Backends.Where(static b => b.Health != BackendHealth.Unknown))
        {
            proxy.AssumeHealth(known.Upstream, known.Address, known.Health, known.Cause);
        }
    }

    /// <summary>Takes over everything: call it when nothing is left but to listen. Requests wait for some milliseconds.
    /// </summary>
    /// <param name="kept">Saves the buckets of unregistered clients; null: they are not saved.</param>
    public void TakeOver(ProxyServer proxy, KeptBuckets? kept, ILogger log) => Do(() =>
    {
        foreach (OfferedBackend known in _offer.Backends)
        {
            Assume(proxy, known);
        }
        // With another key the names of unregistered clients have other hashes: their buckets begin full.
        bool sameHash = proxy.Limiter.HashKey.AsSpan().SequenceEqual(_offer.HashKey);
        KeptBuckets? buckets = sameHash ? kept ?? proxy.Limiter.BucketsForSuccessor() : null;
        _connection.Send(TakeoverKind.SendBuckets);
        ReceiveBuckets(proxy.Limiter, buckets);
        _connection.Send(TakeoverKind.Freeze);
        ReceiveBuckets(proxy.Limiter, buckets);
        Answer(proxy.Limiter, log);
        _connection.Send(TakeoverKind.Complete);
        if (_connection.Receive(AnswerTimeout).Kind != TakeoverKind.Yours)
        {
            throw new TakeoverException("the old process has kept its listeners");
        }
    });

    /// <summary>Makes it stop its admin API, whose address is then free.</summary>
    public void StopAdmin(ILogger log)
    {
        try
        {
            _connection.Send(TakeoverKind.StopAdmin);
            _connection.Receive(TakeoverKind.AdminStopped, AnswerTimeout);
        }
        catch (TakeoverException e)
        {
            log.LogWarning(Events.TakeoverFailed, "process {Process} may have its admin API still: {Cause}",
                Process, e.Message);
        }
    }

    public void Dispose()
    {
        _connection.Dispose();
        _questions?.Dispose();
        // Sockets and the lock belong to their users by now; those that nobody uses end with the old process.
    }

    private static void Assume(ProxyServer proxy, OfferedBackend known)
    {
        if (proxy.FindBackend(known.Upstream, known.Address) is not { } now)
        {
            return;
        }
        if (known.State != now.State || known.Weight != now.Weight)
        {
            proxy.SetBackend(known.Upstream, known.Address, known.State, known.Weight);
        }
    }

    private void ReceiveBuckets(Limiter limiter, KeptBuckets? buckets)
    {
        while (true)
        {
            TakeoverMessage message = _connection.Receive(AnswerTimeout);
            switch (message.Kind)
            {
                case TakeoverKind.Buckets:
                    (KeptLimit limit, IReadOnlyList<(ulong Hash, long FullAt)> ofLimit) =
                        TakeoverText.ReadBuckets(message.Payload);
                    foreach ((ulong hash, long fullAt) in ofLimit)
                    {
                        buckets?.Restore(limit, hash, fullAt, isSaved: false);
                    }
                    break;
                case TakeoverKind.Tokens:
                    (IReadOnlyList<BucketTokens> tokens, TimeSpan age) = TakeoverText.ReadTokens(message.Payload);
                    foreach (BucketTokens bucket in tokens)
                    {
                        limiter.Assign(bucket, age);
                    }
                    break;
                case TakeoverKind.EndOfBuckets:
                    return;
                default:
                    throw new TakeoverException($"the old process sent {message.Kind} instead of buckets");
            }
        }
    }

    private void Answer(Limiter limiter, ILogger log)
    {
        Socket questions = _questions!;
        _questions = null; // the thread's from now on
        new Thread(() => AskedTokens.AnswerAll(questions, limiter, log))
        {
            Name = "penstock-takeover", IsBackground = true,
        }.Start();
    }

    private TakeoverMessage Receive(TakeoverKind kind) => _connection.Receive(kind, AnswerTimeout);

    private void Do(Action step)
    {
        try
        {
            step();
        }
        catch (TakeoverException e)
        {
            throw new StartException($"cannot take over from process {Process}: {e.Message}", e);
        }
    }
}
