using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
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
        exchange.Route = _snapshot.Routes.Match(request, head, _loop.Scratch, out exchange.Fault);
        ClientIdentity client = _snapshot.Identifier.Identify(request, head, exchange.Caller!, exchange.IdentityRoom);
        exchange.Identifier = _snapshot.Identifier;
        exchange.ClientName = client.Name;
        exchange.ClientKey = _snapshot.Identifier.SourceOctets(client.Source);
        if (client.Field.Length > 0)
        {
            exchange.IdentityValue = client.Field;
        }
        if (RefuseUnasked(client) is { } refused)
        {
            prepaid?.Charge(_loop.NowNs, -exchange.Admission.Cost); // what held when it began to wait holds no more
            return refused;
        }
        if (Admit(client, mayWait, prepaid))
        {
            return Step.Pick;
        }
        return exchange.Admission.Awaited is { } awaited ? AwaitTokens(awaited)
            : Refuse(exchange.Admission.RefusedForSlot ? Reason.ConcurrencyLimited : Reason.RateLimited, 429);
    }

    /// <summary>What is refused before any limit is asked.</summary>
    private Step? RefuseUnasked(ClientIdentity client)
    {
        Exchange exchange = _exchange!;
        RequestHead request = exchange.Request;
        if (exchange.Route is null)
        {
            return exchange.Fault == HttpFault.None ? Refuse(Reason.NoRoute, 404) : Refuse(Reason.BadRequest, 400);
        }
        if (client.Ambiguous)
        {
            exchange.Fault = HttpFault.ClientAmbiguous;
            return Refuse(Reason.BadRequest, exchange.Fault.Status());
        }
        if (client.Rejected)
        {
            NoteTurnedAway(exchange, client, UnknownLimit);
            return Refuse(Reason.UnknownClient, 401);
        }
        BoundsConfig bounds = _snapshot.Config.Bounds;
        if (bounds.BodyBytes > 0 && request.ContentLength > bounds.BodyBytes)
        {
            exchange.Fault = HttpFault.BodyTooLarge;
            return Refuse(Reason.BadRequest, exchange.Fault.Status());
        }
        if (request.MaxForwards == 0)
        {
            return Refuse(Reason.Ok, 200); // the question was for us
        }
        if (IsLoop(request, Head))
        {
            return Refuse(Reason.Loop, 508);
        }
        if (client.Blocked)
        {
            NoteTurnedAway(exchange, client, BlockedLimit);
            return Refuse(Reason.ClientBlocked, 403);
        }
        return null;
    }

    /// <summary>What rejected a client that nobody registered, beside the names of limits.</summary>
    private static readonly byte[] UnknownLimit = Reason.UnknownClient.Word().ToArray();

    /// <summary>What rejected a client that an operator has blocked.</summary>
    private static readonly byte[] BlockedLimit = Reason.ClientBlocked.Word().ToArray();

    /// <summary>How often a request may pass a Penstock: more than any sensible chain has.</summary>
    private const int MaxPasses = 8;

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

    /// <param name="why">In the place of a limit's name.</param>
    private void NoteTurnedAway(Exchange exchange, ClientIdentity client, byte[] why) => _worker.Rejections.Add(new()
    {
        Key = _snapshot.Limiter.HashOf(client.Name, client.Domain),
        Client = client.Name,
        ClientKey = _snapshot.Identifier.SourceName(client.Source),
        Limit = why,
        Route = exchange.Route!.NameOctets,
        RequestId = exchange.RequestId,
        Tokens = 0,
        Cost = 0,
        RetryAfterSeconds = 0,
        DryRun = false,
    }, _loop.NowNs);

    /// <summary>Has the request been here too often? Each Penstock on its way left its name in Via.</summary>
    private static bool IsLoop(RequestHead request, ReadOnlySpan<byte> head)
    {
        int passes = 0;
        foreach (ref readonly Field field in request.Fields)
        {
            if (field.Known == FieldName.Via)
            {
                passes += field.Value.Of(head).Count(RequestWriter.ViaName);
            }
        }
        return passes >= MaxPasses;
    }

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
