using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Backends;

/// <summary>Backends and networks that are slow, stuck, flapping or broken, most of them behind a
/// <see cref="FaultRelay"/>. docs/development/faults.md says what an operator sees of each.</summary>
public sealed class FaultTests
{
    private static ProxyConfig Checked(ProxyConfig config, int rise = 2, int fall = 3) => config with
    {
        Upstreams =
        [
            config.Upstreams[0] with
            {
                HealthCheck = new HealthCheckConfig
                {
                    Path = "/health", Interval = TimeSpan.FromMilliseconds(10), Rise = rise, Fall = fall,
                },
            },
        ],
    };

    private static ProxyConfig Quick(ProxyConfig config, int responseMs) => config with
    {
        Timeouts = config.Timeouts with { Response = TimeSpan.FromMilliseconds(responseMs) },
    };

    [Fact]
    public async Task Reset_in_the_middle_of_a_response_is_passed_on_counted_once_and_not_repeated()
    {
        await using var backend = ScriptedBackend.Always(new string('x', 50_000));
        await using var relay = new FaultRelay(backend.Port)
        {
            Down = new Fault { LimitBytes = 25_000, AtLimit = AtLimit.Reset },
        };
        string log = Path.GetTempFileName();
        var logged = new AccessLogConfig { To = AccessLogTarget.File(log) };
        await using (var proxy = new TestProxy(TestProxy.Config(relay.Port) with { AccessLog = logged }))
        {
            await Assert.ThrowsAnyAsync<IOException>(() => proxy.GetAsync());
            await proxy.AssertQuietAsync();
            BackendStatus status = proxy.Server.Upstreams()[0].Backends[0];
            Assert.Equal((1, 1), (status.Requests, status.Failures));
            Assert.Single(backend.Heads);
        }
        using JsonDocument line = JsonDocument.Parse(Assert.Single(await File.ReadAllLinesAsync(log)));
        Assert.Equal("upstream_reset", line.RootElement.GetProperty("reason").GetString());
        File.Delete(log);
    }

    [Theory]
    [InlineData(BalanceAlgorithm.LeastConnections)]
    [InlineData(BalanceAlgorithm.PowerOfTwo)]
    public async Task Slow_backend_gets_few_requests_where_the_balancer_looks_at_load(BalanceAlgorithm balance)
    {
        await using var slow = ScriptedBackend.Always("slow");
        await using var first = ScriptedBackend.Always("first");
        await using var second = ScriptedBackend.Always("second");
        await using var relay = new FaultRelay(slow.Port)
        {
            Down = new Fault { Latency = TimeSpan.FromMilliseconds(300) },
        };
        ProxyConfig config = TestProxy.Config(relay.Port, first.Port, second.Port);
        await using var proxy = new TestProxy(config with
        {
            Upstreams = [config.Upstreams[0] with { Balance = balance }],
        });
        await using var load = new LoadRun(proxy.Url, clients: 12);
        await load.MoreAsync(1, "slow");
        await load.MoreAsync(3000);
        await load.StopAsync();
        load.HadOnly(200);
        // The number depends on the machine; UnevenBackendsTests computes it.
        TestContext.Current.TestOutputHelper?.WriteLine($"slow {load.Bodies["slow"]}, first {load.Bodies["first"]}, "
            + $"second {load.Bodies["second"]} of {load.Total}");
    }

    [Fact]
    public async Task Errors_of_a_backend_pass_through_and_each_request_costs_one_token()
    {
        await using var backend = ScriptedBackend.Answer(static _ =>
            "HTTP/1.1 500 Sorry\r\nContent-Length: 4\r\nX-Cause: own\r\n\r\noops");
        await using var proxy = new TestProxy(TestProxy.Config(backend.Port) with
        {
            Limits = new Dictionary<string, LimitConfig> { ["default"] = new(10, 0.001) },
            Routes = [new RouteConfig { Upstream = "web", Limits = ["default"] }],
        });
        using RawClient client = proxy.Connect();
        for (int i = 0; i < 10; i++)
        {
            RawResponse response = await client.GetAsync();
            Assert.Equal((500, "oops", "own"), (response.Status, response.Text, response["X-Cause"]));
        }
        Assert.Equal(429, (await client.GetAsync()).Status);
        Assert.Equal((10, 1), (backend.Heads.Count, backend.Connections)); // an error is no reason to ask again
    }

    [Fact]
    public async Task Backend_that_flaps_faster_than_rise_and_fall_stays_where_it_is()
    {
        int checks = 0;
        await using var backend = ScriptedBackend.Answer(r => !r.Line.Contains("/health", StringComparison.Ordinal)
            ? "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
            : $"HTTP/1.1 {(Interlocked.Increment(ref checks) % 3 == 1 ? 200 : 500)} X\r\nContent-Length: 0\r\n\r\n");
        await using var proxy = new TestProxy(Checked(TestProxy.Config(backend.Port)));
        await Eventually.TrueAsync(() => Volatile.Read(ref checks) >= 1
            && proxy.Server.Upstreams()[0].Backends[0].Health == BackendHealth.Up, "the first check passes");
        using RawClient client = proxy.Connect();
        while (Volatile.Read(ref checks) < 30)
        {
            Assert.Equal("ok", (await client.GetAsync()).Text);
        }
        Assert.Single(proxy.Log.Lines, static l => l.StartsWith("backend web/", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Upstream_that_is_down_is_a_503_without_a_try()
    {
        await using var backend = ScriptedBackend.Answer(static _ => "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n");
        await using var proxy = new TestProxy(Checked(TestProxy.Config(backend.Port, backend.Port)));
        await Eventually.TrueAsync(() => proxy.Server.Upstreams()[0].Backends
            .All(static b => b.Health == BackendHealth.Down), "both are down");
        using RawClient client = proxy.Connect();
        for (int i = 0; i < 100; i++)
        {
            RawResponse response = await client.GetAsync();
            Assert.Equal((503, "1"), (response.Status, response["Retry-After"]));
        }
        Assert.All(backend.Heads, static h => Assert.StartsWith("GET /health ", h));
        await proxy.AssertQuietAsync();
    }

    [Fact, Trait("tls", "no")]
    public async Task Backend_that_never_reads_a_body_holds_one_buffer_and_ends_as_504()
    {
        const int Uploads = 16;
        await using var backend = ScriptedBackend.Always("never");
        await using var relay = new FaultRelay(backend.Port)
        {
            Up = new Fault { LimitBytes = 0, AtLimit = AtLimit.Stall },
        };
        await using var proxy = new TestProxy(Quick(TestProxy.Config(relay.Port), 500));
        byte[] piece = new byte[256 * 1024];
        int most = 0;
        using var stop = new CancellationTokenSource();
        Task watching = Task.Run(async () =>
        {
            while (!stop.IsCancellationRequested)
            {
                most = Math.Max(most, proxy.Server.Workers[0].Loop.Buffers.Rented);
                await Task.Delay(1);
            }
        });
        int[] statuses = await Task.WhenAll(Enumerable.Range(0, Uploads).Select(async _ =>
        {
            using RawClient client = proxy.Connect();
            await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n");
            Task sending = SendUntilCutAsync(client, piece);
            int status = (await client.ReadAsync())!.Status;
            client.Reset();
            await sending;
            return status;
        }));
        await stop.CancelAsync();
        await watching;
        Assert.All(statuses, static s => Assert.Equal(504, s));
        Assert.InRange(most, 1, Uploads * 3); // the client's head, the piece under way, the answer
        await proxy.AssertQuietAsync();
    }

    private static async Task SendUntilCutAsync(RawClient client, byte[] piece)
    {
        try
        {
            while (true)
            {
                await client.SendAsync(piece);
            }
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
        {
            // Answered and closed.
        }
    }

    [Fact]
    public async Task Head_that_drips_steadily_is_cut_at_the_head_timeout_and_costs_others_nothing()
    {
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Timeouts = config.Timeouts with { Head = TimeSpan.FromMilliseconds(500) },
        });
        using RawClient good = proxy.Connect();
        RawClient[] drips = [.. Enumerable.Range(0, 50).Select(_ => proxy.Connect())];
        var watch = Stopwatch.StartNew();
        Task<RawResponse?>[] answers = [.. drips.Select(async client =>
        {
            using var stop = new CancellationTokenSource();
            Task drip = DripAsync(client, "GET / HTTP/1.1\r\nHost: a\r\nX: ".PadRight(2000, 'x'), stop.Token);
            RawResponse? answer = await client.ReadAsync();
            await stop.CancelAsync();
            await drip;
            return answer;
        })];
        while (!answers.All(static a => a.IsCompleted))
        {
            Assert.Equal("ok", (await good.GetAsync()).Text);
        }
        Assert.InRange(watch.ElapsedMilliseconds, 500, 30_000); // 2000 bytes would take more than 40 s
        foreach (RawResponse? answer in await Task.WhenAll(answers))
        {
            Assert.Equal(408, answer!.Status);
        }
        Array.ForEach(drips, static d => d.Dispose());
        await proxy.AssertQuietAsync();
    }

    private static async Task DripAsync(RawClient client, string bytes, CancellationToken stop)
    {
        try
        {
            for (int i = 0; i < bytes.Length && !stop.IsCancellationRequested; i++)
            {
                await client.SendAsync(bytes[i..(i + 1)]);
                await Task.Delay(20, stop);
            }
        }
        catch (Exception e) when (e is IOException or SocketException or OperationCanceledException)
        {
            // Cut off.
        }
    }

    [Fact, Trait("tls", "no")]
    public async Task Response_with_any_byte_flipped_is_rejected_or_read_as_it_is()
    {
        const string Response = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        await using var backend = ScriptedBackend.Answer(static _ => Response);
        var outcomes = new ConcurrentDictionary<string, int>();
        await Parallel.ForAsync(0, Response.Length, new ParallelOptions { MaxDegreeOfParallelism = 8 },
            async (i, _) =>
            {
                await using var relay = new FaultRelay(backend.Port) { Down = new Fault { CorruptAt = i } };
                await using var proxy = new TestProxy(Quick(TestProxy.Config(relay.Port), 300));
                string outcome;
                try
                {
                    RawResponse response = await proxy.GetAsync();
                    outcome = response.Status == 200 ? Encoding.Latin1.GetString(response.Body).Length
                        .ToString(CultureInfo.InvariantCulture) : $"{response.Status}";
                }
                catch (IOException)
                {
                    outcome = "cut";
                }
                outcomes.AddOrUpdate(outcome, 1, static (_, n) => n + 1);
                await proxy.AssertQuietAsync();
            });

        // The reason phrase and the payload may hold any byte; 504: only the end of the head is still awaited.
        Assert.Empty(outcomes.Keys.Except(["5", "502", "504", "cut"]));
        Assert.Equal(7, outcomes["5"]);
    }
}
