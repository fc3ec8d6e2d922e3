using Penstock.Proxy.Connections;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Exchanges;

/// <summary>Relays bytes both ways after a 101 response: WebSocket or any other protocol (RFC 9110 §7.8).</summary>
internal static class Tunnel
{
    /// <summary>Passes the 101 response to the client.</summary>
    public static Step Begin(Exchange exchange)
    {
        Attempt attempt = exchange.Current;
        ResponseHead response = attempt.Response;
        if (exchange.ExcessLost)
        {
            return Failing.Failed(exchange, Failure.Invalid);
        }
        exchange.IsTunnel = true;
        exchange.Client.EndAfterThisUnless(false);
        exchange.Upload?.StopRating();
        exchange.Status = response.Status;
        exchange.Outcome = Outcome.Ok;
        exchange.ResponseNs = exchange.Loop.NowNs;
        attempt.CountAnswer(exchange.Loop, whole: true);

        ReadOnlySpan<byte> received = attempt.Received.Bytes;
        exchange.Loop.EnsureScratch(received.Length + ResponseWriter.MaxAddedBytes(exchange));
        var head = new HeadWriter(exchange.Loop.Scratch);
        ResponseWriter.Write(ref head, exchange, received[..response.Length], exchange.Loop.DateField,
            keepAlive: false, chunked: false);
        head.Add(received[response.Length..]); // the new protocol's first bytes may have arrived with the head
        exchange.BytesOut = received.Length - response.Length;
        exchange.Keep(exchange.Loop.Scratch.AsSpan(0, head.Length), sent: 0);
        attempt.Received.Release(exchange.Loop.Buffers);
        return Step.Tunnel;
    }

    /// <summary>Relays bytes both ways until both directions have ended, one breaks, or no byte has arrived for the
    /// tunnel timeout. The end of one direction is passed on; the other may continue.</summary>
    public static async ValueTask<Step> RunAsync(Exchange exchange)
    {
        Connection client = exchange.Client.Io;
        Connection backend = exchange.Current.Io;
        client.SetDeadline(exchange.ResponseTimeoutMs);
        RelayEnd end = await Relaying.FlushAsync(exchange, client);
        if (end == RelayEnd.Done)
        {
            exchange.Client.Counters.Tunnels++;
            Task<RelayEnd> up = CarryUpAsync(exchange, client, backend);
            Task<RelayEnd> down = CarryAsync(exchange, backend, client, upwards: false);
            RelayEnd upEnd = await up;
            RelayEnd downEnd = await down;
            exchange.Client.Counters.Tunnels--;
            end = upEnd is RelayEnd.Done or RelayEnd.Canceled ? downEnd : upEnd;
        }
        exchange.Outcome = EndOf.Tunnel(end);
        return end == RelayEnd.Done ? Step.Finish : Step.Close;
    }

    /// <summary>Relays the client's direction. The new protocol begins behind the request: first the rest of the
    /// request's body (RFC 9110 §7.8), then bytes that the client sent without waiting for the 101.</summary>
    private static async Task<RelayEnd> CarryUpAsync(Exchange exchange, Connection client, Connection backend)
    {
        RelayEnd end = RelayEnd.Done;
        if (exchange.Upload is { } upload)
        {
            await upload.Ended;
            end = exchange.Current.IsSent && !exchange.ExcessLost ? RelayEnd.Done
                : upload.Failure == RelayEnd.Done ? RelayEnd.TargetClosed : upload.Failure;
        }
        int used = exchange.Request.Length + exchange.BodyTaken;
        int early = exchange.Client.Received.Length - used;
        if (end == RelayEnd.Done && early > 0)
        {
            exchange.Keep(exchange.Client.Received[used..], sent: 0);
            exchange.BytesIn += early;
            exchange.BodyTaken += early;
            backend.SetDeadline(exchange.ResponseTimeoutMs);
            end = await Relaying.FlushAsync(exchange, backend);
        }
        if (end == RelayEnd.Done)
        {
            return await CarryAsync(exchange, client, backend, upwards: true);
        }
        client.Cancel();
        backend.Cancel();
        return end;
    }

    private static async Task<RelayEnd> CarryAsync(Exchange exchange, Connection source, Connection target,
        bool upwards)
    {
        var relay = new BodyRelay(exchange.Loop, source, target, exchange.Snapshot.TunnelTimeoutMs);
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
            exchange.BytesIn += relay.PayloadBytes;
        }
        else
        {
            exchange.BytesOut += relay.PayloadBytes;
        }
        return end;
    }
}
