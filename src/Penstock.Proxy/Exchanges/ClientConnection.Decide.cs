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
        _keepAlive &= request.KeepAlive && !_worker.Draining;
        exchange.PeerTrusted = _peerTrusted;
        exchange.Caller = _peerTrusted ? _snapshot.Identifier.Caller(request, head, _peer) : _peer;
        TakeRequestId(request, head);

        exchange.Route = _snapshot.Routes.Match(request.Authority.Of(head), request.RoutedPath(head),
            request.MethodName.Of(head));
        ClientIdentity client = _snapshot.Identifier.Identify(request, head, exchange.Caller, exchange.DecodedId);
        exchange.ClientName = client.Name;
        if (exchange.Route is null)
        {
            return Refuse(Reason.NoRoute, 404);
        }
        return Admit(client, exchange.Route.LimitNumber) ? Step.Pick : Refuse(Reason.RateLimited, 429);
    }

    private ReadOnlySpan<byte> Head => _buffer.AsSpan(_start, _exchange!.Request.Length);

    private bool Admit(ClientIdentity client, int limitNumber)
    {
        Exchange exchange = _exchange!;
        long now = _loop.NowNs;
        bool admitted;
        if (client.Registered is { } registered)
        {
            admitted = registered.TryTake(now, 1, out exchange.Limit, out exchange.BucketWord);
        }
        else if (limitNumber >= 0)
        {
            Limiter limiter = _snapshot.Limiter;
            exchange.Limit = limiter.LimitAt(limitNumber);
            admitted = limiter.TryTake(limiter.HashOf(client.Name, client.Domain), limitNumber, now,
                out exchange.BucketWord);
        }
        else
        {
            return true; // no limit applies
        }
        exchange.LimitClock = exchange.Limit.Clock(now);
        return admitted;
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
