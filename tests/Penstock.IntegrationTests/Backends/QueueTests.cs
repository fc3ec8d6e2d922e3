using System.Diagnostics;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Backends;

/// <summary>Requests that wait for a slot at a backend.</summary>
public sealed class QueueTests
{
    [Fact]
    public async Task Requests_beyond_the_bound_wait_for_their_turn_and_the_backend_never_sees_more()
    {
        int now = 0;
        int most = 0;
        await using ScriptedBackend backend = Slow(20, () => Raise(ref most, Interlocked.Increment(ref now)),
            () => Interlocked.Decrement(ref now));
        await using var proxy = new TestProxy(Config(backend, maxConnections: 2, new QueueConfig()));
        RawResponse[] responses = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => proxy.GetAsync()));
        Assert.All(responses, static r => Assert.Equal(200, r.Status));
        Assert.Equal(2, most);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Full_queue_rejects_at_once()
    {
        var release = new TaskCompletionSource();
        await using var backend = ScriptedBackend.OkAfter(release.Task);
        await using var proxy = new TestProxy(Config(backend, maxConnections: 1,
            new QueueConfig { Length = 2, Timeout = TimeSpan.FromHours(1) }));
        Task<RawResponse> served = proxy.GetAsync();
        await Eventually.TrueAsync(() => backend.Heads.Count == 1, "the first request is served");
        Task<RawResponse>[] waiting = [proxy.GetAsync(), proxy.GetAsync()];
        await Eventually.TrueAsync(() => proxy.Server.Upstreams()[0].Queued == 2, "two wait");
        Assert.Equal(503, (await proxy.GetAsync()).Status);
        Assert.Equal(2, proxy.Server.Upstreams()[0].Queued); // nothing but itself gave way, and nothing became free
        release.SetResult();
        Assert.All(await Task.WhenAll([served, .. waiting]), static r => Assert.Equal(200, r.Status));
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Wait_ends_with_a_503_after_its_timeout()
    {
        var release = new TaskCompletionSource();
        await using var backend = ScriptedBackend.OkAfter(release.Task);
        await using var proxy = new TestProxy(Config(backend, maxConnections: 1,
            new QueueConfig { Length = 2, Timeout = TimeSpan.FromMilliseconds(300) }));
        Task<RawResponse> served = proxy.GetAsync();
        await Eventually.TrueAsync(() => backend.Heads.Count == 1, "the first request is served");
        Task<RawResponse>[] waiting = [proxy.GetAsync(), proxy.GetAsync()];
        Assert.All(await Task.WhenAll(waiting), static r => Assert.Equal(503, r.Status));
        Assert.Equal(0, proxy.Server.Upstreams()[0].Queued);
        release.SetResult();
        Assert.Equal(200, (await served).Status);
        Assert.Equal(200, (await proxy.GetAsync()).Status);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Client_that_leaves_the_queue_takes_no_place()
    {
        var release = new TaskCompletionSource();
        await using var backend = ScriptedBackend.OkAfter(release.Task);
        await using var proxy = new TestProxy(Config(backend, maxConnections: 1, new QueueConfig()));
        Task<RawResponse> served = proxy.GetAsync("/first");
        await Eventually.TrueAsync(() => backend.Heads.Count == 1, "the first request is served");
        using (RawClient leaver = proxy.Connect())
        {
            await leaver.SendAsync("GET /leaver HTTP/1.1\r\nHost: a\r\n\r\n");
            await Eventually.TrueAsync(() => proxy.Server.Upstreams()[0].Queued == 1, "it waits");
            leaver.Reset();
        }
        await Eventually.TrueAsync(() => proxy.Server.Upstreams()[0].Queued == 0, "it has left the queue");
        release.SetResult();
        await served;
        Assert.Equal(200, (await proxy.GetAsync("/last")).Status);
        Assert.DoesNotContain(backend.Heads, static h => h.Contains("leaver", StringComparison.Ordinal));
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Greedy_client_does_not_delay_polite_ones_by_more_than_their_own_turn()
    {
        await using ScriptedBackend backend = Slow(20);
        ProxyConfig config = Config(backend, maxConnections: 10, new QueueConfig()) with
        {
            Clients = new ClientsConfig
            {
                Identify = [new IdentitySource(IdentityKind.Header, "X-Client-ID"),
                    new IdentitySource(IdentityKind.Address, "")],
                Unknown = UnknownClients.Own,
            },
        };
        await using var proxy = new TestProxy(config);
        (double aloneMs, _) = await PoliteAsync(proxy, backend);

        using var stop = new CancellationTokenSource();
        Task[] greedy = [.. Enumerable.Range(0, 500).Select(_ => Task.Run(async () =>
        {
            using RawClient client = proxy.Connect();
            while (!stop.IsCancellationRequested)
            {
                await client.GetAsync("/", "X-Client-ID: greedy\r\n");
            }
        }))];
        await Eventually.TrueAsync(() => proxy.Server.Upstreams()[0].Queued > 400, "the greedy one fills the queue");
        (double crowdedMs, int overtaken) = await PoliteAsync(proxy, backend);
        await stop.CancelAsync();
        await Task.WhenAll(greedy);
        TestContext.Current.TestOutputHelper?.WriteLine($"{crowdedMs:0.0} ms beside a greedy client, "
            + $"{aloneMs:0.0} ms alone; meanwhile {overtaken} requests were served");
        Assert.True(overtaken < 200, $"{overtaken} requests were served first"); // in line: the 400 that waited
        await proxy.AssertQuietAsync();
    }

    /// <summary>Ten clients send one request after another without a pause. Returns the median time of a request, and
    /// the median number of requests that the backend got during that time.</summary>
    private static async Task<(double Ms, int Served)> PoliteAsync(TestProxy proxy, ScriptedBackend backend)
    {
        (double Ms, int Served)[][] seen = await Task.WhenAll(Enumerable.Range(0, 10).Select(n => Task.Run(async () =>
        {
            using RawClient client = proxy.Connect();
            var each = new List<(double, int)>();
            for (int i = 0; i < 20; i++)
            {
                int before = backend.Heads.Count;
                var watch = Stopwatch.StartNew();
                Assert.Equal(200, (await client.GetAsync("/", $"X-Client-ID: polite{n}\r\n")).Status);
                each.Add((watch.Elapsed.TotalMilliseconds, backend.Heads.Count - before));
            }
            return each.ToArray();
        })));
        double[] times = [.. seen.SelectMany(static t => t).Select(static t => t.Ms).Order()];
        int[] counts = [.. seen.SelectMany(static t => t).Select(static t => t.Served).Order()];
        return (times[times.Length / 2], counts[counts.Length / 2]);
    }

    private static ProxyConfig Config(ScriptedBackend backend, int maxConnections, QueueConfig queue)
    {
        ProxyConfig config = TestProxy.Config(backend.Port);
        UpstreamConfig web = config.Upstreams[0];
        return config with
        {
            Upstreams = [web with
            {
                Backends = [web.Backends[0] with { MaxConnections = maxConnections }],
                Queue = queue,
            }],
        };
    }

    private static ScriptedBackend Slow(int ms, Action? begins = null, Action? ends = null) => new(async peer =>
    {
        while (await peer.ReadRequestAsync() is not null)
        {
            begins?.Invoke();
            await Task.Delay(ms);
            ends?.Invoke();
            await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
    });

    private static void Raise(ref int value, int to)
    {
        for (int seen = Volatile.Read(ref value); seen < to;)
        {
            seen = Interlocked.CompareExchange(ref value, to, seen) is var before && before == seen ? to : before;
        }
    }
}
