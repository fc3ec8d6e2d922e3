using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>The way back: a backend's response, or an answer of our own.</summary>
internal sealed partial class ClientConnection
{
    /// <summary>Interim responses to one request. Each is progress, so without a bound a backend could keep a request
    /// for ever; one every few seconds tells of hours of work.</summary>
    private const int MaxInterims = 1000;

    // Octets from the backend: [_responseStart, _responseEnd) of _response.
    private byte[]? _response;
    private int _responseStart;
    private int _responseEnd;
    private BodyReader _responseBody;
    private bool _chunkedOut;
    private int _interims;

    /// <summary>The response was cut off: end the connection by a reset, so that nobody takes it for whole.</summary>
    private bool _cut;
    private bool _lingers;

    private Step OnResponseOctets(WaitResult result)
    {
        if (result == WaitResult.TimedOut && _upload is { IsCompleted: false } && _io.AwaitsData
            && _uploadRelay is { AwaitsLeave: false })
        {
            // The backend waits for a client that is late itself: the upload's own deadline tells.
            _backend!.Io.ClearDeadline();
            return Step.AwaitResponse;
        }
        if (result != WaitResult.Ready)
        {
            return result != WaitResult.TimedOut ? ClientGone()
                : _responseEnd == 0 && HedgeAfterMs() > 0 ? Step.Hedge : Failed(Failure.HeadTimedOut);
        }
        if (_response is null)
        {
            _response = _loop.Buffers.Rent(BufferPool.Medium);
            _exchange!.Response.ToHead = _exchange.Request.Method == Method.Head;
        }
        else if (_responseEnd == _response.Length)
        {
            MakeResponseRoom();
        }

        int count = _backend!.Io.TryReceive(_response.AsSpan(_responseEnd));
        if (count > 0)
        {
            _responseEnd += count;
            return ParseResponse();
        }
        return count == Connection.WouldBlock ? Step.AwaitResponse
            : Failed(_responseEnd == 0 ? Failure.Lost : Failure.HeadCut);
    }

    /// <summary>Moves what has come of a head over the interim responses before it, or to a larger buffer.</summary>
    private void MakeResponseRoom()
    {
        byte[] target = _responseStart > 0 ? _response! : _loop.Buffers.Rent(BufferPool.Large);
        _response.AsSpan(_responseStart, _responseEnd - _responseStart).CopyTo(target);
        if (target != _response)
        {
            _loop.Buffers.Return(_response!);
            _response = target;
        }
        _responseEnd -= _responseStart;
        _responseStart = 0;
    }

    private Step ParseResponse()
    {
        ResponseHead response = _exchange!.Response;
        while (true)
        {
            switch (response.Parse(_response.AsSpan(_responseStart, _responseEnd - _responseStart)))
            {
                case ParseStatus.Incomplete:
                    _backend!.Io.SetDeadline(ResponseTimeoutMs); // it has made progress
                    return Step.AwaitResponse;
                case ParseStatus.Complete when !response.IsInterim:
                    if (IsUnwanted(response.Status) && VerdictOn(Failure.UnwantedStatus) is { Repeats: true } verdict)
                    {
                        CountAnswer(response.Status, whole: true, wanted: false);
                        return Repeat(verdict);
                    }
                    return Respond();
                case ParseStatus.Complete when response.Status != 101:
                    Step step = ForwardInterim();
                    if (step != Step.AwaitResponse)
                    {
                        return step;
                    }
                    break;
                case ParseStatus.Complete when response.ConnectionUpgrade && response.Upgrade.Length > 0
                    && _exchange.Request.WantsUpgrade:
                    return SwitchProtocols();
                default:
                    // Also a 101 that nobody asked for.
                    _exchange.Fault = response.Fault == HttpFault.None ? HttpFault.BadStatusLine : response.Fault;
                    return Failed(Failure.Invalid);
            }
        }
    }

    /// <summary>Passes a 1xx response on; HTTP/1.0 clients do not know them (RFC 9110 §15.2).</summary>
    private Step ForwardInterim()
    {
        ResponseHead response = _exchange!.Response;
        if (++_interims > MaxInterims)
        {
            return Failed(Failure.Invalid);
        }
        if (response.Status == 100)
        {
            _uploadRelay?.GiveLeave();
        }
        int length = 0;
        int sent = 0;
        if (_exchange.Request.MinorVersion > 0)
        {
            var head = new HeadWriter(_loop.Scratch);
            ResponseWriter.WriteInterim(ref head, _exchange, _response.AsSpan(_responseStart, response.Length));
            length = head.Length;
            sent = _io.TrySend(_loop.Scratch.AsSpan(0, length));
        }
        _responseStart += response.Length;
        response.Reset();
        if (sent == Connection.Broken)
        {
            return ClientGone();
        }
        if (sent < length)
        {
            Stash(_loop.Scratch.AsSpan(0, length), Math.Max(0, sent));
            return Step.FlushInterim;
        }
        return Step.AwaitResponse;
    }

    private async ValueTask<Step> FlushInterimAsync() =>
        await FlushAsync(_io) == RelayEnd.Done ? ParseResponse() : ClientGone();

    private Step Respond()
    {
        Exchange exchange = _exchange!;
        ResponseHead response = exchange.Response;
        bool toOldClient = exchange.Request.MinorVersion == 0;
        bool unframed = response.Framing is BodyFraming.Chunked or BodyFraming.UntilClose;
        _chunkedOut = unframed && !toOldClient;
        _keepAlive &= _requestSent && !(unframed && toOldClient) && !_worker.Draining;

        exchange.Admission.CountStatus(response.Status, _loop.NowNs);
        ReadOnlySpan<byte> received = _response.AsSpan(_responseStart, _responseEnd - _responseStart);
        _loop.EnsureScratch(received.Length + ResponseWriter.MostAddedBytes(exchange));
        var head = new HeadWriter(_loop.Scratch);
        ResponseWriter.Write(ref head, exchange, received[..response.Length], _loop.DateField, _keepAlive, _chunkedOut);
        _responseBody = new BodyReader(response.Framing, response.ContentLength);
        int length = head.Length + BodyWriter.Append(ref _responseBody, received[response.Length..],
            _loop.Scratch.AsSpan(head.Length), _chunkedOut, out int consumed, out int payload);
        if (_responseBody.Fault != HttpFault.None)
        {
            exchange.Fault = _responseBody.Fault;
            return Failed(Failure.Invalid);
        }

        exchange.Status = response.Status;
        exchange.Outcome = Outcome.Ok;
        exchange.ResponseNs = _loop.NowNs;
        exchange.BytesOut = payload;
        CountAnswer(response.Status, _responseBody.Done);
        if (_responseBody.Done)
        {
            // Octets behind the response belong to nothing that was asked: such a connection is not used again.
            bool excess = response.Length + consumed < received.Length;
            ReleaseResponse();
            StopUpload();
            ReleaseBackend(reusable: !excess && response.KeepAlive && _requestSent);
        }
        else
        {
            _uploadRelay?.StopRating();
        }

        int sent = _io.TrySend(_loop.Scratch.AsSpan(0, length));
        if (sent == length && _responseBody.Done)
        {
            return Step.Finish;
        }
        if (sent == Connection.Broken)
        {
            return ClientGone();
        }
        Stash(_loop.Scratch.AsSpan(0, length), Math.Max(0, sent));
        ReleaseResponse();
        return Step.Relay;
    }

    /// <summary>Tells the backend's record how it answered. A body on its way may still fail.</summary>
    /// <param name="wanted">False: the client gets another backend's answer.</param>
    private void CountAnswer(int status, bool whole, bool wanted = true)
    {
        Backend backend = _exchange!.Backend!;
        bool isError = BackendTraffic.IsError(status);
        CountLatency(backend, isGood: wanted && !isError);
        if (isError)
        {
            backend.Traffic.Failed(_loop.Index, BackendError.Status, status);
        }
        else if (whole)
        {
            backend.Traffic.Succeeded(_loop.Index);
        }
    }

    /// <summary>Notes, once for each request that a backend had, how long it took. What the client took to send its
    /// body is no part of that, nor is time in which we did not listen; and an error, or a request that was given up,
    /// says only that a good answer takes no less.</summary>
    private void CountLatency(Backend backend, bool isGood)
    {
        Exchange exchange = _exchange!;
        if (exchange.AskedNs == 0)
        {
            return;
        }
        long latencyNs = Math.Max(0,
            _loop.NowNs - exchange.AskedNs - (_loop.StalledNs - exchange.AskedStalledNs));
        exchange.AskedNs = 0;
        if (isGood)
        {
            backend.Traffic.Responded(_loop.Index, latencyNs);
            backend.Latency.Add(latencyNs, _loop.NowNs);
        }
        else
        {
            backend.Latency.AddFailure(latencyNs, _loop.NowNs);
        }
    }

    /// <summary>The backend has the whole request from now on.</summary>
    private void BeginLatency() =>
        (_exchange!.AskedNs, _exchange.AskedStalledNs) = (_loop.NowNs, _loop.StalledNs);

    /// <summary>The part of a response that did not fit into one buffer or into the client's socket.</summary>
    private async ValueTask<Step> RelayResponseAsync()
    {
        Exchange exchange = _exchange!;
        RelayEnd end = await FlushAsync(_io);
        if (end == RelayEnd.Done && !_responseBody.Done)
        {
            bool excess = false;
            var relay = new BodyRelay(_loop, _backend!.Io, _io, ResponseTimeoutMs);
            end = await relay.RunAsync(_responseBody, _chunkedOut, _ => excess = true);
            exchange.BytesOut += relay.PayloadBytes;
            exchange.Fault = relay.Fault;
            bool reusable = end == RelayEnd.Done && !excess && exchange.Response.KeepAlive && _requestSent;
            StopUpload();
            if (EndOf.Blame(EndOf.Response(end, _uploadFailure)) is { } blame)
            {
                _backend?.Pool.CountFailure();
                CountError(blame);
            }
            else if (end == RelayEnd.Done && !BackendTraffic.IsError(exchange.Status))
            {
                exchange.Backend!.Traffic.Succeeded(_loop.Index);
            }
            ReleaseBackend(reusable);
        }
        if (end == RelayEnd.Done)
        {
            return Step.Finish;
        }
        exchange.Outcome = EndOf.Response(end, _uploadFailure);
        _cut = true;
        return Step.Close;
    }

    // ---- answers of our own

    /// <summary>Decides to answer ourselves. The connection stays open only when the rest of the request is known and
    /// here.</summary>
    private Step Refuse(Outcome outcome, int status)
    {
        Exchange exchange = _exchange!;
        exchange.Outcome = outcome;
        exchange.Status = status;
        bool understood = outcome is not (Outcome.BadRequest or Outcome.ClientTimeout) && exchange.Request.Length > 0;
        if (!understood || !SkipBody())
        {
            _keepAlive = false;
            _lingers = true;
        }
        return Step.Answer;
    }

    /// <summary>Is the request used up to its end? A body that nobody asked for is, when all of it is here.</summary>
    private bool SkipBody()
    {
        RequestHead request = _exchange!.Request;
        if (_requestSent || request.Framing == BodyFraming.None)
        {
            return true;
        }
        if (request.Framing == BodyFraming.Chunked || _end - _start - request.Length < request.ContentLength)
        {
            return false;
        }
        _bodyTaken = (int)request.ContentLength;
        return true;
    }

    private Step Answer()
    {
        Exchange exchange = _exchange!;
        _keepAlive &= !_worker.Draining;
        if (exchange.RequestId.IsEmpty)
        {
            Span<byte> made = stackalloc byte[16];
            exchange.RequestId = made[.._worker.NewRequestId(made)];
        }
        if (!exchange.Admission.Refused)
        {
            exchange.Admission.CountStatus(exchange.Status, _loop.NowNs);
        }
        var head = new HeadWriter(_loop.Scratch);
        exchange.BytesOut = ResponseWriter.WriteAnswer(ref head, exchange, _loop.DateField, _keepAlive,
            _snapshot.Answers.For(exchange.Status),
            _buffer.AsSpan(_start, _end - _start));
        int sent = _io.TrySend(_loop.Scratch.AsSpan(0, head.Length));
        if (sent == head.Length)
        {
            return Step.Finish;
        }
        if (sent == Connection.Broken)
        {
            exchange.Outcome = Outcome.ClientAbort;
            return Step.Close;
        }
        Stash(_loop.Scratch.AsSpan(0, head.Length), Math.Max(0, sent));
        _responseBody = new BodyReader(BodyFraming.None, 0);
        return Step.Relay;
    }

    private void ReleaseResponse()
    {
        if (_response is not null)
        {
            _loop.Buffers.Return(_response);
            _response = null;
        }
        _responseStart = _responseEnd = 0;
    }
}
