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

/// <summary>Tells what would be done with a request, by the code that does it, and changes nothing: no token is taken,
/// no rotation goes on. Runs on a loop, whose random numbers its answer depends on.</summary>
internal static class Explainer
{
    public static Explanation Explain(Worker worker, HypotheticalRequest asked)
    {
        Snapshot snapshot = worker.Snapshot;
        byte[] head = Encoding.UTF8.GetBytes(HeadOf(asked));
        var request = new RequestHead(snapshot.HeadBounds);
        ParseStatus parsed = request.Parse(head);
        if (parsed != ParseStatus.Complete)
        {
            string fault = parsed == ParseStatus.Invalid ? request.Fault.ToString() : "the head is not complete";
            return new Explanation { Verdict = "bad_request", Detail = $"refused by the parser: {fault}" };
        }

        var peer = new ClientAddress(new IPEndPoint(asked.ClientAddress, 0), snapshot.Identifier.Ipv6Prefix);
        ClientAddress caller = snapshot.Identifier.Caller(request, head, peer);
        Span<byte> decoded = stackalloc byte[ClientIdentifier.RoomBytes];
        ClientIdentity client = snapshot.Identifier.Identify(request, head, caller, decoded);
        var explanation = new Explanation
        {
            Verdict = "ok",
            Client = Encoding.UTF8.GetString(client.Name),
            ClientKey = snapshot.Identifier.SourceName(client.Source),
            ClientAddress = Encoding.UTF8.GetString(caller.Text),
            Registered = client.Registered is not null,
            Exempt = client.Exempt,
            Plan = client.Registered?.Terms?.Terms.Plan,
        };
        Route? route = snapshot.Routes.Match(request, head, worker.Loop.Scratch, out HttpFault ambiguity);
        if (route is null)
        {
            return ambiguity == HttpFault.None
                ? explanation with { Verdict = "no_route", Detail = "no route matches the request" }
                : explanation with { Verdict = "bad_request", Detail = Encoding.ASCII.GetString(ambiguity.Sentence()) };
        }
        explanation = explanation with { Route = route.Name, Upstream = route.Upstream.Name };
        if (client.Ambiguous || client.Rejected)
        {
            return client.Ambiguous ? explanation with
            {
                Verdict = "bad_request", Detail = Encoding.ASCII.GetString(HttpFault.ClientAmbiguous.Sentence()),
            }
            : explanation with
            {
                Verdict = "unknown_client",
                Detail = "nobody registered this client, and clients.unknown is reject",
            };
        }
        if (client.Blocked)
        {
            return explanation with
            {
                Verdict = "client_blocked",
                Detail = "an operator has blocked the client; PATCH /clients/{id} with access limited lets it in again",
            };
        }
        if (!client.Exempt)
        {
            explanation = WithLimits(explanation, worker, client.For(caller), route.Limits);
        }
        return WithPick(explanation, worker, request, head, caller, route.Upstream);
    }

    private static Explanation WithLimits(Explanation so, Worker worker, AdmissionRequest asked, LimitRules rules)
    {
        var admission = new Admission();
        bool admitted = admission.Look(worker.Snapshot.Limiter, rules, asked, worker.Loop.NowNs);
        if (!admission.TryGetDecisive(out Charge charge))
        {
            return so;
        }
        so = so with
        {
            Limit = NameOf(charge),
            Capacity = charge.Limit?.Config.Capacity,
            RatePerSec = charge.Limit?.Config.RatePerSecond,
            Tokens = charge.Limit is null ? null : Math.Round(charge.Tokens, 3),
            Limits = [.. StatesOf(worker.Snapshot.Limiter, admission)],
        };
        return admitted ? so : charge.Full ? so with
        {
            Verdict = "concurrency_limited",
            Detail = $"limit '{NameOf(charge)}': {charge.Rule.Config.Concurrent} requests are under way, as many as "
                + "it allows",
        }
        : so with
        {
            Verdict = "rate_limited",
            Detail = $"limit '{NameOf(charge)}': {charge.Tokens:0.###} tokens left of {charge.Limit!.Config.Capacity}"
                + (rules.Cost > 1 ? $", the request costs {rules.Cost}" : ""),
        };
    }

    private static List<LimitState> StatesOf(Limiter limiter, Admission admission)
    {
        var states = new List<LimitState>();
        foreach (ref readonly Charge charge in admission.Charges)
        {
            LimitConfig config = charge.Rule.Config;
            bool bound = config.Concurrent > 0;
            states.Add(new LimitState(NameOf(charge), config.By, charge.Limit?.Config.Capacity,
                charge.Limit?.Config.RatePerSecond, charge.Limit is null ? null : Math.Round(charge.Tokens, 3),
                bound ? config.Concurrent : null, bound ? limiter.Slots.Peek(charge.SlotKey) : null, config.DryRun,
                admission.Admits(charge)));
        }
        return states;
    }

    private static string NameOf(in Charge charge) => Encoding.UTF8.GetString(charge.NameOctets);

    private static Explanation WithPick(Explanation so, Worker worker, RequestHead request, byte[] head,
        ClientAddress caller, Upstream upstream)
    {
        UpstreamConfig config = upstream.Config;
        Backend? session = config.Sticky is null ? null
            : Affinity.Session(request, head, upstream);
        Backend? pick = upstream.Peek(new PickRequest
        {
            Tried = [],
            Random = worker.Random,
            NowNs = worker.Loop.NowNs,
            Key = config.Balance != BalanceAlgorithm.Hash ? 0
                : Affinity.KeyOf(config.Hash.Source, upstream.HashName, request, head, caller),
            Session = session,
            Peek = true,
        });
        so = so with
        {
            Balance = config.Balance,
            Session = session?.Address,
            Candidates = [.. upstream.Backends.Select(b => new Candidate(b.Address, b.Health.Health, b.State,
                b.IsUsable, b.HasRoom, b.FullWeight, Math.Round(b.Ramp, 3), b.InFlight, b.Config.Backup,
                b.Ejection?.Cause ?? b.Health.Cause))],
            Pick = pick?.Address,
        };
        if (pick is null && string.Equals(so.Verdict, "ok", StringComparison.Ordinal))
        {
            bool queues = config.Queue.Length > 0 && upstream.IsFull();
            so = so with
            {
                Verdict = queues ? "queued" : "no_backend",
                Detail = queues ? "every backend is at its max_connections" : "no backend can take the request",
            };
        }
        return so;
    }

    private static string HeadOf(HypotheticalRequest asked)
    {
        var head = new StringBuilder($"{asked.Method} {asked.Path} HTTP/1.1\r\nHost: {asked.Host}\r\n");
        foreach ((string name, string value) in asked.Headers)
        {
            head.Append(name).Append(": ").Append(value).Append("\r\n");
        }
        return head.Append("\r\n").ToString();
    }
}
