using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Backends;

/// <summary>Requests that are retried, and the load that this causes at the backends.</summary>
public sealed class RetryTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

    [Fact]
    public async Task Outage_of_all_backends_costs_them_a_fifth_more_requests_and_no_storm()
    {
        await using ScriptedBackend first = Resetting();
        await using ScriptedBackend second = Resetting();
        await using ScriptedBackend third = Resetting();
        await using var proxy = new TestProxy(With( // without ejection, which would spare them even more
            static (u, _) => u with { PassiveHealth = null, Retries = u.Retries with { MinPerSecond = 0 } },
            0, first, second, third));
        const int Clients = 10;
        const int Each = 200;
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(_ => Task.Run(async () =>
        {
            using RawClient client = proxy.Connect();
            for (int i = 0; i < Each; i++)
            {
                Assert.Equal(502, (await client.GetAsync()).Status);
            }
        })));
        int sent = first.Heads.Count + second.Heads.Count + third.Heads.Count;
        const int Asked = Clients * Each;
        Assert.InRange(sent, Asked, (Asked * 1.2) + Clients);
        UpstreamStatus status = proxy.Server.Upstreams()[0];
        Assert.Equal(sent - Asked, status.Retries);
        Assert.True(status.RetriesRejected > Asked / 2, $"{status.RetriesRejected} retries rejected");
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Attempts_bound_the_tries_of_one_request()
    {
        ScriptedBackend[] backends = [Resetting(), Resetting(), Resetting(), Resetting()];
        foreach (int attempts in new[] { 0, 1, 2 })
        {
            await using var proxy = new TestProxy(With(
                static (u, n) => u with { Retries = u.Retries with { Attempts = n, MinPerSecond = 100 } },
                attempts, backends));
            int before = backends.Sum(static b => b.Heads.Count);
            Assert.Equal(502, (await proxy.GetAsync()).Status);
            Assert.Equal(attempts + 1, backends.Sum(static b => b.Heads.Count) - before);
        }
        foreach (ScriptedBackend backend in backends)
        {
            await backend.DisposeAsync();
        }
    }

    [Fact]
    public async Task Silent_backend_costs_its_try_and_another_one_answers()
    {
        await using var silent = new ScriptedBackend(static async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.Reader.ReadToEndAsync();
        });
        await using var quick = ScriptedBackend.Always("quick");
        await using var proxy = new TestProxy(With(static (u, ms) => u with
        {
            Retries = u.Retries with { PerTryTimeout = TimeSpan.FromMilliseconds(ms), MinPerSecond = 100 },
        }, 500, silent, quick));
        using RawClient client = proxy.Connect();
        for (int i = 0; i < 6; i++)
        {
            Assert.Equal("quick", (await client.GetAsync()).Text);
        }

        // A request that a backend may have processed must not be sent again.
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        RawResponse post = (await client.ReadAsync())!;
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
        RawResponse other = (await client.ReadAsync())!;
        Assert.Equal([200, 504], new[] { post.Status, other.Status }.Order());
        Assert.Single(silent.Heads, static h => h.StartsWith("POST", StringComparison.Ordinal));
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Status_that_is_unwanted_is_tried_elsewhere_and_passed_on_when_there_is_no_elsewhere()
    {
        await using var poor = ScriptedBackend.Answer(
            static _ => "HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy");
        await using var well = ScriptedBackend.Always("well");
        await using (var proxy = new TestProxy(With(static (u, s) => u with
        {
            Retries = u.Retries with { Statuses = [s], MinPerSecond = 100 },
        }, 503, poor, well)))
        {
            using RawClient client = proxy.Connect();
            for (int i = 0; i < 10; i++)
            {
                Assert.Equal("well", (await client.GetAsync()).Text);
            }
            await proxy.AssertQuietAsync();
        }
        await using (var proxy = new TestProxy(With(static (u, s) => u with
        {
            Retries = u.Retries with { Statuses = [s] },
        }, 503, poor)))
        {
            Assert.Equal("busy", (await proxy.GetAsync()).Text);
        }
    }

    [Fact]
    public async Task Idempotent_request_with_a_body_is_sent_again_whole()
    {
        await using ScriptedBackend dying = Resetting();
        await using var echo = ScriptedBackend.Answer(static request =>
            $"HTTP/1.1 200 OK\r\nContent-Length: {request.Body.Length}\r\n\r\n"
            + System.Text.Encoding.ASCII.GetString(request.Body));
        await using var proxy = TestProxy.To(dying, echo);
        using RawClient client = proxy.Connect();
        for (int i = 0; i < 4; i++)
        {
            await client.SendAsync($"PUT /{i} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nbody{i}");
            Assert.Equal($"body{i}", (await client.ReadAsync())!.Text);
        }
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Hedged_request_is_answered_by_the_quicker_backend_and_leaves_nothing_behind()
    {
        await using var slow = new ScriptedBackend(static async peer =>
        {
            while (await peer.ReadRequestAsync() is { } request)
            {
                if (request.Line.StartsWith("GET", StringComparison.Ordinal))
                {
                    await peer.Reader.ReadToEndAsync(); // never answers
                    return;
                }
                await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow");
            }
        });
        await using var quick = ScriptedBackend.Always("quick");
        await using var proxy = new TestProxy(With(static (u, ms) => u with
        {
            Hedge = new HedgeConfig(TimeSpan.FromMilliseconds(ms)),
            Retries = u.Retries with { MinPerSecond = 100 },
        }, 50, slow, quick));
        using RawClient client = proxy.Connect();
        for (int i = 0; i < 8; i++)
        {
            Assert.Equal("quick", (await client.GetAsync($"/{i}")).Text);
        }
        Assert.InRange(slow.Heads.Count, 1, 8);

        // The client that leaves meanwhile, and a request that must not be asked twice.
        using (RawClient leaver = proxy.Connect())
        {
            await leaver.SendAsync("GET /leaver HTTP/1.1\r\nHost: a\r\n\r\n");
            await Eventually.TrueAsync(() => slow.Heads.Concat(quick.Heads).Any(
                static h => h.StartsWith("GET /leaver", StringComparison.Ordinal)), "the leaver's request is there");
            leaver.Reset();
        }
        int posts = slow.Heads.Count + quick.Heads.Count;
        await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        await client.ReadAsync();
        Assert.InRange(slow.Heads.Count + quick.Heads.Count, posts + 1, posts + 2); // the leaver's second, at most
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Hedged_request_outlives_the_death_of_either_backend()
    {
        // One dies once the other has the request too; the other answers after that.
        using var asked = new SemaphoreSlim(0);
        using var died = new SemaphoreSlim(0);
        await using var dying = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            await asked.WaitAsync();
            peer.Reset();
            died.Release();
        });
        await using var slow = new ScriptedBackend(async peer =>
        {
            while (await peer.ReadRequestAsync() is not null)
            {
                asked.Release();
                await died.WaitAsync();
                await peer.SendAsync(Ok);
            }
        });
        await using var proxy = new TestProxy(With(static (u, ms) => u with
        {
            Hedge = new HedgeConfig(TimeSpan.FromMilliseconds(ms)),
            Retries = u.Retries with { MinPerSecond = 100 },
        }, 20, dying, slow));
        using RawClient client = proxy.Connect();
        for (int i = 0; i < 4; i++)
        {
            Assert.Equal("ok", (await client.GetAsync()).Text);
        }
        await proxy.AssertQuietAsync();
    }

    private static ScriptedBackend Resetting() => new(static async peer =>
    {
        await peer.ReadRequestAsync();
        peer.Reset();
    });

    private static ProxyConfig With(Func<UpstreamConfig, int, UpstreamConfig> change, int argument,
        params ScriptedBackend[] backends)
    {
        ProxyConfig config = TestProxy.Config([.. backends.Select(static b => b.Port)]);
        return config with { Upstreams = [change(config.Upstreams[0], argument)] };
    }
}
