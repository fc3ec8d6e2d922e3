using System.Net.Sockets;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>What to do when a try at a backend fails.</summary>
internal sealed partial class ClientConnection
{
    private Backend? _staleBackend;
    private bool _freshOnly;

    /// <summary>Tries that counted, beyond the first.</summary>
    private int _attempts;
    private int _backOffMs;

    private static Failure FailureOf(SocketError error) => IsOutOfDescriptors(error) ? Failure.NoDescriptors
        : error is SocketError.NoBufferSpaceAvailable or SocketError.AddressNotAvailable ? Failure.NoResources
        : error == SocketError.TimedOut ? Failure.ConnectTimedOut : Failure.NotConnected;

    /// <summary>A try has failed: the request goes to another backend, or ends.</summary>
    private Step Failed(Failure failure)
    {
        Verdict verdict = VerdictOn(failure);
        return verdict.Repeats ? Repeat(verdict) : GiveUp(failure, verdict);
    }

    private Verdict VerdictOn(Failure failure)
    {
        Verdict verdict = RetryPolicy.Next(failure, RetryState, Retries);
        return !verdict.NeedsLeave || (HasElsewhere() && _exchange!.Route!.Upstream.TryRetry())
            ? verdict : RetryPolicy.GiveUp(failure);
    }

    private RetryState RetryState => new()
    {
        IsIdempotent = _exchange!.Request.IsIdempotent,
        BodyIsGone = _upload is not null,
        IsSent = _requestSent,
        IsReused = _backend?.WasIdle == true,
        Sends = _sends,
        RetriesUsed = _attempts,
        ResponseBegun = _responseEnd > 0,
        InterimPassed = _interims > 0,
    };

    private static bool IsOutOfDescriptors(SocketError error) =>
        error is SocketError.TooManyOpenSockets or SocketError.ProcessLimit;

    /// <summary>Tells the backend's record that it failed us.</summary>
    private void CountError(BackendError error, int status = 0) =>
        _exchange!.Backend!.Traffic.Failed(_loop.Index, error, status);

    private RetryConfig Retries => _exchange!.RetryConfig;

    /// <summary>Is there a backend that the request was not sent to?</summary>
    private bool HasElsewhere()
    {
        Exchange exchange = _exchange!;
        exchange.Tried.Add(exchange.Backend!);
        bool elsewhere = exchange.Route!.Upstream.Peek(RequestFor(exchange, peek: true)) is not null;
        exchange.Tried.RemoveAt(exchange.Tried.Count - 1);
        return elsewhere;
    }

    private Step Repeat(in Verdict verdict)
    {
        Exchange exchange = _exchange!;
        Backend backend = exchange.Backend!;
        Blame(verdict.Blame);
        _worker.PoolOf(backend).CountFailure();
        _attempts += verdict.Counts ? 1 : 0;
        _staleBackend = verdict.OrFreshConnection ? backend : null;
        exchange.Tried.Add(backend);
        exchange.Retries++;
        exchange.Outcome = verdict.Outcome;
        ReleaseBackend(reusable: false);
        ReleaseResponse();
        exchange.Response.Reset();
        _requestSent = false;
        if (verdict.MaxWaitMs == 0)
        {
            return Step.Pick;
        }
        _backOffMs = _worker.Random.Next(verdict.MaxWaitMs + 1);
        return Step.Wait;
    }

    private Step GiveUp(Failure failure, in Verdict verdict)
    {
        if (failure == Failure.NoDescriptors)
        {
            _worker.TellShortage();
        }
        else
        {
            _worker.PoolOf(_exchange!.Backend!).CountFailure();
        }
        Blame(verdict.Blame);
        StopUpload();
        ReleaseBackend(reusable: false);
        return Refuse(verdict.Outcome, EndOf.Status(verdict.Outcome));
    }

    private void Blame(BackendError? error)
    {
        if (error is { } blame)
        {
            CountError(blame);
            if (blame == BackendError.Connect)
            {
                _exchange!.Backend!.Latency.AddUnreachable(_loop.NowNs);
            }
        }
    }

    /// <summary>A response whose status the operator wants tried elsewhere.</summary>
    private bool IsUnwanted(int status)
    {
        IReadOnlyList<int> statuses = Retries.Statuses;
        for (int i = 0; i < statuses.Count; i++)
        {
            if (statuses[i] == status)
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>A wait was ended from our side: the client went away, or sent a body that cannot go on.</summary>
    private Step ClientGone()
    {
        ReleaseBackend(reusable: false);
        Outcome outcome = EndOf.Upload(_uploadFailure);
        if (outcome == Outcome.ClientAbort)
        {
            _exchange!.Outcome = outcome;
            return Step.Close;
        }
        return Refuse(outcome, outcome == Outcome.ClientTimeout ? 408 : _exchange!.Fault.Status());
    }
}
