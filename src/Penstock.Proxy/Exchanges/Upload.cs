using Penstock.Proxy.Connections;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Exchanges;

/// <summary>The rest of a request body, while the response may already be on its way. It ends by itself, or by
/// <see cref="Stop"/>. One use.</summary>
internal sealed class Upload
{
    private readonly Exchange _exchange;
    private readonly Attempt _attempt;
    private readonly BodyRelay _relay;
    private Task? _task;
    private bool _isStopped;

    private Upload(Exchange exchange)
    {
        _exchange = exchange;
        _attempt = exchange.Current;
        _relay = new BodyRelay(exchange.Loop, exchange.Client.Io, _attempt.Io, exchange.ResponseTimeoutMs,
            exchange.Snapshot.Config.Bounds.BodyMinBytesPerSecond)
        {
            AwaitsLeave = exchange.Request.ExpectsContinue && exchange.BodyTaken == 0,
        };
    }

    /// <summary>How it ended, if that ends the exchange; else <see cref="RelayEnd.Done"/>.</summary>
    public RelayEnd Failure { get; private set; }

    /// <summary>The backend waits for a client that is late itself: the upload's own deadline tells.</summary>
    public bool IsLateItself =>
        _task is { IsCompleted: false } && _exchange.Client.Io.AwaitsData && !_relay.AwaitsLeave;

    public Task Ended => _task!;

    public static void Start(Exchange exchange)
    {
        var upload = new Upload(exchange);
        exchange.Upload = upload;
        upload._task = upload.RunAsync();
    }

    /// <summary>The backend has sent 100 (Continue).</summary>
    public void GiveLeave() => _relay.GiveLeave();

    /// <summary>The response has begun: the body may be as slow as it likes.</summary>
    public void StopRating() => _relay.StopRating();

    /// <summary>The exchange is over. If the body is not, whether it goes on or was given up, its rest would be taken
    /// for the next request: the connection ends.</summary>
    public void Stop()
    {
        if (_isStopped)
        {
            return;
        }
        _isStopped = true;
        if (!_attempt.IsSent)
        {
            ClientConnection client = _exchange.Client;
            client.EndAfterThisAndLinger();
            if (!client.IsSwallowing)
            {
                client.Io.InterruptWaits();
            }
            _attempt.Connection?.Io.Close();
            client.Swallow();
        }
    }

    private async Task RunAsync()
    {
        Connection backend = _attempt.Io;
        BodyReader body = _exchange.RequestBody;
        RelayEnd end = await _relay.RunAsync(body, body.Framing == BodyFraming.Chunked, KeepExcess);
        _exchange.BytesIn += _relay.PayloadBytes;
        if (_isStopped)
        {
            return;
        }
        _attempt.IsSent = end == RelayEnd.Done;
        if (_attempt.IsSent && _exchange.ResponseNs == 0)
        {
            _attempt.BeginLatency(_exchange.Loop);
        }
        if (_attempt.IsSent && _exchange.Client.HasLeft)
        {
            _exchange.GiveUp(); // its end came behind the body
        }
        else if (end == RelayEnd.TargetClosed)
        {
            _exchange.Client.Swallow();
        }
        else if (end is RelayEnd.SourceClosed or RelayEnd.SourceTimedOut or RelayEnd.BodyInvalid)
        {
            // Cut the request short at the backend too: without its end it is never taken for whole. (A backend that
            // does not want the rest, TargetClosed, may still have answered: there the response decides.)
            _exchange.Fault = _relay.Fault;
            Failure = end;
            backend.Cancel();
        }
    }

    /// <summary>Keeps what came behind the request's body, the next request.</summary>
    private void KeepExcess(ReadOnlySpan<byte> bytes)
    {
        if (_exchange.Client.TryKeepExcess(bytes))
        {
            _exchange.BodyTaken = 0;
            return;
        }

        // More than fits: a further request is sent again on another connection; what is behind a request for an
        // upgrade may be the new protocol's, which then cannot begin.
        _exchange.Client.EndAfterThisUnless(false);
        _exchange.ExcessLost = true;
    }
}
