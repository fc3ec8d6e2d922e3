using Penstock.Proxy.Connections;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Exchanges;

/// <summary>Penstock's own answers, in place of a backend's response.</summary>
internal static class Answering
{
    /// <summary>Ends the request with an answer of Penstock. The client connection stays open only when the rest of the
    /// request has arrived.</summary>
    public static Step AnswerWith(Exchange exchange, Outcome outcome, int status)
    {
        exchange.Outcome = outcome;
        exchange.Status = status;
        bool understood = outcome is not (Outcome.BadRequest or Outcome.ClientTimeout) && exchange.Request.Length > 0;
        if (!understood || !SkipBody(exchange))
        {
            exchange.Client.EndAfterThisAndLinger();
        }
        return Step.Answer;
    }

    /// <summary>Answers an invalid request.</summary>
    public static Step AnswerFault(Exchange exchange, HttpFault fault)
    {
        exchange.Fault = fault;
        return AnswerWith(exchange, Outcome.BadRequest, fault.Status());
    }

    public static Step Answer(Exchange exchange)
    {
        ClientConnection client = exchange.Client;
        client.EndAfterThisUnless(client.KeepsAlive);
        if (exchange.RequestId.IsEmpty)
        {
            exchange.MakeRequestId();
        }
        if (!exchange.Admission.Rejected)
        {
            exchange.Admission.CountStatus(exchange.Status, exchange.Loop.NowNs);
        }
        exchange.Loop.EnsureScratch(exchange.Request.Length + ResponseWriter.MaxAddedBytes(exchange));
        byte[] scratch = exchange.Loop.Scratch;
        var head = new HeadWriter(scratch);
        exchange.BytesOut = ResponseWriter.WriteAnswer(ref head, exchange, exchange.Loop.DateField, client.KeepsAlive,
            exchange.Snapshot.Answers.For(exchange.Status), client.Received);
        int sent = client.Io.TrySend(scratch.AsSpan(0, head.Length), isLast: !client.KeepsAlive);
        if (sent == head.Length)
        {
            return Step.Finish;
        }
        if (sent == Connection.Broken)
        {
            exchange.Outcome = Outcome.ClientAbort;
            return Step.Close;
        }
        exchange.Keep(scratch.AsSpan(0, head.Length), sent);
        return Step.Relay;
    }

    /// <summary>Skips the body. False when not all of it has arrived.</summary>
    private static bool SkipBody(Exchange exchange)
    {
        RequestHead request = exchange.Request;
        if (exchange.Current.IsSent || request.Framing == BodyFraming.None)
        {
            return true;
        }
        if (request.Framing == BodyFraming.Chunked
            || exchange.Client.Received.Length - request.Length < request.ContentLength)
        {
            return false;
        }
        exchange.BodyTaken = (int)request.ContentLength;
        return true;
    }
}
