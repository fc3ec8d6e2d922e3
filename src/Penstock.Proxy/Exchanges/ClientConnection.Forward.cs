using System.Net;
using System.Net.Sockets;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>The way there: a connection to the backend, and the request on it.</summary>
internal sealed partial class ClientConnection
{
    /// <summary>How long to wait for descriptors before the next look.</summary>
    private const long DescriptorWaitMs = 20;

    private BodyReader _requestBody;
    private Task? _upload;
    private BodyRelay? _uploadRelay;
    private RelayEnd _uploadFailure;

    /// <summary>The request is at the backend, whole.</summary>
    private bool _requestSent;

    /// <summary>We count as in flight at the exchange's backend.</summary>
    private bool _entered;
    private int _sends;

    /// <summary>Octets behind the request were more than we can keep.</summary>
    private bool _excessLost;

    private async ValueTask<Step> DialAsync()
    {
        ConnectionPool pool = _worker.PoolOf(_exchange!.Backend!);
        (BackendAddress? first, BackendAddress? second) = pool.Backend.AddressesToTry();
        long timeoutMs = second is null ? ConnectTimeoutMs : Math.Max(1, ConnectTimeoutMs / 2);
        SocketError error = await ConnectAsync(pool, first, timeoutMs);
        if (second is not null && error is not (SocketError.Success or SocketError.OperationAborted)
            && !IsOutOfDescriptors(error))
        {
            // The server listens on its name's other address only: localhost may be 127.0.0.1, ::1, or both.
            _backend?.Io.Close();
            SocketError other = await ConnectAsync(pool, second, timeoutMs);
            if (other == SocketError.Success)
            {
                pool.Backend.Connected(second);
            }
            error = other is SocketError.Success or SocketError.OperationAborted ? other : error;
        }
        return error == SocketError.Success ? Step.Send
            : error == SocketError.OperationAborted ? ClientGone()
            : Failed(FailureOf(error));
    }

    /// <returns>OperationAborted when the client went away meanwhile.</returns>
    private async ValueTask<SocketError> ConnectAsync(ConnectionPool pool, BackendAddress? address, long timeoutMs)
    {
        _backend = _worker.Dial(pool, address, out SocketError error);
        for (long waitedMs = 0; IsOutOfDescriptors(error) && waitedMs < ConnectTimeoutMs; waitedMs += DescriptorWaitMs)
        {
            await PauseAsync(DescriptorWaitMs);
            if (ClientHasLeft)
            {
                return SocketError.OperationAborted;
            }
            _backend = _worker.Dial(pool, address, out error);
        }
        if (_backend is null)
        {
            return error;
        }
        _backend.Io.SetDeadline(timeoutMs);
        WaitResult result = await _backend.Io.WaitForSpaceAsync();
        return result == WaitResult.Canceled ? SocketError.OperationAborted
            : result == WaitResult.Ready ? _backend.Io.ConnectError() : SocketError.TimedOut;
    }

    private Step SendRequest()
    {
        Exchange exchange = _exchange!;
        RequestHead request = exchange.Request;
        // What is here of the body goes out with the head.
        int bodyStart = _start + request.Length;
        int headEnd = WriteRequestHead(_backend!, _end - bodyStart);
        _requestBody = new BodyReader(request.Framing, request.ContentLength, _snapshot.Config.Bounds.BodyBytes,
            boundsFraming: true);
        int length = headEnd + BodyWriter.Append(ref _requestBody, _buffer.AsSpan(bodyStart, _end - bodyStart),
            _loop.Scratch.AsSpan(headEnd), request.Framing == BodyFraming.Chunked, out _bodyTaken, out int payload);
        exchange.BytesIn = payload;
        if (_requestBody.Fault != HttpFault.None)
        {
            exchange.Fault = _requestBody.Fault;
            ReleaseBackend(reusable: true); // not an octet was sent
            return Refuse(Outcome.BadRequest, exchange.Fault.Status());
        }

        exchange.SentNs = _loop.NowNs;
        _backend!.Pool.CountRequest();
        int sent = _backend.Io.TrySend(_loop.Scratch.AsSpan(0, length));
        if (sent == Connection.Broken)
        {
            return Failed(Failure.NotSent);
        }
        _sends++;
        if (sent == length)
        {
            return AfterSend();
        }
        Stash(_loop.Scratch.AsSpan(0, length), Math.Max(0, sent));
        return Step.FlushRequest;
    }

    /// <param name="on">The connection that it is for.</param>
    /// <param name="bodyBytes">Room for so much of the body is needed behind it.</param>
    /// <returns>Octets of it, at the start of the loop's scratch.</returns>
    private int WriteRequestHead(BackendConnection on, int bodyBytes)
    {
        Exchange exchange = _exchange!;
        _loop.EnsureScratch(RequestWriter.MostBytes(exchange, Head) + bodyBytes);
        int origin = exchange.Upstream!.ProxyProtocol is > 0 and var version
            ? ProxyProtocol.Write(_loop.Scratch, version, _peer.EndPoint, _io.LocalEndPoint as IPEndPoint) : 0;
        on.IsAnnounced |= origin > 0;
        var head = new HeadWriter(_loop.Scratch.AsSpan(origin));
        RequestWriter.Write(ref head, exchange, Head, _peer);
        return origin + head.Length;
    }

    private async ValueTask<Step> FlushRequestAsync()
    {
        RelayEnd end = await FlushAsync(_backend!.Io);
        return end == RelayEnd.Done ? AfterSend()
            : EndOf.Sending(end) is { } failure ? Failed(failure) : ClientGone();
    }

    private Step AfterSend()
    {
        long hedgeMs = HedgeAfterMs();
        _backend!.Io.SetDeadline(hedgeMs > 0 ? Math.Min(hedgeMs, TryTimeoutMs()) : TryTimeoutMs());
        _requestSent = _requestBody.Done;
        if (_requestSent)
        {
            BeginLatency();
        }
        else
        {
            _upload = UploadAsync();
        }
        return Step.AwaitResponse;
    }

    private long TryTimeoutMs()
    {
        long perTryMs = (long)Retries.PerTryTimeout.TotalMilliseconds;
        return perTryMs > 0 ? Math.Min(perTryMs, ResponseTimeoutMs) : ResponseTimeoutMs;
    }

    /// <summary>The rest of the request body, while the response may already be on its way. It ends by itself, or by
    /// <see cref="StopUpload"/>.</summary>
    private async Task UploadAsync()
    {
        Exchange exchange = _exchange!;
        Connection backend = _backend!.Io;
        var relay = new BodyRelay(_loop, _io, backend, ResponseTimeoutMs,
            _snapshot.Config.Bounds.BodyMinBytesPerSecond)
        {
            AwaitsLeave = exchange.Request.ExpectsContinue && _bodyTaken == 0,
        };
        _uploadRelay = relay;
        RelayEnd end = await relay.RunAsync(_requestBody, _requestBody.Framing == BodyFraming.Chunked, KeepExcess);
        if (_exchange != exchange)
        {
            return;
        }
        exchange.BytesIn += relay.PayloadBytes;
        _requestSent = end == RelayEnd.Done;
        if (_requestSent && exchange.ResponseNs == 0)
        {
            BeginLatency();
        }
        if (_requestSent && ClientHasLeft)
        {
            GiveUp(); // its end came behind the body
        }
        else if (end == RelayEnd.TargetClosed)
        {
            Swallow();
        }
        else if (end is RelayEnd.SourceClosed or RelayEnd.SourceTimedOut or RelayEnd.BodyInvalid)
        {
            // Cut the request short at the backend too: without its end it is never taken for whole. (A backend that
            // does not want the rest, TargetClosed, may still have answered: there the response decides.)
            exchange.Fault = relay.Fault;
            _uploadFailure = end;
            backend.Cancel();
        }
    }

    /// <summary>Keeps what came behind the request's body, the next request: it moves up to the head, over the part of
    /// the body that has been sent.</summary>
    private void KeepExcess(ReadOnlySpan<byte> octets)
    {
        int headEnd = _start + _exchange!.Request.Length;
        if (headEnd + octets.Length > BufferPool.Large)
        {
            // More than fits: a further request is sent again on another connection; what is behind a request for an
            // upgrade may be the new protocol's, which then cannot begin.
            _keepAlive = false;
            _excessLost = true;
            return;
        }
        if (headEnd + octets.Length > _buffer!.Length)
        {
            byte[] larger = _loop.Buffers.Rent(headEnd + octets.Length);
            _buffer.AsSpan(0, headEnd).CopyTo(larger);
            _loop.Buffers.Return(_buffer);
            _buffer = larger;
        }
        octets.CopyTo(_buffer.AsSpan(headEnd));
        _bodyTaken = 0;
        _end = headEnd + octets.Length;
    }

    private void StopUpload()
    {
        if (_upload is not null && !_requestSent)
        {
            // The exchange is over, the request is not, whether its upload goes on or was given up: the rest of the
            // body would be taken for the next request.
            _keepAlive = false;
            _lingers = true;
            if (_swallowing is null)
            {
                _io.InterruptWaits();
            }
            _backend?.Io.Close();
            Swallow();
        }
        _upload = null;
        _uploadRelay = null;
    }

    /// <summary>Gives the backend connection back, or closes it, and counts the exchange out.</summary>
    private void ReleaseBackend(bool reusable)
    {
        if (_backend is not null)
        {
            UpstreamConfig upstream = _exchange!.Upstream!;
            if (reusable && !_backend.IsAnnounced)
            {
                _backend.Pool.Return(_backend,
                    upstream.BackendIdle is { } idle ? (long)idle.TotalMilliseconds : _snapshot.BackendIdleMs);
            }
            else
            {
                _backend.Io.Close();
            }
            _backend = null;
        }
        if (_entered)
        {
            _entered = false;
            CountLatency(_exchange!.Backend!, isGood: false); // unless it is counted already
            _exchange!.Route!.Upstream.Release(_exchange.Backend!);
        }
    }
}
