using System.Net;
using System.Text;
using Penstock.Proxy.Balancing;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Routing;
using Penstock.Proxy.Upstreams;

namespace Penstock.Proxy.Exchanges;

/// <summary>What an explanation depends on besides the request. All of it belongs to one loop or is
/// read-only.</summary>
/// <param name="Random">The loop's random numbers, which some balancers use.</param>
internal readonly record struct ExplainContext(Snapshot Snapshot, PickRandom Random, long NowNs);

/// <summary>Explains what would happen to a request, with the functions that the data plane uses
/// (<see cref="Decider"/>). It changes nothing: it takes no token and moves no rotation.</summary>
internal static class Explainer
{
    /// <summary>The only verdict that is not an outcome, because it is not known yet how the request will
    /// end.</summary>
    private const string Queued = "queued";

    public static Explanation Explain(in ExplainContext context, HypotheticalRequest asked)
    {
        Snapshot snapshot = context.Snapshot;
        byte[] head = Encoding.UTF8.GetBytes(HeadOf(asked));
        var request = new RequestHead(snapshot.HeadBounds);
        ParseStatus parsed = request.Parse(head);
        if (parsed != ParseStatus.Complete)
        {
            string fault = parsed == ParseStatus.Invalid
                ? Encoding.ASCII.GetString(request.Fault.Sentence())
                    + $" ({Encoding.ASCII.GetString(request.Fault.Bytes())})"
                : "the head is not complete";
            return new Explanation { Verdict = WordOf(Outcome.BadRequest),
                Detail = $"rejected by the parser: {fault}" };
        }

        var peer = new ClientAddress(new IPEndPoint(asked.ClientAddress, 0), snapshot.Identifier.Ipv6Prefix);
        ClientAddress caller = snapshot.Identifier.Caller(request, head, peer);
        Ruling ruling = Decider.Decide(snapshot, request, head, caller, new byte[ClientIdentifier.RoomBytes],
            new byte[head.Length * 2]);
        ClientIdentity client = ruling.Client;
        var explanation = new Explanation
        {
            Verdict = WordOf(ruling.Outcome),
            Client = Encoding.UTF8.GetString(client.Name),
            IdentifiedBy = snapshot.Identifier.SourceName(client.Source),
            ClientAddress = Encoding.UTF8.GetString(caller.Text),
            Registered = client.Registered is not null,
            Exempt = client.Exempt,
            Plan = client.Registered?.Terms?.Terms.Plan,
            Route = ruling.Route?.Name,
            Upstream = ruling.Route?.Upstream.Name,
        };
        if (!ruling.GoesOn)
        {
            return explanation with { Detail = Why(ruling) };
        }
        if (!client.Exempt)
        {
            explanation = WithLimits(explanation, context, client.For(caller), ruling.Route!.Limits);
        }
        return WithPick(explanation, context, request, head, caller, ruling);
    }

    private static string WordOf(Outcome outcome) => Encoding.ASCII.GetString(outcome.Word());

    private static string Why(in Ruling ruling) => ruling.Outcome switch
    {
        Outcome.NoRoute => "no route matches the request",
        Outcome.UnknownClient => "the client is not registered, and clients.unknown is reject",
        Outcome.ClientBlocked =>
            "an operator has blocked the client; PATCH /clients/{id} with access limited ends this",
        Outcome.Loop =>
            $"the Via field names Penstock {Decider.MaxPasses} times or more: a route leads back to Penstock",
        Outcome.Ok => "Penstock answers the request itself, because its Max-Forwards is 0",
        _ => Encoding.ASCII.GetString(ruling.Fault.Sentence()),
    };

    private static Explanation WithLimits(Explanation so, in ExplainContext context, AdmissionRequest asked,
        LimitRules rules)
    {
        var admission = new Admission();
        bool admitted = admission.Peek(context.Snapshot.Limiter, rules, asked, context.NowNs);
        if (!admission.TryGetDecisive(out AppliedLimit charge))
        {
            return so;
        }
        so = so with
        {
            Limit = NameOf(charge),
            Capacity = charge.Limit?.Config.Capacity,
            RatePerSec = charge.Limit?.Config.RatePerSecond,
            Tokens = charge.Limit is null ? null : Math.Round(charge.Tokens, 3),
            Limits = [.. StatesOf(context.Snapshot.Limiter, admission)],
        };
        return admitted ? so : so with
        {
            Verdict = WordOf(Decider.OfRejection(admission)),
            Detail = charge.Full
                ? $"limit '{NameOf(charge)}': {Counted.Are(charge.Rule.Config.Concurrent, "request")} in flight, as "
                    + "many as it allows"
                : $"limit '{NameOf(charge)}': {charge.Tokens:0.###} tokens left of {charge.Limit!.Config.Capacity}"
                    + (rules.Cost > 1 ? $", the request costs {rules.Cost}" : ""),
        };
    }

    private static List<LimitState> StatesOf(Limiter limiter, Admission admission)
    {
        var states = new List<LimitState>();
        foreach (ref readonly AppliedLimit charge in admission.Limits)
        {
            LimitConfig config = charge.Rule.Config;
            bool bound = config.Concurrent > 0;
            states.Add(new LimitState
            {
                Name = NameOf(charge),
                By = config.By,
                Capacity = charge.Limit?.Config.Capacity,
                RatePerSec = charge.Limit?.Config.RatePerSecond,
                Tokens = charge.Limit is null ? null : Math.Round(charge.Tokens, 3),
                Concurrent = bound ? config.Concurrent : null,
                InFlight = bound ? limiter.Concurrency.Peek(charge.ConcurrencyKey) : null,
                DryRun = config.DryRun,
                Admits = admission.Admits(charge),
            });
        }
        return states;
    }

    private static string NameOf(in AppliedLimit charge) => Encoding.UTF8.GetString(charge.NameBytes);

    private static Candidate CandidateOf(Backend backend) => new()
    {
        Address = backend.Address,
        Health = backend.Health.Health,
        State = backend.State,
        Usable = backend.IsUsable,
        HasRoom = backend.HasRoom,
        Weight = backend.FullWeight,
        SlowStart = Math.Round(backend.Ramp, 3),
        InFlight = backend.InFlight,
        Backup = backend.Config.Backup,
        Cause = backend.Ejection?.Cause ?? backend.Health.Cause,
    };

    private static Explanation WithPick(Explanation so, in ExplainContext context, RequestHead request, byte[] head,
        ClientAddress caller, in Ruling ruling)
    {
        Upstream upstream = ruling.Route!.Upstream;
        UpstreamConfig config = upstream.Config;
        (ulong key, Backend? session) = Affinity.Of(request, head, caller, upstream, config);
        bool standsInLine = Decider.StandsInLine(upstream, session);
        Backend? pick = standsInLine ? null : upstream.Peek(new PickRequest
        {
            Tried = [],
            Random = context.Random,
            NowNs = context.NowNs,
            AffinityHash = key,
            StickyBackend = session,
            Peek = true,
        });
        so = so with
        {
            Balance = config.Balance,
            Session = session?.Address,
            Candidates = [.. upstream.Backends.Select(CandidateOf)],
            Pick = pick?.Address,
        };
        if (!string.Equals(so.Verdict, WordOf(Outcome.Ok), StringComparison.Ordinal))
        {
            return so; // a limit rejects it
        }
        (string verdict, string? detail) = Decider.Place(upstream, config, pick is not null, standsInLine) switch
        {
            Placement.Backend => (so.Verdict, null),
            Placement.Queue when upstream.Queue.HasRoomFor(SlotWait.TurnOf(ruling.Client.Name), config.Queue.Length) =>
                (Queued, "every backend is at its max_connections, or other requests wait already"),
            Placement.Queue => (WordOf(Outcome.QueueFull),
                "every backend is at its max_connections, and "
                    + $"{Counted.Of(config.Queue.Length, "request", "waits", "wait")} already"),
            _ => (WordOf(Outcome.NoBackend), "no backend can take the request"),
        };
        return so with { Verdict = verdict, Detail = detail };
    }

    /// <summary>The bytes of the head as a client would send it.</summary>
    internal static string HeadOf(HypotheticalRequest asked)
    {
        var head = new StringBuilder($"{asked.Method} {asked.Path} HTTP/1.1\r\nHost: {asked.Host}\r\n");
        foreach ((string name, string value) in asked.Headers)
        {
            head.Append(name).Append(": ").Append(value).Append("\r\n");
        }
        return head.Append("\r\n").ToString();
    }
}
