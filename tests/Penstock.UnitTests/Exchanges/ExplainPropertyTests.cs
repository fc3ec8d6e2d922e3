using System.Net;
using System.Text;
using Penstock.Proxy;
using Penstock.Proxy.Balancing;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Exchanges;

/// <summary>The data plane does with a request what explain predicts: it charges its limits, and picks a backend or
/// puts it into the queue. Without sockets; <c>ExplainTests</c> does the same with fewer requests over real sockets.
/// </summary>
public sealed class ExplainPropertyTests
{
    private const int Configurations = 500;
    private const int RequestsEach = 20;

    private static readonly string[] Hosts = ["a.test", "b.test", "x.b.test", "c.test"];
    private static readonly string[] Paths = ["/", "/v1/x", "/v1/y?user=2", "/v1%2fx", "/v2", "/v1/admin"];
    private static readonly string[] Ids = ["known", "blocked", "exempt", "stranger", "hashed"];

    /// <summary>Every word must occur in the run; otherwise the test does not cover all cases.</summary>
    private static readonly string[] Verdicts = ["bad_request", "client_blocked", "concurrency_limited", "loop",
        "no_backend", "no_route", "ok", "queue_full", "queued", "rate_limited", "unknown_client"];

    private readonly ManualTime _time = new();

    [Fact]
    public void Explain_equals_what_happens_to_random_requests_under_random_configurations()
    {
        int seed = Random.Shared.Next();
        var random = new Random(seed);
        var counts = new SortedDictionary<string, int>(StringComparer.Ordinal);
        int answeredHere = 0;
        int dryRejections = 0;
        for (int c = 0; c < Configurations; c++)
        {
            var world = new World(random, _time);
            for (int r = 0; r < RequestsEach; r++)
            {
                world.Disturb();
                HypotheticalRequest request = RandomRequest(random, world.Cookie);
                Explanation said = Explainer.Explain(world.Context, request);
                Explanation again = Explainer.Explain(world.Context, request);
                (string verdict, string? pick) = world.Handle(request);
                string context = $"seed {seed}, configuration {c}, request {r}: {request} → {said}";
                Assert.True(said.Verdict == verdict, $"said {said.Verdict}, was {verdict}; {context}");
                Assert.True(said.Verdict == again.Verdict && said.Pick == again.Pick, $"asking changed it; {context}");
                if (verdict == "ok")
                {
                    Assert.True(said.Pick == pick, $"said {said.Pick}, was {pick}; {context}");
                    answeredHere += pick is null ? 1 : 0;
                }
                counts[verdict] = counts.GetValueOrDefault(verdict) + 1;
            }
            dryRejections += world.DryRejections;
        }
        Assert.Equal(Configurations * RequestsEach, counts.Values.Sum());
        Assert.Equal(Verdicts, counts.Keys);
        Assert.True(answeredHere > 0 && dryRejections > 0, $"{answeredHere} with Max-Forwards: 0, {dryRejections} dry");
    }

    private static HypotheticalRequest RandomRequest(Random random, string? cookie)
    {
        List<KeyValuePair<string, string>> fields = [];
        void Maybe(int oneIn, string name, string value)
        {
            if (random.Next(oneIn) == 0)
            {
                fields.Add(new(name, value));
            }
        }
        string method = random.Next(5) switch { 0 => "POST", 1 => "OPTIONS", _ => "GET" };
        Maybe(2, "User", $"u{random.Next(10)}");
        Maybe(2, "Cookie", $"user={random.Next(10)}; {cookie}");
        Maybe(2, "X-Client-ID", Ids[random.Next(Ids.Length)]);
        Maybe(30, "X-Client-ID", "known");
        Maybe(4, "Max-Forwards", $"{random.Next(3)}");
        Maybe(4, "Via", string.Join(", ", Enumerable.Repeat("1.1 penstock", random.Next(1, 11))));
        Maybe(4, "X-Forwarded-For", $"192.0.2.{random.Next(4)}");
        Maybe(3, "Content-Length", $"{random.Next(200)}");
        Maybe(40, "Content-Length", "no number");
        return new(method, Hosts[random.Next(Hosts.Length)], Paths[random.Next(Paths.Length)], fields,
            IPAddress.Parse($"127.0.0.{random.Next(1, 3)}"));
    }

    /// <summary>A configuration, its live upstreams and buckets, and the requests under way.</summary>
    private sealed class World
    {
        private readonly Random _random;
        private readonly ManualTime _time;
        private readonly Limiter _limiter;
        private readonly Snapshot _snapshot;
        private readonly PickRandom _pickRandom;
        private readonly MonotonicClock _clock;
        private readonly List<(Upstream Upstream, Backend Backend, Admission? Admission)> _underWay = [];

        public World(Random random, ManualTime time)
        {
            (_random, _time) = (random, time);
            _clock = new MonotonicClock(time);
            _pickRandom = new PickRandom((ulong)random.NextInt64());
            ProxyConfig config = RandomConfig(random);
            _limiter = new Limiter(config, _clock);
            _limiter.Clients.Register("known", new LimitConfig(random.Next(1, 40), 0.001));
            _limiter.Clients.Register("blocked", new LimitConfig(1, 1), null, new() { Access = ClientAccess.Blocked });
            _limiter.Clients.Register("exempt", new LimitConfig(1, 1), 0, new() { Access = ClientAccess.Exempt });
            _snapshot = new Snapshot(config, _limiter, [.. config.Upstreams.Select(u => new Upstream(u, _clock))],
            new Dictionary<string, ListenerSettings>(), new());
        }

        /// <summary>A session cookie of a backend, as a browser would send it.</summary>
        public string? Cookie { get; private set; }

        public int DryRejections { get; private set; }

        public ExplainContext Context => new(_snapshot, _pickRandom, _clock.NowNs);

        /// <summary>Time passes, requests end, and operators and checks change the state of backends.</summary>
        public void Disturb()
        {
            _time.Advance(TimeSpan.FromMilliseconds(_random.Next(200)));
            while (_underWay.Count > 0 && _random.Next(3) == 0)
            {
                (Upstream upstream, Backend backend, Admission? admission) = _underWay[0];
                _underWay.RemoveAt(0);
                admission?.Leave();
                upstream.Release(backend); // a waiting request gets the slot
            }
            foreach (Backend backend in _snapshot.Upstreams.SelectMany(static u => u.Backends))
            {
                switch (_random.Next(12))
                {
                    case 0: backend.SetState((BackendState)_random.Next(3), _clock.NowNs); break;
                    case 1: backend.SetState(BackendState.Ready, _clock.NowNs); break;
                    case 2: backend.Health = new((BackendHealth)_random.Next(3), "told so", null); break;
                    case 3: backend.Ejection = new("errors", default, default, 1); break;
                    case 4: backend.Ejection = null; break;
                    case 5: backend.EjectionIgnored = _random.Next(2) == 0; break;
                }
            }
        }

        /// <summary>What the data plane does.</summary>
        public (string Verdict, string? Pick) Handle(HypotheticalRequest asked)
        {
            byte[] head = Encoding.ASCII.GetBytes(Explainer.HeadOf(asked));
            var request = new RequestHead(_snapshot.HeadBounds);
            if (request.Parse(head) != ParseStatus.Complete)
            {
                return (Word(Outcome.BadRequest), null);
            }
            ClientAddress caller = _snapshot.Identifier.Caller(
                request, head, new ClientAddress(new IPEndPoint(asked.ClientAddress, 1), 64));
            Ruling ruling = Decider.Decide(
                _snapshot, request, head, caller, new byte[ClientIdentifier.RoomBytes], new byte[head.Length * 2]);
            if (!ruling.GoesOn)
            {
                return (Word(ruling.Outcome), null);
            }
            var admission = new Admission();
            if (!ruling.Client.Exempt && !admission.TryAdmit(
                _limiter, ruling.Route!.Limits, ruling.Client.For(caller), _clock.NowNs))
            {
                return (Word(Decider.OfRejection(admission)), null);
            }
            DryRejections += admission.DryRejection is null ? 0 : 1;
            (string verdict, Backend? backend) =
                Pick(ruling.Route!.Upstream, request, head, caller, ruling.Client.Name);
            if (backend is not null)
            {
                _underWay.Add((ruling.Route.Upstream, backend, admission));
                Cookie = Encoding.ASCII.GetString(ruling.Route.Upstream.SetCookie(backend))
                    .Replace("Set-Cookie: ", "", StringComparison.Ordinal).Split(';')[0];
            }
            else
            {
                admission.Leave();
            }
            return (verdict, backend?.Address);
        }

        private (string Verdict, Backend? Backend) Pick(Upstream upstream, RequestHead request, byte[] head,
            ClientAddress caller, ReadOnlySpan<byte> client)
        {
            (ulong key, Backend? session) = Affinity.Of(request, head, caller, upstream, upstream.Config);
            bool standsInLine = Decider.StandsInLine(upstream, session);
            Backend? backend = standsInLine ? null : upstream.Pick(new PickRequest
            {
                Tried = [], Random = _pickRandom, NowNs = _clock.NowNs, AffinityHash = key, StickyBackend = session,
            });
            if (Decider.Place(upstream, upstream.Config, backend is not null, standsInLine) != Placement.Queue)
            {
                return (Word(backend is null ? Outcome.NoBackend : Outcome.Ok), backend);
            }
            var waiter = new Waiter(b => _underWay.Add((upstream, b, null)))
            {
                Client = SlotWait.TurnOf(client), AffinityHash = key,
            };
            return (upstream.Queue.TryEnter(waiter, upstream.Config.Queue.Length) ? "queued" : Word(Outcome.QueueFull),
                null);
        }

        private static string Word(Outcome outcome) => Encoding.ASCII.GetString(outcome.Word());
    }

    private sealed class Waiter(Action<Backend> granted) : SlotWaiter
    {
        public override void Grant(Backend? backend)
        {
            if (backend is not null)
            {
                granted(backend);
            }
        }
    }

    private static ProxyConfig RandomConfig(Random random)
    {
        UpstreamConfig Upstream(string name) => new()
        {
            Name = name,
            Balance = Enum.GetValues<BalanceAlgorithm>()[random.Next(6)],
            Hash = new HashConfig
            {
                Source = Enum.GetValues<HashSource>()[random.Next(5)], Name = "user", Bound = random.Next(2) * 1.25,
            },
            Sticky = random.Next(2) == 0 ? null : new StickyConfig { Secret = "0123456789abcdef" },
            Queue = new QueueConfig { Length = random.Next(4) },
            Backends = [.. Enumerable.Range(1, random.Next(1, 5)).Select(i => new BackendConfig
            {
                Host = $"10.0.0.{i}", Port = 80, Weight = random.Next(1, 10), Backup = random.Next(6) == 0,
                MaxConnections = random.Next(3),
            })],
        };
        string[] names = ["default", "tight", "slots", "dry", "errors", "all"];
        return new ProxyConfig
        {
            Listeners = [],
            Upstreams = [Upstream("one"), Upstream("two")],
            Routes = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => new RouteConfig
            {
                Host = random.Next(4) switch { 0 => Hosts[random.Next(4)], 1 => "*.b.test", _ => null },
                Path = random.Next(4) switch { 0 => "/v1/*", 1 => "/v2", _ => null },
                Methods = random.Next(4) == 0 ? ["POST"] : [],
                Upstream = random.Next(2) == 0 ? "one" : "two",
                Limits = random.Next(3) == 0 ? null : [.. names.Where(_ => random.Next(3) == 0)],
                Cost = random.Next(1, 3),
            })],
            Clients = new ClientsConfig
            {
                Unknown = (UnknownClients)(random.Next(6) == 0 ? 2 : random.Next(2)),
                TrustedProxies = random.Next(2) == 0 ? [] : [IPNetwork.Parse("127.0.0.2/32")],
                ExemptNetworks = random.Next(4) == 0 ? [IPNetwork.Parse("192.0.2.1/32")] : [],
            },
            Bounds = new BoundsConfig { BodyBytes = random.Next(2) * 100 },
            Limits = new Dictionary<string, LimitConfig>
            {
                ["default"] = new(random.Next(5, 1000), 10),
                ["tight"] = new(random.Next(1, 10), 0.1) { By = LimitKey.Address },
                ["slots"] = new(0, 0) { Concurrent = random.Next(1, 4) },
                ["dry"] = new(random.Next(1, 3), 0.01) { DryRun = true },
                ["errors"] = new(random.Next(2, 5), 0.01) { CountsStatuses = [500] },
                ["all"] = new(random.Next(10, 50), 1) { By = LimitKey.All },
            },
        };
    }
}
