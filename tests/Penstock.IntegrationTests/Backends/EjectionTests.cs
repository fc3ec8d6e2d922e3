using System.Globalization;
using System.Text.RegularExpressions;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Backends;

/// <summary>Ejection of backends by live traffic, over real sockets.</summary>
public sealed partial class EjectionTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    private const string Error = "HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n";

    private static readonly PassiveHealthConfig Quick = new()
    {
        Window = TimeSpan.FromSeconds(1),
        MinRequests = 10,
        EjectionTime = TimeSpan.FromMilliseconds(300),
    };

    [Fact]
    public async Task Slow_backend_is_ejected_and_comes_back_through_slow_start()
    {
        bool isSlow = false;
        await using var first = ScriptedBackend.Always("ok");
        await using var second = ScriptedBackend.Always("ok");
        await using var third = new ScriptedBackend(async peer =>
        {
            while (await peer.ReadRequestAsync() is not null)
            {
                if (Volatile.Read(ref isSlow))
                {
                    await Task.Delay(300);
                }
                await peer.SendAsync(Ok);
            }
        });
        await using TestProxy proxy = Proxy(Quick with { LatencyFactor = 3, MaxEjectionTime = TimeSpan.FromSeconds(1) },
            config => config with { SlowStart = TimeSpan.FromSeconds(1) }, first, second, third);

        await LoadAsync(proxy, () => third.Heads.Count > 20);
        Assert.Null(Of(proxy, 2).Ejected);
        Volatile.Write(ref isSlow, true);
        await LoadAsync(proxy, () => Of(proxy, 2).Ejected is not null);
        Assert.Matches("^median latency \\d+ ms, [\\d.]+ times that of the others$", Of(proxy, 2).Ejected);
        Assert.All([Of(proxy, 0), Of(proxy, 1)], static b => Assert.Equal((null, 0), (b.Ejected, b.Ejections)));

        Volatile.Write(ref isSlow, false);
        await LoadAsync(proxy, () => Of(proxy, 2) is { Ejected: null, SlowStart: < 1 });
        await LoadAsync(proxy, () => Of(proxy, 2) is { Ejected: null, SlowStart: 1 });
        int before = third.Heads.Count;
        await LoadAsync(proxy, () => third.Heads.Count > before + 20);
    }

    /// <summary>Of five backends at most two are ever out, however many fail; and none when all do.</summary>
    [Theory]
    [InlineData(1, 1, 1)]
    [InlineData(2, 2, 2)]
    [InlineData(3, 0, 2)]
    [InlineData(5, 0, 0)]
    public async Task Storm_of_500_ejects_at_most_the_cap(int storming, int least, int most)
    {
        ScriptedBackend[] backends =
            [.. Enumerable.Range(0, 5).Select(i => ScriptedBackend.Answer(_ => i < storming ? Error : Ok))];
        await using TestProxy proxy = Proxy(Quick with { EjectionTime = TimeSpan.FromSeconds(60) }, null, backends);
        int seen = 0;
        await LoadAsync(proxy, () =>
        {
            int ejected = proxy.Server.Upstreams()[0].Backends.Count(static b => b.Ejected is not null);
            Assert.InRange(ejected, 0, most);
            seen = Math.Max(seen, ejected);
            return seen >= least && backends.Sum(static b => b.Heads.Count) >= 300;
        });
        if (storming == least)
        {
            // With all that fail out, no client sees an error any more.
            for (int i = 0; i < 20; i++)
            {
                Assert.Equal(200, (await proxy.GetAsync()).Status);
            }
        }
        foreach (ScriptedBackend backend in backends)
        {
            await backend.DisposeAsync();
        }
    }

    [Fact]
    public async Task Flapping_backend_is_out_for_longer_each_time()
    {
        await using var flapping = new ScriptedBackend(static async peer =>
        {
            await peer.ReadHeadAsync();
            peer.Reset();
        });
        await using var steady = ScriptedBackend.Always("ok");
        await using TestProxy proxy = Proxy(Quick, null, flapping, steady);
        await LoadAsync(proxy, () => proxy.Log.Lines.Any(static l =>
            l.Contains("(ejection 2 in a row)", StringComparison.Ordinal)));
        // If the machine stalls, the backend is healthy for some time in between, and the count starts again.
        Assert.All(proxy.Log.Lines.Select(static l => Ejected().Match(l)).Where(static m => m.Success), static m =>
        {
            int count = int.Parse(m.Groups["count"].Value, CultureInfo.InvariantCulture);
            double seconds = double.Parse(m.Groups["seconds"].Value, CultureInfo.InvariantCulture);
            Assert.InRange(seconds, (0.3 * count) - 0.05, (0.33 * count) + 0.05);
        });
    }

    [Theory]
    [InlineData("reset", "5 errors in a row, the last: connection closed without a whole response")]
    [InlineData("cut", "5 errors in a row, the last: connection closed without a whole response")]
    [InlineData("garbage", "5 errors in a row, the last: invalid response")]
    [InlineData("hang", "5 errors in a row, the last: no response in time")]
    public async Task Every_way_to_fail_a_request_counts(string way, string cause)
    {
        await using var bad = new ScriptedBackend(async peer =>
        {
            while (await peer.ReadRequestAsync() is not null)
            {
                switch (way)
                {
                    case "reset":
                        peer.Reset();
                        return;
                    case "cut":
                        await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
                        return;
                    case "garbage":
                        await peer.SendAsync("SSH-2.0-OpenSSH\r\n\r\n");
                        return;
                    default:
                        break; // never answers
                }
            }
        });
        await using var good = ScriptedBackend.Always("ok");
        ProxyConfig config = TestProxy.Config(bad.Port, good.Port);
        await using var proxy = new TestProxy(config with
        {
            Timeouts = config.Timeouts with { Response = TimeSpan.FromMilliseconds(200) },
        });
        await LoadAsync(proxy, () => Of(proxy, 0).Ejected is not null, mayBeCut: true);
        Assert.Equal(cause, Of(proxy, 0).Ejected);
        Assert.Null(Of(proxy, 1).Ejected);
    }

    [Fact]
    public async Task Refused_connections_eject_without_a_client_seeing_any()
    {
        var gone = ScriptedBackend.Always("gone");
        int port = gone.Port;
        await gone.DisposeAsync();
        await using var good = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(TestProxy.Config(port, good.Port));
        await LoadAsync(proxy, () => Of(proxy, 0).Ejected is not null, onlyOk: true);
        Assert.Equal("5 errors in a row, the last: no connection", Of(proxy, 0).Ejected);
    }

    [Fact]
    public async Task Passed_checks_bring_a_backend_back_early()
    {
        bool isWell = false;
        await using var backend = new ScriptedBackend(async peer =>
        {
            while (await peer.ReadRequestAsync() is { } request)
            {
                if (!Volatile.Read(ref isWell) && !request.Line.Contains("/health", StringComparison.Ordinal))
                {
                    peer.Reset();
                    return;
                }
                await peer.SendAsync(Ok);
            }
        });
        await using var steady = ScriptedBackend.Always("ok");
        await using TestProxy proxy = Proxy(Quick with { EjectionTime = TimeSpan.FromMinutes(5) }, config => config with
        {
            HealthCheck = new HealthCheckConfig
            {
                Path = "/health", Interval = TimeSpan.FromMilliseconds(50), Rise = 3,
            },
        }, backend, steady);
        await LoadAsync(proxy, () => Of(proxy, 0).Ejections > 0);
        Volatile.Write(ref isWell, true);
        await LoadAsync(proxy, () => Of(proxy, 0).Ejected is null);
        await Eventually.TrueAsync(() => proxy.Log.Lines.Any(static l =>
            l.Contains("returns after an ejection", StringComparison.Ordinal)
            && l.Contains("3 of 3 checks passed", StringComparison.Ordinal)), "the log says why it is back");
    }

    [Fact]
    public async Task What_clients_do_ejects_nobody()
    {
        await using var one = ScriptedBackend.Answer(static _ => "HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n");
        await using var two = ScriptedBackend.Answer(static _ => "HTTP/1.1 501 X\r\nContent-Length: 0\r\n\r\n");
        await using TestProxy proxy = Proxy(Quick with { ConsecutiveErrors = 1 }, null, one, two);
        for (int i = 0; i < 20; i++)
        {
            using RawClient client = proxy.Connect();
            await client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"); // and goes away
        }
        await LoadAsync(proxy, () => one.Heads.Count + two.Heads.Count > 100);
        Assert.All(proxy.Server.Upstreams()[0].Backends, static b => Assert.Equal(0, b.Ejections));
    }

    private static TestProxy Proxy(PassiveHealthConfig passive, Func<UpstreamConfig, UpstreamConfig>? change,
        params ScriptedBackend[] backends)
    {
        ProxyConfig config = TestProxy.Config([.. backends.Select(static b => b.Port)]);
        UpstreamConfig upstream = config.Upstreams[0] with { PassiveHealth = passive };
        return new TestProxy(config with { Upstreams = [change?.Invoke(upstream) ?? upstream] });
    }

    private static BackendStatus Of(TestProxy proxy, int index) => proxy.Server.Upstreams()[0].Backends[index];

    /// <summary>Sends requests of four clients until a condition holds.</summary>
    private static async Task LoadAsync(TestProxy proxy, Func<bool> until, bool onlyOk = false, bool mayBeCut = false)
    {
        bool done = false;
        Task[] clients = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(SendAsync))];
        try
        {
            await Eventually.TrueAsync(until, "what the load is for");
        }
        finally
        {
            Volatile.Write(ref done, true);
            await Task.WhenAll(clients);
        }

        async Task SendAsync()
        {
            while (!Volatile.Read(ref done))
            {
                try
                {
                    RawResponse response = await proxy.GetAsync();
                    Assert.True(!onlyOk || response.Status == 200, response.Head);
                }
                catch (Exception e) when (mayBeCut && e is IOException)
                {
                    // A response that the backend cut short.
                }
            }
        }
    }

    [GeneratedRegex(@"EJECTED for (?<seconds>[\d.]+) s \(ejection (?<count>\d+) ", RegexOptions.ExplicitCapture, 1000)]
    private static partial Regex Ejected();
}
