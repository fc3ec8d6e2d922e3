using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Routing;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>What is known of a request before a limit is asked: who sends it, where it goes, and whether Penstock
/// answers it itself.</summary>
internal readonly ref struct Ruling
{
    /// <summary>Null when no route matches, or when the path can be read in ways that lead to different routes.
    /// </summary>
    public Route? Route { get; init; }
    public ClientIdentity Client { get; init; }

    /// <summary>How the request ends; <see cref="Outcome.Ok"/> while it goes on.</summary>
    public Outcome Outcome { get; init; }

    /// <summary>The status of our own answer; 0: the request goes on to its limits and then to a backend.</summary>
    public int Status { get; init; }

    /// <summary>What is wrong with the request, if <see cref="Outcome"/> is <see cref="Outcome.BadRequest"/>.</summary>
    public HttpFault Fault { get; init; }

    public bool GoesOn => Status == 0;
}

/// <summary>Where a request goes that its limits have admitted.</summary>
internal enum Placement : byte
{
    Backend,

    /// <summary>It waits until a backend has room for it, if <see cref="SlotQueue"/> has room.</summary>
    Queue,
    NoBackend,
}

/// <summary>What happens to a request. The data plane acts by these functions and <c>POST /explain</c> tells what they
/// say, so the two cannot differ. Pure: nothing is taken, counted or written but <c>room</c> and <c>scratch</c>.
/// </summary>
internal static class Decider
{
    /// <summary>How often a request may pass a Penstock: more than any sensible chain has.</summary>
    public const int MaxPasses = 8;

    /// <param name="caller">The address the request came from, see <see cref="ClientIdentifier.Caller"/>.</param>
    /// <param name="room">For what the client is called, of <see cref="ClientIdentifier.RoomBytes"/>.</param>
    /// <param name="scratch">Twice as long as the path at least.</param>
    public static Ruling Decide(Snapshot snapshot, RequestHead request, ReadOnlySpan<byte> head, ClientAddress caller,
        Span<byte> room, Span<byte> scratch)
    {
        Route? route = snapshot.Routes.Match(request, head, scratch, out HttpFault fault);
        ClientIdentity client = snapshot.Identifier.Identify(request, head, caller, room);
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
            status = 200; // the question is for us (RFC 9110 §7.6.2)
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

    /// <summary>How a request ends that its limits reject, always with 429.</summary>
    public static Outcome OfRejection(Admission admission) =>
        admission.RejectedForConcurrency ? Outcome.ConcurrencyLimited : Outcome.RateLimited;

    /// <summary>Must the request wait although a backend may have room? A new request must not overtake those that
    /// wait already.</summary>
    /// <param name="session">The backend that its session cookie names.</param>
    public static bool StandsInLine(Upstream upstream, Backend? session) => session is null && upstream.Queue.Count > 0;

    /// <param name="found">The balancer has found a backend.</param>
    /// <param name="standsInLine">See <see cref="StandsInLine"/>; then no balancer is asked.</param>
    public static Placement Place(Upstream upstream, UpstreamConfig config, bool found, bool standsInLine) =>
        found ? Placement.Backend
        : config.Queue.Length > 0 && (standsInLine || upstream.IsFull()) ? Placement.Queue : Placement.NoBackend;

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
}
