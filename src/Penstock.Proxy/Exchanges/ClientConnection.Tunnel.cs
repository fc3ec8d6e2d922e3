using Penstock.Proxy.Connections;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Exchanges;

/// <summary>After a 101 response: WebSocket, or whatever else the two agreed on (RFC 9110 §7.8).</summary>
internal sealed partial class ClientConnection
{
    /// <summary>The client may end its direction and go on listening.</summary>
    private bool _tunnels;

    private Step SwitchProtocols()
    {
        Exchange exchange = _exchange!;
        ResponseHead response = exchange.Response;
        if (_excessLost)
        {
            return Failed(Failure.Invalid);
        }
        _tunnels = true;
        _keepAlive = false;
        _uploadRelay?.StopRating();
        exchange.Status = response.Status;
        exchange.Outcome = Outcome.Ok;
        exchange.ResponseNs = _loop.NowNs;
        CountAnswer(response.Status, whole: true);

        ReadOnlySpan<byte> received = _response.AsSpan(_responseStart, _responseEnd - _responseStart);
        _loop.EnsureScratch(received.Length + ResponseWriter.MostAddedBytes(exchange));
        var head = new HeadWriter(_loop.Scratch);
        ResponseWriter.Write(ref head, exchange, received[..response.Length], _loop.DateField, _keepAlive,
            chunked: false);
        head.Add(received[response.Length..]); // the backend's first words came with the head
        exchange.BytesOut = received.Length - response.Length;
        Stash(_loop.Scratch.AsSpan(0, head.Length), 0);
        ReleaseResponse();
        return Step.Tunnel;
    }

    /// <summary>Carries octets both ways until both ends are through, one breaks, or nothing came for the tunnel
    /// timeout. An end of one direction is passed on; the other may go on.</summary>
    private async ValueTask<Step> TunnelAsync()
    {
        Exchange exchange = _exchange!;
        Connection backend = _backend!.Io;
        _io.SetDeadline(ResponseTimeoutMs);
        RelayEnd end = await FlushAsync(_io);
        if (end == RelayEnd.Done)
        {
            _worker.Counters.OpenTunnels++;
            Task<RelayEnd> up = CarryUpAsync(backend);
            Task<RelayEnd> down = CarryAsync(backend, _io, upwards: false);
            RelayEnd upEnd = await up;
            RelayEnd downEnd = await down;
            _worker.Counters.OpenTunnels--;
            end = upEnd is RelayEnd.Done or RelayEnd.Canceled ? downEnd : upEnd;
        }
        exchange.Outcome = EndOf.Tunnel(end);
        return end == RelayEnd.Done ? Step.Finish : Step.Close;
    }

    /// <summary>The client's direction. The new protocol begins behind the request: a body that is still under way
    /// comes first (RFC 9110 §7.8), then what the client sent without waiting for the 101.</summary>
    private async Task<RelayEnd> CarryUpAsync(Connection backend)
    {
        Exchange exchange = _exchange!;
        RelayEnd end = RelayEnd.Done;
        if (_upload is { } upload)
        {
            await upload;
            end = _requestSent && !_excessLost ? RelayEnd.Done
                : _uploadFailure == RelayEnd.Done ? RelayEnd.TargetClosed : _uploadFailure;
        }
        int early = _end - _start - exchange.Request.Length - _bodyTaken;
        if (end == RelayEnd.Done && early > 0)
        {
            Stash(_buffer.AsSpan(_end - early, early), 0);
            exchange.BytesIn += early;
            _bodyTaken += early;
            backend.SetDeadline(ResponseTimeoutMs);
            end = await FlushAsync(backend);
        }
        if (end == RelayEnd.Done)
        {
            return await CarryAsync(_io, backend, upwards: true);
        }
        _io.Cancel();
        backend.Cancel();
        return end;
    }

    private async Task<RelayEnd> CarryAsync(Connection source, Connection target, bool upwards)
    {
        var relay = new BodyRelay(_loop, source, target, _snapshot.TunnelTimeoutMs);
        RelayEnd end = await relay.RunAsync(new BodyReader(BodyFraming.UntilClose, 0), chunked: false, static _ => { });
        if (end == RelayEnd.Done)
        {
            target.ShutdownSend();
        }
        else
        {
            source.Cancel();
            target.Cancel();
        }
        if (upwards)
        {
            _exchange!.BytesIn += relay.PayloadBytes;
        }
        else
        {
            _exchange!.BytesOut += relay.PayloadBytes;
        }
        return end;
    }
}
