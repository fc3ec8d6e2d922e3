using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>Handles a failed attempt and a client that has left. <see cref="RetryPolicy"/> decides whether the request
/// is sent again; this class acts on it.</summary>
internal static class Failing
{
    /// <summary>Continues after a failed attempt: with another backend, or with the end of the request.</summary>
    public static Step Failed(Exchange exchange, Failure failure)
    {
        Verdict verdict = VerdictOn(exchange, failure);
        return verdict.Repeats ? Repeat(exchange, verdict) : GiveUp(exchange, failure, verdict);
    }

    /// <summary>Sends the request to another backend if the response's status is in <c>retries.statuses</c> and a retry
    /// is possible.</summary>
    /// <returns>Null: the response is passed on.</returns>
    public static Step? RepeatIfUnwanted(Exchange exchange)
    {
        IReadOnlyList<int> statuses = exchange.RetryConfig.Statuses;
        for (int i = 0; i < statuses.Count; i++)
        {
            if (statuses[i] == exchange.Response.Status)
            {
                Verdict verdict = VerdictOn(exchange, Failure.UnwantedStatus);
                if (!verdict.Repeats)
                {
                    return null;
                }
                exchange.Current.CountAnswer(exchange.Loop, whole: true, wanted: false);
                return Repeat(exchange, verdict);
            }
        }
        return null;
    }

    /// <summary>Ends a request for which no backend is left.</summary>
    public static Step NoBackendLeft(Exchange exchange)
    {
        Outcome outcome = exchange.Tried.Count == 0 ? Outcome.NoBackend : exchange.Outcome;
        return Answering.AnswerWith(exchange, outcome, EndOf.Status(outcome));
    }

    /// <summary>Ends the request after Penstock has ended a wait, because the client left or its body failed.</summary>
    public static Step ClientGone(Exchange exchange)
    {
        Outcome outcome = EndOf.Upload(exchange.UploadFailure);
        exchange.Outcome = outcome;
        if (exchange.Route is not null)
        {
            exchange.EndAttempt(reusable: false);
        }
        if (outcome == Outcome.ClientAbort)
        {
            return Step.Close;
        }
        return Answering.AnswerWith(exchange, outcome,
            outcome == Outcome.ClientTimeout ? 408 : exchange.Fault.Status());
    }

    private static Verdict VerdictOn(Exchange exchange, Failure failure)
    {
        Verdict verdict = RetryPolicy.Next(failure, exchange.RetryState, exchange.RetryConfig);
        return !verdict.NeedsLeave || (Picking.HasElsewhere(exchange) && exchange.Route!.Upstream.TryRetry())
            ? verdict : RetryPolicy.GiveUp(failure);
    }

    private static Step Repeat(Exchange exchange, in Verdict verdict)
    {
        Backend backend = exchange.Backend!;
        Blame(exchange, verdict.Blame);
        exchange.Worker.PoolOf(backend).CountFailure();
        exchange.RetriesUsed += verdict.Counts ? 1 : 0;
        exchange.StaleBackend = verdict.OrFreshConnection ? backend : null;
        exchange.Tried.Add(backend);
        exchange.Retries++;
        exchange.Outcome = verdict.Outcome;
        exchange.MaxWaitMs = verdict.MaxWaitMs;
        exchange.EndAttempt(reusable: false);
        exchange.Current.IsSent = false;
        return verdict.MaxWaitMs == 0 ? Step.Pick : Step.Pause;
    }

    private static Step GiveUp(Exchange exchange, Failure failure, in Verdict verdict)
    {
        if (failure == Failure.NoDescriptors)
        {
            exchange.Worker.TellShortage();
        }
        else
        {
            exchange.Worker.PoolOf(exchange.Backend!).CountFailure();
        }
        Blame(exchange, verdict.Blame);
        exchange.Upload?.Stop();
        exchange.Outcome = verdict.Outcome;
        exchange.EndAttempt(reusable: false);
        return Answering.AnswerWith(exchange, verdict.Outcome, EndOf.Status(verdict.Outcome));
    }

    private static void Blame(Exchange exchange, BackendError? error)
    {
        if (error is { } blame)
        {
            exchange.Current.CountError(exchange.Loop, blame);
            if (blame == BackendError.Connect)
            {
                exchange.Backend!.Latency.AddUnreachable(exchange.Loop.NowNs);
            }
        }
    }
}
