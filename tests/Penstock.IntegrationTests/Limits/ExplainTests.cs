using System.Globalization;
using System.Net;
using System.Runtime.CompilerServices;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Limits;

/// <summary>The data plane does what explain predicts.</summary>
public sealed class ExplainTests
{
    private const int Configurations = 1000;
    private static readonly string[] Hosts = ["a.test", "b.test", "x.b.test", "c.test"];
    private static readonly string[] Paths = ["/", "/v1/x", "/v1/y?user=2", "/v2", "/v1%2fadmin", "/v1/admin"];
    private static readonly string[] Ids = ["known", "blocked", "exempt", "stranger"];

    /// <summary>Every word must occur in the run; otherwise the test does not cover all cases.</summary>
    private static readonly string[] Verdicts = ["bad_request", "client_blocked", "loop", "no_backend", "no_route",
        "ok", "queued", "rate_limited", "unknown_client"];


    [Fact]
    public async Task Explain_equals_what_happens_for_random_configurations_and_requests()
    {
        int seed = Random.Shared.Next();
        var random = new Random(seed);
        var held = new StrongBox<TaskCompletionSource>(new TaskCompletionSource());
        List<ScriptedBackend> backends = [];
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int i = 0; i < 5; i++)
        {
            ScriptedBackend backend = Backend($"backend{i}", held);
            backends.Add(backend);
            names[$"127.0.0.1:{backend.Port}"] = $"backend{i}";
        }
        await using var proxy = new TestProxy(TestProxy.Config([.. backends.Select(static b => b.Port)]));
        proxy.Server.Limiter.Clients.Register("known", new LimitConfig(200, 1));
        proxy.Server.Limiter.Clients.Register("blocked", new LimitConfig(1, 1), null,
            new() { Access = ClientAccess.Blocked });
        proxy.Server.Limiter.Clients.Register("exempt", new LimitConfig(1, 1), 0,
            new() { Access = ClientAccess.Exempt });
        IReadOnlyList<ListenerConfig> listeners = proxy.Server.Config.Listeners;
        var verdicts = new Dictionary<string, int>();
        string cookie = "";
        for (int i = 0; i < Configurations; i++)
        {
            proxy.Apply(RandomConfig(random, backends, listeners));
            Task<RawResponse>? holder = random.Next(3) == 0 ? await HoldAsync(proxy) : null;
            foreach (UpstreamStatus upstream in proxy.Server.Upstreams())
            {
                foreach (BackendStatus backend in upstream.Backends)
                {
                    BackendState state = random.Next(5) == 0 ? (BackendState)random.Next(1, 3) : BackendState.Ready;
                    proxy.Server.SetBackend(upstream.Name, backend.Address, state,
                        random.Next(4) == 0 ? random.Next(1, 20) : null);
                }
            }
            for (int r = 0; r < 2; r++)
            {
                HypotheticalRequest request = RandomRequest(random, cookie);
                Explanation said = await proxy.Server.ExplainAsync(request);
                RawResponse done = await AskAsync(proxy, request);
                string verdict = done["X-Reason"] switch
                {
                    null => "ok",
                    "queue_timeout" => "queued", // the place is held for longer than the queue lets wait
                    var reason => reason,
                };
                string context = $"seed {seed}, configuration {i}: {request} → {said}";
                Assert.True(said.Verdict == verdict, $"said {said.Verdict}, was {verdict}; {context}");
                if (verdict == "ok")
                {
                    string picked = said.Pick is null ? "" : names[said.Pick];
                    Assert.True(picked == done.Text, $"said {said.Pick}, was {done.Text}; {context}");
                    cookie = done["Set-Cookie"]?.Split(';')[0] ?? cookie;
                }
                verdicts[verdict] = verdicts.GetValueOrDefault(verdict) + 1;
            }
            if (holder is not null)
            {
                held.Value!.SetResult();
                await holder;
                held.Value = new TaskCompletionSource();
            }
        }
        Assert.Equal(Verdicts, verdicts.Keys.Order(StringComparer.Ordinal));
        Assert.True(verdicts["ok"] > Configurations / 5, $"{verdicts["ok"]} were ok");
        await proxy.AssertQuietAsync();
        foreach (ScriptedBackend backend in backends)
        {
            await backend.DisposeAsync();
        }
    }

    /// <summary>Answers with its name; a request for /hold is answered only when the test allows it.</summary>
    private static ScriptedBackend Backend(string name, StrongBox<TaskCompletionSource> held) => new(async peer =>
    {
        while (await peer.ReadRequestAsync() is { } request)
        {
            if (request.Line.Contains("/hold", StringComparison.Ordinal))
            {
                await held.Value!.Task;
            }
            string body = request.Line.StartsWith("HEAD", StringComparison.Ordinal) ? "" : name;
            await peer.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {name.Length}\r\n\r\n{body}");
        }
    });

    /// <summary>Takes a slot at a backend, if one is free.</summary>
    private static async Task<Task<RawResponse>> HoldAsync(TestProxy proxy)
    {
        Task<RawResponse> holder = AskAsync(proxy, new("GET", "hold.test", "/hold", [], IPAddress.Loopback));
        await Eventually.TrueAsync(() => holder.IsCompleted
            || proxy.Server.Upstreams().Any(static u => u.Backends.Any(static b => b.InFlight > 0)), "it is held");
        return holder;
    }

    private static ProxyConfig RandomConfig(
        Random random, List<ScriptedBackend> backends, IReadOnlyList<ListenerConfig> listeners)
    {
        HashSource[] sources = Enum.GetValues<HashSource>();
        UpstreamConfig Upstream(string name) => new()
        {
            Name = name,
            Balance = Enum.GetValues<BalanceAlgorithm>()[random.Next(6)],
            Hash = new HashConfig
            {
                Source = sources[random.Next(sources.Length)],
                Name = "user",
                Bound = random.Next(2) * 1.25,
            },
            Sticky = random.Next(2) == 0 ? null : new StickyConfig { Secret = "0123456789abcdef" },
            Queue = new QueueConfig { Length = random.Next(2), Timeout = TimeSpan.FromMilliseconds(5) },
            Backends = [.. backends.Where(_ => random.Next(3) == 0).DefaultIfEmpty(backends[0]).Select(b =>
                TestProxy.Backend(b.Port) with
                {
                    Weight = random.Next(1, 10), Backup = random.Next(6) == 0, MaxConnections = random.Next(2),
                })],
        };
        UpstreamConfig[] upstreams = [Upstream("one"), Upstream("two")];
        return TestProxy.Config(1) with
        {
            Listeners = listeners,
            Upstreams = upstreams,
            Routes = [new RouteConfig { Host = "hold.test", Upstream = "one", Limits = [] },
                .. Enumerable.Range(0, random.Next(1, 5)).Select(_ => new RouteConfig
            {
                Host = random.Next(3) switch { 0 => null, 1 => Hosts[random.Next(4)], _ => "*.b.test" },
                Path = random.Next(3) switch { 0 => null, 1 => "/v1/*", _ => "/v2" },
                Methods = random.Next(4) == 0 ? ["POST"] : [],
                Upstream = upstreams[random.Next(2)].Name,
                Limits = random.Next(4) == 0 ? ["tight", "dry"] : null,
            })],
            Limits = new Dictionary<string, LimitConfig>
            {
                ["default"] = new(1_000_000, 1_000_000),
                ["tight"] = new(random.Next(20, 100), 0.0001),
                ["dry"] = new(1, 0.0001) { DryRun = true },
            },
            Clients = new ClientsConfig { Unknown = random.Next(5) == 0 ? UnknownClients.Reject : default },
            Bounds = new BoundsConfig { BodyBytes = random.Next(2) * 3 },
            Answers = [new AnswerConfig(400, 599) { Fields = [new("X-Reason", "{{reason}}")] }],
        };
    }

    private static HypotheticalRequest RandomRequest(Random random, string cookie)
    {
        List<KeyValuePair<string, string>> headers = [];
        if (random.Next(2) == 0)
        {
            headers.Add(new("User", $"u{random.Next(10)}"));
        }
        if (random.Next(2) == 0)
        {
            headers.Add(new("Cookie", $"user={random.Next(10)}; {cookie}"));
        }
        if (random.Next(3) == 0)
        {
            headers.Add(new("X-Client-ID", Ids[random.Next(Ids.Length)]));
        }
        if (random.Next(5) == 0)
        {
            headers.Add(new("Via", string.Join(", ", Enumerable.Repeat("1.1 penstock", random.Next(6, 10)))));
        }
        if (random.Next(5) == 0)
        {
            headers.Add(new("Max-Forwards", $"{random.Next(2)}"));
        }
        string method = random.Next(5) switch { 0 => "POST", 1 => "OPTIONS", _ => "GET" };
        if (method == "POST")
        {
            headers.Add(new("Content-Length", $"{random.Next(6)}"));
        }
        return new(method, Hosts[random.Next(4)], Paths[random.Next(Paths.Length)], headers, IPAddress.Loopback);
    }

    private static async Task<RawResponse> AskAsync(TestProxy proxy, HypotheticalRequest request)
    {
        using RawClient client = proxy.Connect();
        string fields = string.Concat(request.Headers.Select(static h => $"{h.Key}: {h.Value}\r\n"));
        string? length = request.Headers.FirstOrDefault(static h => h.Key == "Content-Length").Value;
        await client.SendAsync($"{request.Method} {request.Path} HTTP/1.1\r\nHost: {request.Host}\r\n{fields}\r\n"
            + new string('b', int.Parse(length ?? "0", CultureInfo.InvariantCulture)));
        return (await client.ReadAsync())!;
    }
}
