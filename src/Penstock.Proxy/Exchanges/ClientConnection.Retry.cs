using System.Net.Sockets;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>What to do when a try at a backend fails.</summary>
internal sealed partial class ClientConnection
{
    private const int BackOffMs = 25;
    private const int MaxBackOffMs = 250;

    private Backend? _staleBackend;
    private bool _freshOnly;

    /// <summary>Tries that counted, beyond the first.</summary>
    private int _attempts;
    private int _backOffMs;

    /// <summary>No connection to this backend: another one, if there is one. Nothing was sent, so it costs no retry;
    /// but waiting in vain for one connection after the other would take for ever.</summary>
    private Step NotConnected(SocketError error)
    {
        if (!IsOurs(error))
        {
            CountError(BackendError.Connect);
            _exchange!.Backend!.Latency.AddUnreachable(_loop.NowNs);
        }
        return error == SocketError.TimedOut && ++_attempts > Retries.Attempts
            ? UpstreamFailed(Reason.ConnectFailed, 503) : TryAnother(Reason.ConnectFailed, wait: false);
    }

    /// <summary>No descriptors, ports or memory: nothing that the backend could help.</summary>
    private static bool IsOurs(SocketError error) => IsOutOfDescriptors(error)
        || error is SocketError.NoBufferSpaceAvailable or SocketError.AddressNotAvailable;

    private static bool IsOutOfDescriptors(SocketError error) =>
        error is SocketError.TooManyOpenSockets or SocketError.ProcessLimit;

    /// <summary>Tells the backend's record that it failed us.</summary>
    private void CountError(BackendError error, int status = 0) =>
        _exchange!.Backend!.Traffic.Failed(_loop.Index, error, status);

    private RetryConfig Retries => _exchange!.Route!.Retries;

    /// <summary>May the request be sent once more: by RFC 9110 §9.2.2, by what we still have of it, and by the budget;
    /// and is there a backend that it was not sent to?</summary>
    private bool MayRetry() => _exchange!.Request.IsIdempotent && _upload is null && _requestSent
        && _attempts < Retries.Attempts && HasElsewhere() && _exchange.Route!.Upstream.TryRetry();

    private bool HasElsewhere()
    {
        Exchange exchange = _exchange!;
        exchange.Tried.Add(exchange.Backend!);
        bool elsewhere = exchange.Route!.Upstream.Peek(RequestFor(exchange, peek: true)) is not null;
        exchange.Tried.RemoveAt(exchange.Tried.Count - 1);
        return elsewhere;
    }

    private Step TryAnother(Reason reason, bool wait)
    {
        Exchange exchange = _exchange!;
        Backend backend = exchange.Backend!;
        _worker.PoolOf(backend).CountFailure();
        exchange.Tried.Add(backend);
        exchange.Retries++;
        exchange.Reason = reason;
        ReleaseBackend(reusable: false);
        ReleaseResponse();
        exchange.Response.Reset();
        _requestSent = false;
        if (!wait || _attempts < 2)
        {
            return Step.Pick;
        }
        // Envoy's: a random share of 25 ms, 75 ms, 175 ms and so on, so that all that failed do not return as one.
        int mostMs = Math.Min(((1 << (_attempts - 1)) - 1) * BackOffMs, MaxBackOffMs);
        _backOffMs = _worker.Random.Next(mostMs + 1);
        return Step.Wait;
    }

    /// <summary>The connection died before an octet of the response. Sent again only when that cannot do harm: nothing
    /// went out, or the method is idempotent and its body still here (RFC 9110 §9.2.2).</summary>
    private Step Lost(bool nothingSent)
    {
        // A kept connection that the backend closed meanwhile is nobody's fault, and costs no retry, once.
        bool stale = _backend!.WasIdle && _attempts == 0;
        bool mayRepeat = nothingSent || (stale && _sends == 1 ? _exchange!.Request.IsIdempotent && _upload is null
            : MayRetry());
        if (!mayRepeat)
        {
            return UpstreamFailed(Reason.UpstreamReset, 502);
        }
        if (!nothingSent)
        {
            _attempts++;
        }
        if (!stale)
        {
            CountError(BackendError.Reset);
        }
        _staleBackend = _backend!.WasIdle ? _exchange!.Backend : null;
        return TryAnother(Reason.UpstreamReset, wait: !stale);
    }

    /// <summary>The response's head took too long: elsewhere, if there is time and leave for it.</summary>
    private Step TooSlow()
    {
        if (Retries.PerTryTimeout > TimeSpan.Zero && _responseEnd == 0 && MayRetry())
        {
            _attempts++;
            CountError(BackendError.Timeout);
            return TryAnother(Reason.UpstreamTimeout, wait: true);
        }
        return UpstreamFailed(Reason.UpstreamTimeout, 504);
    }

    /// <summary>A response whose status the operator wants tried elsewhere, and there is an elsewhere.</summary>
    private bool IsUnwanted(int status)
    {
        IReadOnlyList<int> statuses = Retries.Statuses;
        for (int i = 0; i < statuses.Count; i++)
        {
            if (statuses[i] == status)
            {
                return MayRetry();
            }
        }
        return false;
    }

    private Step UpstreamFailed(Reason reason, int status)
    {
        _backend!.Pool.CountFailure();
        if (reason != Reason.ConnectFailed)
        {
            CountError(reason switch
            {
                Reason.UpstreamTimeout => BackendError.Timeout,
                Reason.UpstreamReset => BackendError.Reset,
                _ => BackendError.Invalid,
            });
        }
        StopUpload();
        ReleaseBackend(reusable: false);
        return Refuse(reason, status);
    }

    /// <summary>A wait was ended from our side: the client went away, or sent a body that cannot go on.</summary>
    private Step ClientGone()
    {
        ReleaseBackend(reusable: false);
        switch (_uploadFailure)
        {
            case RelayEnd.SourceTimedOut:
                return Refuse(Reason.ClientTimeout, 408);
            case RelayEnd.BodyInvalid:
                return Refuse(Reason.BadRequest, _exchange!.Fault.Status());
            default:
                _exchange!.Reason = Reason.ClientAbort;
                return Step.Close;
        }
    }
}
