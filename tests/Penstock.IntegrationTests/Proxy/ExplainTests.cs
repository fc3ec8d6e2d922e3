using System.Net;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Proxy;

/// <summary>What explain says is what the data plane then does.</summary>
public sealed class ExplainTests
{
    private const int Configurations = 1000;
    private static readonly string[] Hosts = ["a.test", "b.test", "x.b.test", "c.test"];
    private static readonly string[] Paths = ["/", "/v1/x", "/v1/y?user=2", "/v2", "/v1/admin"];

    [Fact]
    public async Task Explain_equals_what_happens_for_random_configurations_and_requests()
    {
        int seed = Random.Shared.Next();
        var random = new Random(seed);
        List<ScriptedBackend> backends = [];
        var names = new Dictionary<string, string>(StringComparer.Ordinal);
        for (int i = 0; i < 5; i++)
        {
            var backend = ScriptedBackend.Always($"backend{i}");
            backends.Add(backend);
            names[$"127.0.0.1:{backend.Port}"] = $"backend{i}";
        }
        await using var proxy = new TestProxy(TestProxy.Config([.. backends.Select(static b => b.Port)]));
        IReadOnlyList<ListenerConfig> listeners = proxy.Server.Config.Listeners;
        var verdicts = new Dictionary<string, int>();
        string cookie = "";
        for (int i = 0; i < Configurations; i++)
        {
            proxy.Server.Apply(RandomConfig(random, backends, listeners));
            foreach (UpstreamStatus upstream in proxy.Server.Upstreams())
            {
                foreach (BackendStatus backend in upstream.Backends)
                {
                    BackendState state = random.Next(5) == 0 ? (BackendState)random.Next(1, 3) : BackendState.Ready;
                    proxy.Server.Change(upstream.Name, backend.Address, state,
                        random.Next(4) == 0 ? random.Next(1, 20) : null);
                }
            }
            for (int r = 0; r < 2; r++)
            {
                HypotheticalRequest request = RandomRequest(random, cookie);
                Explanation said = await proxy.Server.ExplainAsync(request);
                RawResponse done = await AskAsync(proxy, request);
                string verdict = done.Status switch
                {
                    200 => "ok",
                    404 => "no_route",
                    429 => "rate_limited",
                    503 => "no_backend",
                    _ => $"{done.Status}",
                };
                string context = $"seed {seed}, configuration {i}: {request} → {said}";
                Assert.True(said.Verdict == verdict, $"said {said.Verdict}, was {verdict}; {context}");
                if (done.Status == 200)
                {
                    Assert.True(names[said.Pick!] == done.Text, $"said {said.Pick}, was {done.Text}; {context}");
                    cookie = done["Set-Cookie"]?.Split(';')[0] ?? cookie;
                }
                verdicts[verdict] = verdicts.GetValueOrDefault(verdict) + 1;
            }
        }
        Assert.Equal(["no_backend", "no_route", "ok", "rate_limited"], verdicts.Keys.Order());
        Assert.True(verdicts["ok"] > Configurations / 2, $"{verdicts["ok"]} were ok");
        await proxy.AssertQuietAsync();
        foreach (ScriptedBackend backend in backends)
        {
            await backend.DisposeAsync();
        }
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
            Backends = [.. backends.Where(_ => random.Next(3) > 0).DefaultIfEmpty(backends[0]).Select(b =>
                TestProxy.Backend(b.Port) with { Weight = random.Next(1, 10), Backup = random.Next(6) == 0 })],
        };
        UpstreamConfig[] upstreams = [Upstream("one"), Upstream("two")];
        return TestProxy.Config(1) with
        {
            Listeners = listeners,
            Upstreams = upstreams,
            Routes = [.. Enumerable.Range(0, random.Next(1, 5)).Select(_ => new RouteConfig
            {
                Host = random.Next(3) switch { 0 => null, 1 => Hosts[random.Next(4)], _ => "*.b.test" },
                Path = random.Next(3) switch { 0 => null, 1 => "/v1/*", _ => "/v2" },
                Methods = random.Next(4) == 0 ? ["POST"] : [],
                Upstream = upstreams[random.Next(2)].Name,
                Limits = random.Next(4) == 0 ? ["tight"] : null,
            })],
            Limits = new Dictionary<string, LimitConfig>
            {
                ["default"] = new(1_000_000, 1_000_000),
                ["tight"] = new(random.Next(20, 100), 0.0001),
            },
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
        return new(random.Next(5) == 0 ? "POST" : "GET", Hosts[random.Next(4)], Paths[random.Next(5)], headers,
            IPAddress.Loopback);
    }

    private static async Task<RawResponse> AskAsync(TestProxy proxy, HypotheticalRequest request)
    {
        using RawClient client = proxy.Connect();
        string fields = string.Concat(request.Headers.Select(static h => $"{h.Key}: {h.Value}\r\n"));
        await client.SendAsync($"{request.Method} {request.Path} HTTP/1.1\r\nHost: {request.Host}\r\n{fields}\r\n");
        return (await client.ReadAsync())!;
    }
}
