using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Routing;
using Penstock.Proxy.Tls;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>The decisions about a request before its limits are asked: who sends it, where it goes, and whether
/// Penstock answers it itself.</summary>
internal readonly ref struct Ruling
{
    /// <summary>Null when no route matches, or when the path can be read in ways that lead to different routes.
    /// </summary>
    public Route? Route { get; init; }
    public ClientIdentity Client { get; init; }

    /// <summary>How the request ends; <see cref="Outcome.Ok"/> if it continues.</summary>
    public Outcome Outcome { get; init; }

    /// <summary>The status of Penstock's answer; 0: the request continues to its limits and then to a
    /// backend.</summary>
    public int Status { get; init; }

    /// <summary>What is wrong with the request, if <see cref="Outcome"/> is <see cref="Outcome.BadRequest"/>.</summary>
    public HttpFault Fault { get; init; }

    public bool GoesOn => Status == 0;
}

/// <summary>Where an admitted request goes.</summary>
internal enum Placement : byte
{
    Backend,

    /// <summary>It waits for a slot at a backend, if the <see cref="SlotQueue"/> has room.</summary>
    Queue,
    NoBackend,
}

/// <summary>Decides what happens to a request. The data plane and <c>POST /explain</c> both call these functions, so
/// they cannot differ. Pure: only <c>room</c> and <c>scratch</c> are written.</summary>
internal static class Decider
{
    /// <summary>How often a request may pass a Penstock. No sensible chain is longer.</summary>
    public const int MaxPasses = 8;

    /// <param name="caller">The address the request came from, see <see cref="ClientIdentifier.Caller"/>.</param>
    /// <param name="room">Memory for the client's name, of <see cref="ClientIdentifier.RoomBytes"/>.</param>
    /// <param name="scratch">Memory at least twice as long as the path.</param>
    /// <param name="certificate">The certificate that the client has shown; null: none.</param>
    public static Ruling Decide(Snapshot snapshot, RequestHead request, ReadOnlySpan<byte> head, ClientAddress caller,
        Span<byte> room, Span<byte> scratch, ClientCertificate? certificate = null)
    {
        Route? route = snapshot.Routes.Match(request, head, scratch, out HttpFault fault);
        ClientIdentity client = snapshot.Identifier.Identify(request, head, caller, room, certificate);
        (Outcome outcome, int status) = (Outcome.Ok, 0);
        if (route is null)
        {
            (outcome, status) = fault == HttpFault.None ? (Outcome.NoRoute, 404) : (Outcome.BadRequest, 400);
        }
        else if (client.Ambiguous)
        {
            fault = HttpFault.ClientAmbiguous;
            (outcome, status) = (Outcome.BadRequest, fault.Status());
        }
        else if (client.Rejected)
        {
            (outcome, status) = (Outcome.UnknownClient, 401);
        }
        else if (snapshot.Config.Bounds.BodyBytes is > 0 and var most && request.ContentLength > most)
        {
            fault = HttpFault.BodyTooLarge;
            (outcome, status) = (Outcome.BadRequest, fault.Status());
        }
        else if (request.MaxForwards == 0)
        {
            status = 200; // the request is for Penstock itself (RFC 9110 §7.6.2)
        }
        else if (IsLoop(request, head))
        {
            (outcome, status) = (Outcome.Loop, 508);
        }
        else if (client.Blocked)
        {
            (outcome, status) = (Outcome.ClientBlocked, 403);
        }
        return new Ruling { Route = route, Client = client, Outcome = outcome, Status = status, Fault = fault };
    }

    /// <summary>How a request ends that its limits reject. The status is always 429.</summary>
    public static Outcome OfRejection(Admission admission) =>
        admission.RejectedForConcurrency ? Outcome.ConcurrencyLimited : Outcome.RateLimited;

    /// <summary>Whether the request must wait although a backend may have room, because a new request must not overtake
    /// waiting ones.</summary>
    /// <param name="session">The backend that its session cookie names.</param>
    public static bool StandsInLine(Upstream upstream, Backend? session) => session is null && upstream.Queue.Count > 0;

    /// <param name="found">Whether the balancer has found a backend.</param>
    /// <param name="standsInLine">See <see cref="StandsInLine"/>. If true, the balancer was not asked.</param>
    public static Placement Place(Upstream upstream, UpstreamConfig config, bool found, bool standsInLine) =>
        found ? Placement.Backend
        : config.Queue.Length > 0 && (standsInLine || upstream.IsFull()) ? Placement.Queue : Placement.NoBackend;

    /// <summary>Whether the request has passed a Penstock too often. Each one adds its name to the Via field.</summary>
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
}
