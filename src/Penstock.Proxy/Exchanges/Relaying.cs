using Penstock.Proxy.Connections;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>Last phase of a long response: relays the part that did not fit into one buffer or into the client's
/// socket.</summary>
internal static class Relaying
{
    public static async ValueTask<Step> RelayAsync(Exchange exchange)
    {
        Attempt attempt = exchange.Current;
        RelayEnd end = await FlushAsync(exchange, exchange.Client.Io);
        Outcome outcome = EndOf.Response(end, exchange.UploadFailure);
        if (end == RelayEnd.Done && attempt.Connection is not null)
        {
            bool excess = false;
            var relay = new BodyRelay(exchange.Loop, attempt.Io, exchange.Client.Io, exchange.ResponseTimeoutMs);
            end = await relay.RunAsync(attempt.Body, attempt.ChunksBody, _ => excess = true);
            exchange.BytesOut += relay.PayloadBytes;
            exchange.Fault = relay.Fault;
            bool reusable = end == RelayEnd.Done && !excess && attempt.Response.KeepAlive && attempt.IsSent;
            exchange.Upload?.Stop();
            outcome = EndOf.Response(end, exchange.UploadFailure);
            if (EndOf.Blame(outcome) is { } blame)
            {
                exchange.Worker.PoolOf(attempt.Backend!).CountFailure();
                attempt.CountError(exchange.Loop, blame);
            }
            else if (end == RelayEnd.Done && !BackendTraffic.IsError(exchange.Status))
            {
                attempt.Backend!.Traffic.Succeeded(exchange.Loop.Index);
            }
            exchange.Outcome = outcome;
            exchange.EndAttempt(reusable);
        }
        if (end == RelayEnd.Done)
        {
            return Step.Finish;
        }
        exchange.Outcome = outcome;
        exchange.Client.ResetOnClose();
        return Step.Close;
    }

    /// <summary>Sends the bytes that a socket did not accept at once. Afterwards none are pending, whatever the
    /// result.</summary>
    public static async ValueTask<RelayEnd> FlushAsync(Exchange exchange, Connection to)
    {
        RelayEnd end = RelayEnd.Done;
        while (end == RelayEnd.Done && exchange.Pending.Length > 0)
        {
            int sent = to.TrySend(exchange.Pending.Bytes);
            exchange.Pending.Consume(Math.Max(0, sent));
            if (sent == Connection.Broken)
            {
                end = RelayEnd.TargetClosed;
            }
            else if (exchange.Pending.Length > 0)
            {
                to.SetDeadline(exchange.ResponseTimeoutMs);
                end = await to.WaitForSpaceAsync() switch
                {
                    WaitResult.Ready => RelayEnd.Done,
                    WaitResult.TimedOut => RelayEnd.TargetTimedOut,
                    _ => RelayEnd.Canceled,
                };
            }
        }
        exchange.Pending.Release(exchange.Loop.Buffers);
        return end;
    }
}
