using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.Logging;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Observability;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>The HTTP/1 server side: one client connection from accept to close. <see cref="ServeAsync"/> is the life of
/// a request; the parts of this class are its phases. All of it runs on one loop; not thread-safe.</summary>
internal sealed partial class ClientConnection : IConnectionOwner
{
    private readonly Worker _worker;
    private readonly Loop _loop;
    private Snapshot _snapshot;
    private readonly Connection _io;
    private ClientAddress _peer;
    private bool _peerTrusted;

    /// <summary>A PROXY protocol header is still to come.</summary>
    private bool _awaitsOrigin;

    // Octets from the client that are not used up: [_start, _end) of _buffer. While an exchange is under way its head
    // stays at _start; _bodyTaken octets behind it belong to its body and are used.
    private byte[]? _buffer;
    private int _start;
    private int _end;
    private int _bodyTaken;

    private Exchange? _exchange;
    private BackendConnection? _backend;
    private bool _keepAlive = true;
    private int _requests;

    public ClientConnection(Worker worker, Socket socket, bool proxyProtocol)
    {
        _worker = worker;
        _loop = worker.Loop;
        _snapshot = worker.Snapshot;
        _peer = new ClientAddress(socket.RemoteEndPoint, _snapshot.Identifier.Ipv6Prefix);
        _peerTrusted = _snapshot.Identifier.IsTrusted(_peer.Ip);
        _awaitsOrigin = proxyProtocol;
        Peer = _peer.Ip;
        MayConnect = !proxyProtocol || _peerTrusted || Peer is null;
        _io = new Connection(_loop, socket, this);
    }

    /// <summary>Null behind a Unix domain socket.</summary>
    public IPAddress? Peer { get; }

    /// <summary>The address that it is counted under, if it is.</summary>
    public IPAddress? CountedAs { get; private set; }

    /// <summary>False for a stranger where the PROXY protocol is spoken: it could say it is anybody.</summary>
    public bool MayConnect { get; }

    /// <summary>Counts the connection under its client's address. A PROXY protocol header tells that only later: the
    /// peer is a proxy, whose clients must not be counted as one.</summary>
    /// <returns>False when that address has too many.</returns>
    public bool TryCount()
    {
        if (_awaitsOrigin || _peer.Network is not { } address)
        {
            return true;
        }
        bool mayStay = _worker.Bounds.TryEnterAddress(address, out bool counted);
        CountedAs = counted ? address : null;
        return mayStay;
    }

    /// <summary>Closes a connection that may not be, before it is served.</summary>
    public void Refuse() => _io.Close(reset: true);

    /// <summary>The life of a connection and of each request on it. The only async frame on the usual path: between two
    /// awaits everything is synchronous and says by a <see cref="Step"/> what comes next.</summary>
    public async Task ServeAsync()
    {
        try
        {
            while (true)
            {
                Step step = StartReading();
                while (step == Step.AwaitRequest)
                {
                    step = OnRequestOctets(await _io.WaitForDataAsync());
                }
                while (step is Step.Decide or Step.AwaitTokens)
                {
                    step = step == Step.Decide ? Decide() : OnTokens(await _tokens!.WaitAsync());
                }
                while (step is Step.Pick or Step.Wait)
                {
                    step = step == Step.Pick ? Pick() : await WaitToPickAsync();
                    if (step == Step.Dial)
                    {
                        step = await DialAsync();
                    }
                    if (step == Step.Send)
                    {
                        step = SendRequest();
                    }
                    if (step == Step.FlushRequest)
                    {
                        step = await FlushRequestAsync();
                    }
                    while (step is Step.AwaitResponse or Step.FlushInterim or Step.Hedge)
                    {
                        step = step == Step.AwaitResponse ? OnResponseOctets(await _backend!.Io.WaitForDataAsync())
                            : step == Step.Hedge ? await HedgeAsync() : await FlushInterimAsync();
                    }
                }
                if (step == Step.Answer)
                {
                    step = Answer();
                }
                if (step == Step.Relay)
                {
                    step = await RelayResponseAsync();
                }
                if (step == Step.Tunnel)
                {
                    step = await TunnelAsync();
                }
                if (step == Step.Finish)
                {
                    step = Finish();
                }
                if (step == Step.Close)
                {
                    break;
                }
            }
            if (_lingers && !_cut)
            {
                await LingerAsync();
            }
        }
        catch (Exception bug)
        {
            _worker.Logger.LogError(Events.Bug, bug, "a connection was closed by an error of our own");
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
        if (_lingerUntilMs > 0)
        {
            HastenLinger();
        }
        else if (_exchange is null && !_io.PollData())
        {
            _io.Cancel();
        }
    }

    /// <summary>Ends the connection now.</summary>
    public void Abort()
    {
        _io.Cancel();
        GiveUp();
    }

    public void OnUnattended(Unattended what)
    {
        // Octets of the next request: they are read when it is their turn.
    }

    // ---- reading a request head

    private Step StartReading()
    {
        TakeSnapshot();
        if (_start < _end)
        {
            _io.SetDeadline(_snapshot.HeadTimeoutMs);
            return ParseRequest(); // pipelined
        }
        if (!_keepAlive || _worker.Draining)
        {
            return Step.Close;
        }
        ReleaseBuffer();
        _io.SetDeadline(_snapshot.IdleTimeoutMs);
        return Step.AwaitRequest;
    }

    /// <summary>Works from now on by the configuration in force, also as to who is trusted.</summary>
    private void TakeSnapshot()
    {
        if (_snapshot != _worker.Snapshot)
        {
            _snapshot = _worker.Snapshot;
            _peer = new ClientAddress(_peer.EndPoint, _snapshot.Identifier.Ipv6Prefix);
            _peerTrusted = _snapshot.Identifier.IsTrusted(_peer.Ip);
        }
    }

    private Step OnRequestOctets(WaitResult result)
    {
        if (result != WaitResult.Ready)
        {
            return result == WaitResult.TimedOut && _exchange is not null
                ? Refuse(Outcome.ClientTimeout, 408) : Abandon(result);
        }

        bool first = _end == 0;
        EnsureRoom();
        int count = _io.TryReceive(_buffer.AsSpan(_end));
        if (count > 0)
        {
            _end += count;
            Step step = ParseRequest();
            if (first && step == Step.AwaitRequest)
            {
                _io.SetDeadline(_snapshot.HeadTimeoutMs); // for the whole head, however slowly it drips
            }
            return step;
        }
        if (count == Connection.WouldBlock)
        {
            if (first)
            {
                ReleaseBuffer();
            }
            return Step.AwaitRequest;
        }
        if (count == 0 && _exchange is not null)
        {
            _exchange.Fault = HttpFault.Truncated;
            return Refuse(Outcome.BadRequest, 400);
        }
        return Abandon(result);
    }

    private Step ParseRequest()
    {
        if (_awaitsOrigin)
        {
            switch (ProxyProtocol.Parse(_buffer.AsSpan(_start, _end - _start), out int length, out IPEndPoint? source))
            {
                case ParseStatus.Incomplete:
                    return Step.AwaitRequest;
                case ParseStatus.Invalid:
                    _worker.Logger.LogWarning(Events.OriginInvalid,
                        "connection from {Peer} closed: it does not start with a PROXY protocol header", Peer);
                    return Step.Close;
            }
            if (!TakeOrigin(length, source))
            {
                _cut = true;
                return Step.Close;
            }
            if (_start == _end)
            {
                _start = _end = 0;
                return Step.AwaitRequest;
            }
        }
        if (_exchange is null)
        {
            TakeSnapshot(); // it may be another one than when the connection began to wait
            _exchange = _worker.RentExchange();
            _exchange.StartNs = _loop.NowNs;
        }
        switch (_exchange.Request.Parse(_buffer.AsSpan(_start, _end - _start)))
        {
            case ParseStatus.Complete:
                return Step.Decide;
            case ParseStatus.Incomplete:
                return Step.AwaitRequest;
            default:
                _exchange.Fault = _exchange.Request.Fault;
                return Refuse(Outcome.BadRequest, _exchange.Fault.Status());
        }
    }

    /// <returns>False when the client has too many connections.</returns>
    private bool TakeOrigin(int length, IPEndPoint? source)
    {
        _awaitsOrigin = false;
        _start += length;
        if (source is null)
        {
            return true; // the proxy speaks for itself
        }
        _peer = new ClientAddress(source, _snapshot.Identifier.Ipv6Prefix);
        _peerTrusted = _snapshot.Identifier.IsTrusted(_peer.Ip);
        return TryCount();
    }

    private void EnsureRoom()
    {
        _buffer ??= _loop.Buffers.Rent(BufferPool.Small);
        if (_end < _buffer.Length)
        {
            return;
        }
        int length = _end - _start;
        // A buffer of the largest size has room once the octets move to its start: a head fills it at most, and then it
        // is refused.
        bool movesUp = length < _buffer.Length / 2 || _buffer.Length == BufferPool.Large;
        byte[] larger = movesUp ? _buffer : _loop.Buffers.Rent(_buffer.Length + 1);
        _buffer.AsSpan(_start, length).CopyTo(larger);
        if (larger != _buffer)
        {
            _loop.Buffers.Return(_buffer);
        }
        (_buffer, _start, _end) = (larger, 0, length);
    }

    /// <summary>The connection ends without an answer.</summary>
    private Step Abandon(WaitResult result)
    {
        if (_exchange is not null && result != WaitResult.Canceled)
        {
            _exchange!.Outcome = Outcome.ClientAbort;
        }
        return Step.Close;
    }

    /// <summary>Ends the exchange and makes ready for the next one.</summary>
    private Step Finish()
    {
        EndExchange();
        _start += _exchange!.Request.Length + _bodyTaken;
        if (_start >= _end)
        {
            _start = _end = 0;
        }
        _lingers |= !_keepAlive && (_end > 0 || _io.HasData); // closing on unread octets would cost it the answer
        _worker.ReturnExchange(_exchange);
        _exchange = null;
        _bodyTaken = _sends = _attempts = _interims = 0;
        _freshOnly = _requestSent = _hedged = _excessLost = false;
        _staleBackend = null;
        _uploadFailure = RelayEnd.Done;
        return _keepAlive ? Step.AwaitRequest : Step.Close;
    }

    /// <summary>Counts and logs it, and frees what it still holds; what can be used again is given back
    /// already.</summary>
    private void EndExchange()
    {
        Record();
        StopUpload();
        ReleaseBackend(reusable: false);
        ReleaseResponse();
        ReleasePending();
        ReleaseTokens();
        _exchange!.Admission.Leave();
    }

    private void Record()
    {
        Exchange exchange = _exchange!;
        _worker.Counters.Count(
            (exchange.Status == 429 && exchange.Admission.Refused) || exchange.Outcome == Outcome.ClientBlocked,
            exchange.Outcome is not Outcome.Ok && exchange.Status >= 500);
        exchange.Caller ??= _peer;
        _worker.LogAccess(exchange, _buffer is null ? default : _buffer.AsSpan(_start, _end - _start));
    }

    private void ReleaseBuffer()
    {
        if (_buffer is not null)
        {
            _loop.Buffers.Return(_buffer);
            _buffer = null;
            _start = _end = 0;
        }
    }

    private void Close()
    {
        if (_exchange is not null)
        {
            EndExchange();
            _worker.ReturnExchange(_exchange);
            _exchange = null;
        }
        _io.Close(reset: _cut);
        ReleaseBuffer();
        _worker.Remove(this);
    }
}
