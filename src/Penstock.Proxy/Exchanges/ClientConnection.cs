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

/// <summary>The HTTP/1 server side: one client connection from accept to close, and nothing that belongs to one of its
/// requests. <see cref="ServeAsync"/> is the life of both; the phases of a request are classes of their own. All of it
/// runs on one loop; not thread-safe.</summary>
internal sealed class ClientConnection : IConnectionOwner
{
    private Snapshot _snapshot;
    private bool _awaitsOrigin; // a PROXY protocol header is still to come

    // Bytes from the client that are not used up. While an exchange is under way they start with its head.
    private ByteWindow _input;
    private Exchange? _exchange;
    private bool _keepAlive = true;
    private int _requests;
    private Ending _ending;
    private Linger? _linger;

    public ClientConnection(Worker worker, Socket socket, bool proxyProtocol)
    {
        Worker = worker;
        _snapshot = worker.Snapshot;
        PeerAddress = new ClientAddress(socket.RemoteEndPoint, _snapshot.Identifier.Ipv6Prefix);
        PeerTrusted = _snapshot.Identifier.IsTrusted(PeerAddress.Ip);
        _awaitsOrigin = proxyProtocol;
        Peer = PeerAddress.Ip;
        MayConnect = !proxyProtocol || PeerTrusted || Peer is null;
        Io = new Connection(worker.Loop, socket, this);
    }

    /// <summary>How the connection is closed.</summary>
    private enum Ending : byte
    {
        AtOnce,

        /// <summary>The client can read the answer to its end although it still sends.</summary>
        Linger,

        /// <summary>By a reset: a response was cut off, and nobody must take it for whole.</summary>
        Reset,
    }

    public Worker Worker { get; }

    public Connection Io { get; }

    /// <summary>Who is at the other end of the socket; null behind a Unix domain socket.</summary>
    public IPAddress? Peer { get; }

    /// <summary>Who the client is by its socket, or by the PROXY protocol header that the connection began with.
    /// </summary>
    public ClientAddress PeerAddress { get; private set; }

    /// <summary>What that says of other callers is believed.</summary>
    public bool PeerTrusted { get; private set; }

    /// <summary>The address that it is counted under, if it is.</summary>
    public IPAddress? CountedAs { get; private set; }

    /// <summary>False for a stranger where the PROXY protocol is spoken: it could say it is anybody.</summary>
    public bool MayConnect { get; }

    /// <summary>It takes a further request after the one under way.</summary>
    public bool KeepsAlive => _keepAlive && !Worker.Draining;

    /// <summary>What is here of the request under way and behind it, from its first byte on.</summary>
    public ReadOnlySpan<byte> Received => _input.Bytes;

    /// <summary>Nobody waits for a response any more. A client that ends its stream counts as one that has left, unless
    /// the operator has clients that end only their side (a socket does not tell the two apart).</summary>
    public bool HasLeft => Io.PeerGone || Io.WasCanceled
        || (Io.PeerClosed && _exchange?.IsTunnel != true && !_snapshot.Config.Bounds.AllowsHalfClose);

    /// <summary>What the client sends is read and thrown away.</summary>
    public bool IsSwallowing => _linger is not null;

    private Loop Loop => Worker.Loop;

    /// <summary>Counts the connection under its client's address. A PROXY protocol header tells that only later: the
    /// peer is a proxy, whose clients must not be counted as one.</summary>
    /// <returns>False when that address has too many.</returns>
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

    /// <summary>Closes a connection that may not be served.</summary>
    public void CloseUnserved() => Io.Close(reset: true);

    /// <summary>The life of a connection and of each request on it. The only async frame on the usual path: between two
    /// awaits everything is synchronous and says by a <see cref="Step"/> what comes next.</summary>
    public async Task ServeAsync()
    {
        try
        {
            Step step = Step.Read;
            while (step != Step.Close)
            {
#pragma warning disable CS8524 // every named step has an arm; a missing one is an error
                step = step switch
                {
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
                "bug in Penstock: a client connection was closed after an unexpected exception");
        }
        finally
        {
            Close();
        }
    }

    /// <summary>Ends the connection after the exchange under way or the request that has arrived, or now if there is
    /// none.</summary>
    public void Drain()
    {
        _keepAlive = false;
        if (_linger is { IsLast: true })
        {
            _linger.Hasten();
        }
        else if (_exchange is null && !Io.PollData())
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
        // Bytes of the next request: they are read when it is their turn.
    }

    public void OnPeerClosed()
    {
        // Whoever waits for bytes of the client comes to the end of its stream by itself, after what is before it.
        if (_exchange is not null && HasLeft && !Io.AwaitsData)
        {
            _exchange.GiveUp();
        }
    }

    // ---- what the phases of an exchange ask of its connection

    /// <summary>The connection ends after this exchange, if so.</summary>
    public void EndAfterThisUnless(bool mayGoOn) => _keepAlive &= mayGoOn;

    /// <summary>The connection ends after this exchange, and the client may still be sending.</summary>
    public void EndAfterThisAndLinger()
    {
        _keepAlive = false;
        _ending = _ending == Ending.Reset ? Ending.Reset : Ending.Linger;
    }

    /// <summary>The connection ends by a reset.</summary>
    public void ResetOnClose() => _ending = Ending.Reset;

    /// <summary>Begins to read and throw away what the client sends, while the answer is on its way.</summary>
    public void Swallow() => Lingering.Swallow();

    /// <summary>Keeps what came behind the request's body, the next request: it moves up to the head, over the part of
    /// the body that was sent.</summary>
    /// <returns>False when that is more than fits.</returns>
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
        if (!KeepsAlive)
        {
            return Step.Close;
        }
        _input.Release(Loop.Buffers);
        Io.SetDeadline(_snapshot.IdleTimeoutMs);
        return Step.AwaitRequest;
    }

    /// <summary>Goes from now on by the configuration in force, also as to who is trusted.</summary>
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
                Io.SetDeadline(_snapshot.HeadTimeoutMs); // for the whole head, however slowly it drips
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
                ResetOnClose();
                return Step.Close;
            }
            if (_input.Length == 0)
            {
                return Step.AwaitRequest;
            }
        }
        if (_exchange is null)
        {
            UseCurrentSnapshot(); // it may be another one than when the connection began to wait
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
            return true; // the proxy speaks for itself
        }
        SetPeer(source);
        return TryCount();
    }

    /// <summary>The connection ends without an answer.</summary>
    private Step Abandon(WaitResult result)
    {
        if (_exchange is not null && result != WaitResult.Canceled)
        {
            _exchange.Outcome = Outcome.ClientAbort;
        }
        return Step.Close;
    }

    // ---- the end

    /// <summary>Ends the exchange and makes ready for the next one.</summary>
    private Step Finish()
    {
        Exchange exchange = _exchange!;
        exchange.End();
        _input.Consume(Math.Min(_input.Length, exchange.Request.Length + exchange.BodyTaken));
        if (!_keepAlive && _ending == Ending.AtOnce && (_input.Length > 0 || Io.MayHaveData))
        {
            _ending = Ending.Linger; // closing on unread bytes would cost it the answer
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
