using Penstock.Proxy.Connections;
using Penstock.Proxy.Http1;

namespace Penstock.Proxy.Exchanges;

/// <summary>Relays the rest of a request body while the response may already arrive. It ends by itself or by
/// <see cref="Stop"/>. One use; not thread-safe.</summary>
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

    /// <summary>How the upload failed, if that ends the exchange; else <see cref="RelayEnd.Done"/>.</summary>
    public RelayEnd Failure { get; private set; }

    /// <summary>The backend waits for the client's body, so the upload's deadline applies and not the
    /// backend's.</summary>
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

    /// <summary>The response has begun: the minimum rate no longer applies.</summary>
    public void StopRating() => _relay.StopRating();

    /// <summary>Ends the upload with the exchange. If the body is not complete, the connection ends too, because the
    /// rest of the body would be taken for the next request.</summary>
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
            _exchange.GiveUp(); // the client has ended its stream behind the body
        }
        else if (end == RelayEnd.TargetClosed)
        {
            _exchange.Client.Swallow();
        }
        else if (end is RelayEnd.SourceClosed or RelayEnd.SourceTimedOut or RelayEnd.BodyInvalid)
        {
            // Cut the request off at the backend too; without its end the backend cannot take it for complete. (After
            // TargetClosed the backend may still have sent a response, which decides.)
            _exchange.Fault = _relay.Fault;
            Failure = end;
            backend.Cancel();
        }
    }

    /// <summary>Keeps the bytes behind the request's body, which are the next request.</summary>
    private void KeepExcess(ReadOnlySpan<byte> bytes)
    {
        if (_exchange.Client.TryKeepExcess(bytes))
        {
            _exchange.BodyTaken = 0;
            return;
        }

        // They do not fit. The client will send its next request again on another connection. Bytes behind an upgrade
        // request may belong to the new protocol, which then cannot begin.
        _exchange.Client.EndAfterThisUnless(false);
        _exchange.ExcessLost = true;
    }
}
