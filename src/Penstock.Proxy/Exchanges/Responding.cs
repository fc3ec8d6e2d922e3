using Penstock.Proxy.Connections;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Exchanges;

/// <summary>Fourth phase of an exchange: the head of the backend's response, and the bytes that arrived with
/// it.</summary>
internal static class Responding
{
    /// <summary>Maximum number of interim responses to one request. Each counts as progress, so without a bound a
    /// backend could hold a request without end. 1000 are enough for hours of work with one every few
    /// seconds.</summary>
    private const int MaxInterims = 1000;

    /// <summary>Continues after a wait for bytes of the response.</summary>
    public static Step OnBytes(Exchange exchange, WaitResult result)
    {
        Attempt attempt = exchange.Current;
        if (result == WaitResult.TimedOut && exchange.Upload is { IsLateItself: true })
        {
            attempt.Io.ClearDeadline();
            return Step.AwaitResponse;
        }
        if (result != WaitResult.Ready)
        {
            return result != WaitResult.TimedOut ? Failing.ClientGone(exchange)
                : attempt.Received.Length == 0 && Sending.HedgeAfterMs(exchange) > 0 ? Step.Hedge
                : Failing.Failed(exchange, Failure.HeadTimedOut);
        }

        int count = attempt.Io.TryReceive(attempt.Received.Room(exchange.Loop.Buffers, BufferPool.Medium));
        if (count > 0)
        {
            attempt.Received.Add(count);
            return OnHead(exchange);
        }
        return count == Connection.WouldBlock ? Step.AwaitResponse
            : Failing.Failed(exchange, attempt.HasBegunToRespond ? Failure.HeadCut : Failure.Lost);
    }

    /// <summary>Handles the received part of the response's head.</summary>
    public static Step OnHead(Exchange exchange)
    {
        Attempt attempt = exchange.Current;
        ResponseHead response = attempt.Response;
        while (true)
        {
            switch (response.Parse(attempt.Received.Bytes))
            {
                case ParseStatus.Incomplete:
                    attempt.Io.SetDeadline(exchange.ResponseTimeoutMs); // the response has made progress
                    return Step.AwaitResponse;
                case ParseStatus.Complete when !response.IsInterim:
                    return Failing.RepeatIfUnwanted(exchange) ?? Respond(exchange);
                case ParseStatus.Complete when response.Status != 101:
                    Step step = ForwardInterim(exchange);
                    if (step != Step.AwaitResponse)
                    {
                        return step;
                    }
                    break;
                case ParseStatus.Complete when response.ConnectionUpgrade && response.Upgrade.Length > 0
                    && exchange.Request.WantsUpgrade:
                    return Tunnel.Begin(exchange);
                default:
                    // This includes a 101 without an upgrade in the request.
                    return Invalid(
                        exchange, response.Fault == HttpFault.None ? HttpFault.BadStatusLine : response.Fault);
            }
        }
    }

    public static async ValueTask<Step> FlushInterimAsync(Exchange exchange) =>
        await Relaying.FlushAsync(exchange, exchange.Client.Io) == RelayEnd.Done
            ? OnHead(exchange) : Failing.ClientGone(exchange);

    private static Step Invalid(Exchange exchange, HttpFault fault)
    {
        exchange.Fault = fault;
        return Failing.Failed(exchange, Failure.Invalid);
    }

    /// <summary>Passes a 1xx response on, but not to HTTP/1.0 clients, which do not know them (RFC 9110
    /// §15.2).</summary>
    private static Step ForwardInterim(Exchange exchange)
    {
        Attempt attempt = exchange.Current;
        ResponseHead response = attempt.Response;
        if (++attempt.Interims > MaxInterims)
        {
            return Failing.Failed(exchange, Failure.Invalid);
        }
        if (response.Status == 100)
        {
            exchange.Upload?.GiveLeave();
        }
        byte[] scratch = exchange.Loop.Scratch;
        int length = 0;
        int sent = 0;
        if (exchange.Request.MinorVersion > 0)
        {
            var head = new HeadWriter(scratch);
            ResponseWriter.WriteInterim(ref head, exchange, attempt.Received.Bytes[..response.Length]);
            length = head.Length;
            sent = exchange.Client.Io.TrySend(scratch.AsSpan(0, length));
        }
        attempt.Received.Consume(response.Length);
        response.Reset();
        if (sent == Connection.Broken)
        {
            return Failing.ClientGone(exchange);
        }
        if (sent < length)
        {
            exchange.Keep(scratch.AsSpan(0, length), sent);
            return Step.FlushInterim;
        }
        return Step.AwaitResponse;
    }

    private static Step Respond(Exchange exchange)
    {
        Attempt attempt = exchange.Current;
        ClientConnection client = exchange.Client;
        ResponseHead response = attempt.Response;
        bool toOldClient = exchange.Request.MinorVersion == 0;
        bool unframed = response.Framing is BodyFraming.Chunked or BodyFraming.UntilClose;
        attempt.ChunksBody = unframed && !toOldClient;
        client.EndAfterThisUnless(attempt.IsSent && !(unframed && toOldClient) && client.KeepsAlive);

        exchange.Admission.CountStatus(response.Status, exchange.Loop.NowNs);
        ReadOnlySpan<byte> received = attempt.Received.Bytes;
        exchange.Loop.EnsureScratch(received.Length + ResponseWriter.MaxAddedBytes(exchange));
        byte[] scratch = exchange.Loop.Scratch;
        var head = new HeadWriter(scratch);
        ResponseWriter.Write(ref head, exchange, received[..response.Length], exchange.Loop.DateField,
            client.KeepsAlive, attempt.ChunksBody);
        attempt.Body = new BodyReader(response.Framing, response.ContentLength);
        int length = head.Length + BodyWriter.Append(ref attempt.Body, received[response.Length..],
            scratch.AsSpan(head.Length), attempt.ChunksBody, out int consumed, out int payload);
        if (attempt.Body.Fault != HttpFault.None)
        {
            return Invalid(exchange, attempt.Body.Fault);
        }

        exchange.Status = response.Status;
        exchange.Outcome = Outcome.Ok;
        exchange.ResponseNs = exchange.Loop.NowNs;
        exchange.BytesOut = payload;
        bool whole = attempt.Body.Done;
        attempt.CountAnswer(exchange.Loop, whole);
        // Bytes behind the response belong to no request, so the connection is not used again.
        bool excess = response.Length + consumed < received.Length;
        attempt.Received.Release(exchange.Loop.Buffers);
        if (whole)
        {
            exchange.Upload?.Stop();
            exchange.EndAttempt(reusable: !excess && response.KeepAlive && attempt.IsSent);
        }
        else
        {
            exchange.Upload?.StopRating();
        }
        return SendOrStash(exchange, scratch.AsSpan(0, length), whole);
    }

    private static Step SendOrStash(Exchange exchange, ReadOnlySpan<byte> bytes, bool whole)
    {
        int sent = exchange.Client.Io.TrySend(bytes, isLast: whole && !exchange.Client.KeepsAlive);
        if (sent == bytes.Length && whole)
        {
            return Step.Finish;
        }
        if (sent == Connection.Broken)
        {
            return Failing.ClientGone(exchange);
        }
        exchange.Keep(bytes, sent);
        return Step.Relay;
    }
}
