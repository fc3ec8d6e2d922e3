using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Observability;

namespace Penstock.Proxy.Exchanges;

/// <summary>The HTTP/1 server side: one client connection from accept to close. State of a single request is in
/// <see cref="Exchange"/>. <see cref="ServeAsync"/> runs both; each phase of a request is a class of its own.
/// Everything runs on one loop; not thread-safe.</summary>
internal sealed class ClientConnection : IConnectionOwner
{
    private Snapshot _snapshot;
    private bool _awaitsOrigin; // a PROXY protocol header has not arrived yet

    // Bytes from the client that are not consumed. During an exchange they start with its head.
    private ByteWindow _input;
    private Exchange? _exchange;
    private bool _keepAlive = true;
    private int _requests;
    private Ending _ending;
    private Linger? _linger;

    public ClientConnection(Worker worker, Socket socket, ListenerPort port)
    {
        Worker = worker;
        Port = port;
        _snapshot = worker.Snapshot;
        PeerAddress = new ClientAddress(socket.RemoteEndPoint, _snapshot.Identifier.Ipv6Prefix);
        PeerTrusted = _snapshot.Identifier.IsTrusted(PeerAddress.Ip);
        _awaitsOrigin = port.Settings.Config.ProxyProtocol;
        Peer = PeerAddress.Ip;
        Io = new Connection(worker.Loop, socket, this);
    }

    /// <summary>How the connection is closed.</summary>
    private enum Ending : byte
    {
        AtOnce,

        /// <summary>Read and drop what the client still sends, so that it can read the answer to its end.</summary>
        Linger,

        /// <summary>By a reset, because a response was cut off and must not look complete.</summary>
        Reset,
    }

    public Worker Worker { get; }

    public ListenerPort Port { get; }
    public ListenerCounters Counters => Port.Counters;

    public Connection Io { get; }

    /// <summary>The address at the other end of the socket; null for a Unix domain socket.</summary>
    public IPAddress? Peer { get; }

    /// <summary>The client's address by the socket, or by the PROXY protocol header at the start of the
    /// connection.</summary>
    public ClientAddress PeerAddress { get; private set; }

    /// <summary>Whether <see cref="PeerAddress"/> is a trusted proxy, whose fields about other callers are
    /// believed.</summary>
    public bool PeerTrusted { get; private set; }

    /// <summary>The address under which the connection is counted; null: it is not counted.</summary>
    public IPAddress? CountedAs { get; private set; }

    /// <summary>False for an untrusted peer on a listener with the PROXY protocol, because it could claim to be
    /// anybody.</summary>
    public bool MayConnect => !_awaitsOrigin || PeerTrusted || Peer is null;

    /// <summary>The connection accepts a further request after the present one.</summary>
    public bool KeepsAlive => _keepAlive && !Worker.Draining;

    /// <summary>All received bytes from the first byte of the present request on.</summary>
    public ReadOnlySpan<byte> Received => _input.Bytes;

    /// <summary>The client has left: nobody waits for a response. A client that ends its stream counts as having left,
    /// unless <c>bounds.half_close</c> is <c>allow</c> (a socket cannot tell the two apart).</summary>
    public bool HasLeft => Io.PeerGone || Io.WasCanceled
        || (Io.PeerClosed && _exchange?.IsTunnel != true && !_snapshot.Config.Bounds.AllowsHalfClose);

    /// <summary>What the client sends is read and dropped.</summary>
    public bool IsSwallowing => _linger is not null;

    private Loop Loop => Worker.Loop;

    /// <summary>Counts the connection under its client's address. A PROXY protocol header names it later.</summary>
    /// <returns>False when the address has too many connections.</returns>
    public bool TryCount()
    {
        if (_awaitsOrigin || PeerAddress.Network is not { } address)
        {
            return true;
        }
        bool mayStay = Worker.Bounds.TryEnterAddress(address, out bool counted);
        CountedAs = counted ? address : null;
        return mayStay;
    }

    /// <summary>Closes a connection that may not be served, with a reset.</summary>
    public void CloseUnserved() => Io.Close(reset: true);

    /// <summary>Serves the connection and each request on it, until the connection is closed. This is the only async
    /// frame on the usual path: between two awaits everything is synchronous and returns the next
    /// <see cref="Step"/>.</summary>
    public async Task ServeAsync()
    {
        try
        {
            Step step = _awaitsOrigin || Port.Settings.Tls is null ? Step.Read : Step.Handshake;
            while (step != Step.Close)
            {
#pragma warning disable CS8524 // every named step has an arm; a missing one is an error
                step = step switch
                {
                    Step.Handshake => await Handshake.RunAsync(this, _input.Take(Loop.Buffers)),
                    Step.Read => StartReading(),
                    Step.AwaitRequest => OnRequestBytes(await Io.WaitForDataAsync()),
                    Step.Decide => Admitting.Decide(_exchange!),
                    Step.AwaitTokens => OnTokens(await _exchange!.Tokens!.WaitAsync()),
                    Step.Pick => Picking.Pick(_exchange!),
                    Step.Queue => await Picking.QueueAsync(_exchange!),
                    Step.Pause => await Picking.PauseAsync(_exchange!),
                    Step.Dial => await Dialing.DialAsync(_exchange!),
                    Step.Send => Sending.Send(_exchange!),
                    Step.FlushRequest => await Sending.FlushAsync(_exchange!),
                    Step.AwaitResponse => OnResponseBytes(await _exchange!.Current.Io.WaitForDataAsync()),
                    Step.FlushInterim => await Responding.FlushInterimAsync(_exchange!),
                    Step.Hedge => await Hedging.RaceAsync(_exchange!),
                    Step.Relay => await Relaying.RelayAsync(_exchange!),
                    Step.Tunnel => await Tunnel.RunAsync(_exchange!),
                    Step.Answer => Answering.Answer(_exchange!),
                    Step.Finish => Finish(),
                    Step.Close => Step.Close,
                };
#pragma warning restore CS8524
            }
            if (_ending == Ending.Linger)
            {
                _input.Release(Loop.Buffers);
                await Lingering.RunAsync();
            }
        }
        catch (Exception bug)
        {
            Worker.Logger.LogError(Events.Bug, bug,
                "bug in Penstock: closed a client connection after an unexpected exception");
        }
        finally
        {
            Close();
        }
    }

    /// <summary>Ends the connection after the present exchange or the request that has arrived, or now if there is
    /// neither.</summary>
    public void Drain()
    {
        _keepAlive = false;
        if (_linger is { IsLast: true })
        {
            _linger.Hasten();
        }
        else if (_exchange is null && Io.Tls is not { IsEstablished: false } && !Io.PollData())
        {
            Io.Cancel();
        }
    }

    /// <summary>Ends the connection now.</summary>
    public void Abort()
    {
        Io.Cancel();
        _exchange?.GiveUp();
    }

    public void OnUnexpectedEvent(UnexpectedEvent what)
    {
        // These are bytes of the next request. They are read after the present one.
    }

    public void OnPeerClosed()
    {
        // A method that waits for the client's bytes reaches the end of the stream by itself, after the bytes before
        // it.
        if (_exchange is not null && HasLeft && !Io.AwaitsData)
        {
            _exchange.GiveUp();
        }
    }

    // ---- for the phases of an exchange

    /// <summary>Ends the connection after this exchange unless <paramref name="mayGoOn"/>.</summary>
    public void EndAfterThisUnless(bool mayGoOn) => _keepAlive &= mayGoOn;

    /// <summary>Ends the connection after this exchange, and lets a client that is still sending read the
    /// answer.</summary>
    public void EndAfterThisAndLinger()
    {
        _keepAlive = false;
        _ending = _ending == Ending.Reset ? Ending.Reset : Ending.Linger;
    }

    /// <summary>Makes the connection end with a reset.</summary>
    public void ResetOnClose() => _ending = Ending.Reset;

    /// <summary>Begins to read and drop what the client sends while the answer is being sent.</summary>
    public void Swallow() => Lingering.Swallow();

    /// <summary>Keeps the bytes behind the request's body, which are the next request. They move up to the head, over
    /// the part of the body that was sent.</summary>
    /// <returns>False when they do not fit.</returns>
    public bool TryKeepExcess(ReadOnlySpan<byte> bytes) =>
        _input.TryReplaceAfter(_exchange!.Request.Length, bytes, Loop.Buffers);

    private Linger Lingering => _linger ??= new Linger(Worker, Io);

    private Step OnTokens(WaitResult result) => Admitting.OnTokens(_exchange!, result);

    private Step OnResponseBytes(WaitResult result) => Responding.OnBytes(_exchange!, result);

    // ---- reading a request head

    private Step StartReading()
    {
        Debug.Assert(_exchange is null, "the last exchange is not over");
        UseCurrentSnapshot();
        if (_input.Length > 0)
        {
            Io.SetDeadline(_snapshot.HeadTimeoutMs);
            return ParseRequest(); // pipelined
        }
        if (!KeepsAlive && (_requests > 0 || Io.Tls is null)) // a handshake may have ended during a drain
        {
            return Step.Close;
        }
        _input.Release(Loop.Buffers);
        Io.SetDeadline(KeepsAlive ? _snapshot.IdleTimeoutMs : _snapshot.HeadTimeoutMs);
        return Step.AwaitRequest;
    }

    /// <summary>Uses the configuration in force from now on, also for who is trusted.</summary>
    private void UseCurrentSnapshot()
    {
        if (_snapshot != Worker.Snapshot)
        {
            _snapshot = Worker.Snapshot;
            SetPeer(PeerAddress.EndPoint);
        }
    }

    private void SetPeer(EndPoint? peer)
    {
        PeerAddress = new ClientAddress(peer, _snapshot.Identifier.Ipv6Prefix);
        PeerTrusted = _snapshot.Identifier.IsTrusted(PeerAddress.Ip);
    }

    private Step OnRequestBytes(WaitResult result)
    {
        if (result != WaitResult.Ready)
        {
            return result == WaitResult.TimedOut && _exchange is not null
                ? Answering.AnswerWith(_exchange, Outcome.ClientTimeout, 408) : Abandon(result);
        }

        bool first = _input.Length == 0;
        int count = Io.TryReceive(_input.Room(Loop.Buffers, BufferPool.Small));
        if (count > 0)
        {
            _input.Add(count);
            Step step = ParseRequest();
            if (first && step == Step.AwaitRequest)
            {
                Io.SetDeadline(_snapshot.HeadTimeoutMs); // for the whole head, however slowly it arrives
            }
            return step;
        }
        if (count == Connection.WouldBlock)
        {
            if (first)
            {
                _input.Release(Loop.Buffers);
            }
            return Step.AwaitRequest;
        }
        if (count == 0 && _exchange is not null)
        {
            return Answering.AnswerFault(_exchange, HttpFault.Truncated);
        }
        return Abandon(result);
    }

    private Step ParseRequest()
    {
        if (_awaitsOrigin)
        {
            switch (ProxyProtocol.Parse(_input.Bytes, out int length, out IPEndPoint? source))
            {
                case ParseStatus.Incomplete:
                    return Step.AwaitRequest;
                case ParseStatus.Invalid:
                    Worker.Logger.LogWarning(Events.OriginInvalid,
                        "connection from {Peer} closed: it does not start with a PROXY protocol header", Peer);
                    return Step.Close;
            }
            if (!ReadOrigin(length, source))
            {
                Counters.CountTurnedAway();
                ResetOnClose();
                return Step.Close;
            }
            if (Port.Settings.Tls is not null || _input.Length == 0)
            {
                return Port.Settings.Tls is not null ? Step.Handshake : Step.AwaitRequest;
            }
        }
        if (_exchange is null)
        {
            UseCurrentSnapshot(); // it may have changed since the connection began to wait
            _exchange = Worker.RentExchange();
            _exchange.Begin(this, _snapshot);
        }
        return _exchange.Request.Parse(_input.Bytes) switch
        {
            ParseStatus.Complete => StartDeciding(_exchange),
            ParseStatus.Incomplete => Step.AwaitRequest,
            _ => Answering.AnswerFault(_exchange, _exchange.Request.Fault),
        };
    }

    private Step StartDeciding(Exchange exchange)
    {
        Io.ClearDeadline();
        _requests++;
        _keepAlive = KeepsAlive && exchange.Request.KeepAlive
            && _requests != _snapshot.Config.Bounds.RequestsPerConnection;
        return Step.Decide;
    }

    /// <returns>False when the client has too many connections.</returns>
    private bool ReadOrigin(int length, IPEndPoint? source)
    {
        _awaitsOrigin = false;
        _input.Consume(length);
        if (source is null)
        {
            return true; // the connection is the proxy's own
        }
        SetPeer(source);
        return TryCount();
    }

    /// <summary>Ends the connection without an answer.</summary>
    private Step Abandon(WaitResult result)
    {
        if (_exchange is not null && result != WaitResult.Canceled)
        {
            _exchange.Outcome = Outcome.ClientAbort;
        }
        return Step.Close;
    }

    // ---- the end

    /// <summary>Ends the exchange and prepares for the next one.</summary>
    private Step Finish()
    {
        Exchange exchange = _exchange!;
        exchange.End();
        _input.Consume(Math.Min(_input.Length, exchange.Request.Length + exchange.BodyTaken));
        if (!_keepAlive && _ending == Ending.AtOnce && (_input.Length > 0 || Io.MayHaveData))
        {
            _ending = Ending.Linger; // closing with unread bytes would make the client lose the answer
        }
        _exchange = null;
        Worker.ReturnExchange(exchange);
        return _keepAlive ? Step.Read : Step.Close;
    }

    private void Close()
    {
        if (_exchange is { } exchange)
        {
            exchange.End();
            _exchange = null;
            Worker.ReturnExchange(exchange);
        }
        Io.Close(reset: _ending == Ending.Reset);
        _input.Release(Loop.Buffers);
        Worker.Remove(this);
    }
}
