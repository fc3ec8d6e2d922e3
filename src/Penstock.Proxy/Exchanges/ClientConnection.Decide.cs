using Penstock.Proxy.Clients;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Proxy.Exchanges;

/// <summary>Identify, route, admit.</summary>
internal sealed partial class ClientConnection
{
    private Step Decide()
    {
        Exchange exchange = _exchange!;
        RequestHead request = exchange.Request;
        ReadOnlySpan<byte> head = Head;
        _io.ClearDeadline();
        _requests++;
        _keepAlive &= request.KeepAlive && !_worker.Draining
            && _requests != _snapshot.Config.Bounds.RequestsPerConnection;
        exchange.PeerTrusted = _peerTrusted;
        exchange.Caller = _peerTrusted ? _snapshot.Identifier.Caller(request, head, _peer) : _peer;
        TakeRequestId(request, head);
        return Judge(mayWait: _snapshot.TokenWaitMs > 0);
    }

    /// <summary>May be done again, after a wait for tokens.</summary>
    private Step Judge(bool mayWait, LeasedClient? prepaid = null)
    {
        Exchange exchange = _exchange!;
        RequestHead request = exchange.Request;
        ReadOnlySpan<byte> head = Head;
        Ruling ruling = Decider.Decide(
            _snapshot, request, head, exchange.Caller!, exchange.IdentityRoom, _loop.Scratch);
        ClientIdentity client = ruling.Client;
        exchange.Route = ruling.Route;
        exchange.Fault = ruling.Fault;
        exchange.Identifier = _snapshot.Identifier;
        exchange.ClientName = client.Name;
        exchange.ClientKey = _snapshot.Identifier.SourceOctets(client.Source);
        if (client.Field.Length > 0)
        {
            exchange.IdentityValue = client.Field;
        }
        if (!ruling.GoesOn)
        {
            prepaid?.Charge(_loop.NowNs, -exchange.Admission.Cost); // what held when it began to wait holds no more
            if (ruling.Outcome is Outcome.UnknownClient or Outcome.ClientBlocked)
            {
                NoteTurnedAway(exchange, client, ruling.Outcome);
            }
            return Refuse(ruling.Outcome, ruling.Status);
        }
        if (Admit(client, mayWait, prepaid))
        {
            return Step.Pick;
        }
        return exchange.Admission.Awaited is { } awaited ? AwaitTokens(awaited)
            : Refuse(Decider.OfRejection(exchange.Admission), 429);
    }

    /// <summary>What rejected a client that nobody registered, beside the names of limits.</summary>
    private static readonly byte[] UnknownLimit = Outcome.UnknownClient.Word().ToArray();

    /// <summary>What rejected a client that an operator has blocked.</summary>
    private static readonly byte[] BlockedLimit = Outcome.ClientBlocked.Word().ToArray();

    private long ConnectTimeoutMs =>
        _exchange?.Route is { ConnectTimeoutMs: > 0 and var ms } ? ms : _snapshot.ConnectTimeoutMs;

    private long ResponseTimeoutMs =>
        _exchange?.Route is { ResponseTimeoutMs: > 0 and var ms } ? ms : _snapshot.ResponseTimeoutMs;

    private ReadOnlySpan<byte> Head => _buffer.AsSpan(_start, _exchange!.Request.Length);

    private bool Admit(ClientIdentity client, bool mayWait, LeasedClient? prepaid)
    {
        Exchange exchange = _exchange!;
        Admission admission = exchange.Admission;
        exchange.Exempt = client.Exempt;
        if (client.Exempt)
        {
            prepaid?.Charge(_loop.NowNs, -admission.Cost);
            return true;
        }
        bool admitted = admission.TryAdmit(_snapshot.Limiter, exchange.Route!.Limits,
            client.For(exchange.Caller!, mayWait, prepaid), _loop.NowNs);
        if ((!admitted && admission.Awaited is null) || (admitted && admission.DryRefusal is not null))
        {
            NoteRejection(exchange, client, dryRun: admitted);
        }
        return admitted;
    }

    private void NoteRejection(Exchange exchange, ClientIdentity client, bool dryRun)
    {
        Charge charge = exchange.Admission.Refusal;
        _worker.Rejections.Add(new RejectionNote
        {
            Key = _snapshot.Limiter.HashOf(client.Name, client.Domain) ^ charge.Rule.SlotKey,
            Client = client.Name,
            ClientKey = _snapshot.Identifier.SourceName(client.Source),
            Limit = charge.NameOctets,
            Route = exchange.Route!.NameOctets,
            RequestId = exchange.RequestId,
            Tokens = charge.Full ? 0 : charge.WholeTokens,
            Cost = exchange.Admission.Cost,
            RetryAfterSeconds = exchange.Admission.RetryAfterSeconds,
            DryRun = dryRun,
        }, _loop.NowNs);
    }

    /// <param name="why">Stands in the place of a limit's name.</param>
    private void NoteTurnedAway(Exchange exchange, ClientIdentity client, Outcome why) => _worker.Rejections.Add(new()
    {
        Key = _snapshot.Limiter.HashOf(client.Name, client.Domain),
        Client = client.Name,
        ClientKey = _snapshot.Identifier.SourceName(client.Source),
        Limit = why == Outcome.UnknownClient ? UnknownLimit : BlockedLimit,
        Route = exchange.Route!.NameOctets,
        RequestId = exchange.RequestId,
        Tokens = 0,
        Cost = 0,
        RetryAfterSeconds = 0,
        DryRun = false,
    }, _loop.NowNs);

    /// <summary>Keeps the caller's X-Request-Id if it is a plain word, else makes one.</summary>
    private void TakeRequestId(RequestHead request, ReadOnlySpan<byte> head)
    {
        Exchange exchange = _exchange!;
        if (request.TryGet(head, "x-request-id"u8, out Stretch given)
            && given.Length is > 0 and <= Exchange.MaxRequestIdBytes && Grammar.IsToken(given.Of(head)))
        {
            exchange.RequestId = given.Of(head);
            return;
        }
        Span<byte> made = stackalloc byte[16];
        exchange.RequestId = made[.._worker.NewRequestId(made)];
    }
}
