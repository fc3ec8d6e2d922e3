using System.Diagnostics;
using System.Net;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Connections;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>Third phase of an exchange: sends the request to the backend of the current attempt.</summary>
internal static class Sending
{
    public static Step Send(Exchange exchange)
    {
        Attempt attempt = exchange.Current;
        RequestHead request = exchange.Request;
        // The received part of the body is sent with the head.
        ReadOnlySpan<byte> rest = exchange.Client.Received[request.Length..];
        int headEnd = WriteHead(exchange, attempt.Connection!, rest.Length);
        byte[] scratch = exchange.Loop.Scratch;
        exchange.RequestBody = new BodyReader(request.Framing, request.ContentLength,
            exchange.Snapshot.Config.Bounds.BodyBytes, boundsFraming: true);
        int length = headEnd + BodyWriter.Append(ref exchange.RequestBody, rest, scratch.AsSpan(headEnd),
            request.Framing == BodyFraming.Chunked, out exchange.BodyTaken, out int payload);
        exchange.BytesIn = payload;
        if (exchange.RequestBody.Fault != HttpFault.None)
        {
            exchange.EndAttempt(reusable: true); // no byte was sent
            return Answering.AnswerFault(exchange, exchange.RequestBody.Fault);
        }

        attempt.SentNs = exchange.Loop.NowNs;
        attempt.Response.ToHead = request.Method == Method.Head;
        attempt.Connection!.Pool.CountRequest();
        int sent = attempt.Io.TrySend(scratch.AsSpan(0, length));
        if (sent == Connection.Broken)
        {
            return Failing.Failed(exchange, Failure.NotSent);
        }
        exchange.Sends++;
        if (exchange.Sends == 1)
        {
            exchange.Client.Counters.Overheads.Add(exchange.Worker.ExactNowNs - exchange.HeadNs - exchange.QueuedNs);
        }
        if (sent == length)
        {
            return AwaitResponse(exchange);
        }
        exchange.Keep(scratch.AsSpan(0, length), sent);
        return Step.FlushRequest;
    }

    /// <summary>Writes the request's head for this connection.</summary>
    /// <param name="bodyBytes">How many bytes of body need room behind it.</param>
    /// <returns>Bytes of the head, which is at the start of the loop's scratch memory.</returns>
    public static int WriteHead(Exchange exchange, BackendConnection on, int bodyBytes)
    {
        ReadOnlySpan<byte> received = exchange.Head;
        ClientConnection client = exchange.Client;
        exchange.Loop.EnsureScratch(RequestWriter.MaxBytes(exchange, received) + bodyBytes);
        int origin = on.Tls is null ? WriteOrigin(exchange, on) : 0;
        var head = new HeadWriter(exchange.Loop.Scratch.AsSpan(origin));
        Attempt attempt = exchange.Current.Connection == on ? exchange.Current : exchange.Rival!;
        RequestWriter.Write(ref head, exchange, received, client.PeerAddress, attempt.Span ?? exchange.Span);
        return origin + head.Length;
    }

    /// <summary>Sends the PROXY protocol header of a new connection, if the upstream has one. The handshake of TLS
    /// follows.</summary>
    /// <returns>False when the socket did not take it.</returns>
    public static bool TrySendOrigin(Exchange exchange, BackendConnection on)
    {
        int length = WriteOrigin(exchange, on);
        return length == 0 || on.Io.SendRaw(exchange.Loop.Scratch.AsSpan(0, length), more: true) == length;
    }

    /// <returns>Bytes of the header, at the start of the loop's scratch memory; 0: the upstream has none.</returns>
    private static int WriteOrigin(Exchange exchange, BackendConnection on)
    {
        if (exchange.UpstreamConfig.SendProxyVersion is not (> 0 and var version))
        {
            return 0;
        }
        Debug.Assert(!on.IsReused, "the connection has served another client");
        on.IsAnnounced = true;
        return ProxyProtocol.Write(exchange.Loop.Scratch, version, exchange.Client.PeerAddress.EndPoint,
            exchange.Client.Io.LocalEndPoint as IPEndPoint);
    }

    public static async ValueTask<Step> FlushAsync(Exchange exchange)
    {
        RelayEnd end = await Relaying.FlushAsync(exchange, exchange.Current.Io);
        return end == RelayEnd.Done ? AwaitResponse(exchange)
            : EndOf.Sending(end) is { } failure ? Failing.Failed(exchange, failure) : Failing.ClientGone(exchange);
    }

    /// <summary>How long each attempt may take until the response head has arrived.</summary>
    public static long TryTimeoutMs(Exchange exchange)
    {
        long perTryMs = (long)exchange.RetryConfig.PerTryTimeout.TotalMilliseconds;
        long allMs = exchange.ResponseTimeoutMs;
        return perTryMs > 0 ? Math.Min(perTryMs, allMs) : allMs;
    }

    /// <summary>How long to wait before the request is sent to a second backend as well; 0: it is not.</summary>
    public static long HedgeAfterMs(Exchange exchange) =>
        exchange.UpstreamConfig.Hedge is { } hedge && !exchange.Hedged
        && RetryPolicy.MayHedge(exchange.Request, exchange.RetryState)
            ? Math.Max(1, (long)hedge.After.TotalMilliseconds) : 0;

    private static Step AwaitResponse(Exchange exchange)
    {
        Attempt attempt = exchange.Current;
        long hedgeMs = HedgeAfterMs(exchange);
        long timeoutMs = TryTimeoutMs(exchange);
        attempt.Io.SetDeadline(hedgeMs > 0 ? Math.Min(hedgeMs, timeoutMs) : timeoutMs);
        attempt.IsSent = exchange.RequestBody.Done;
        if (attempt.IsSent)
        {
            attempt.BeginLatency(exchange.Loop);
        }
        else
        {
            Upload.Start(exchange);
        }
        return Step.AwaitResponse;
    }
}
