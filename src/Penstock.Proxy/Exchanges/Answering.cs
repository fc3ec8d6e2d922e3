using Penstock.Proxy.Connections;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Exchanges;

/// <summary>An answer of Penstock's own, in place of a backend's.</summary>
internal static class Answering
{
    /// <summary>Decides to answer ourselves. The connection stays open only when the rest of the request is known and
    /// here.</summary>
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

    /// <summary>The request is not valid.</summary>
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
        byte[] scratch = exchange.Loop.Scratch;
        var head = new HeadWriter(scratch);
        exchange.BytesOut = ResponseWriter.WriteAnswer(ref head, exchange, exchange.Loop.DateField, client.KeepsAlive,
            exchange.Snapshot.Answers.For(exchange.Status), client.Received);
        int sent = client.Io.TrySend(scratch.AsSpan(0, head.Length));
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

    /// <summary>Is the request used up to its end? A body that nobody asked for is, when all of it is here.</summary>
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
