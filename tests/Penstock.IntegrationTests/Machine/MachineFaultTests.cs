using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Machine;

/// <summary>Faults of the machine: pulled cables, no free ports, little memory, little processor time, few descriptors,
/// many connections.</summary>
public sealed class MachineFaultTests(ITestOutputHelper output) : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("penstock-test-").FullName;
    private readonly HttpClient _http = new() { Timeout = TimeSpan.FromSeconds(30) };
    private readonly int _port = PenstockProcess.FreePort();

    private static int IdleConnections => int.Parse(
        Environment.GetEnvironmentVariable("PENSTOCK_IDLE_CONNECTIONS") ?? "2000", CultureInfo.InvariantCulture);

    private Uri Proxy => new($"http://127.0.0.1:{_port}/");
    private IPEndPoint EndPoint => new(IPAddress.Loopback, _port);

    public void Dispose()
    {
        _http.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public async Task Pulled_cable_costs_a_timeout_for_each_kept_connection_until_checks_find_it()
    {
        Assert.SkipWhen(NetworkNamespace.Obstacle is not null, NetworkNamespace.Obstacle ?? "");
        using var space = new NetworkNamespace();
        await using ScriptedBackend far = space.Run(() => new ScriptedBackend(AnswerAsync("far"), IPAddress.Any));
        await using var near = ScriptedBackend.Always("near");
        ProxyConfig config = TestProxy.Config(near.Port);
        var backend = new BackendConfig { Host = space.Address.ToString(), Port = far.Port };
        await using var proxy = new TestProxy(config with
        {
            Upstreams =
            [
                config.Upstreams[0] with
                {
                    Backends = [.. config.Upstreams[0].Backends, backend],
                    HealthCheck = new HealthCheckConfig
                    {
                        Path = "/health", Interval = TimeSpan.FromMilliseconds(200),
                        Timeout = TimeSpan.FromMilliseconds(500), Rise = 2, Fall = 2,
                    },
                },
            ],
            Timeouts = config.Timeouts with
            {
                Connect = TimeSpan.FromMilliseconds(200), Response = TimeSpan.FromMilliseconds(400),
            },
        });
        const int Clients = 4;
        await using var load = new LoadRun(proxy.Url, Clients);
        await load.MoreAsync(50, "far");
        space.Unplug();
        await HealthAsync(proxy, BackendHealth.Down);
        await load.MoreAsync(Clients); // what was under way
        int lost = load.Statuses.GetValueOrDefault(504);
        await load.MoreAsync(500);
        Assert.InRange(load.Statuses.GetValueOrDefault(504), lost, lost + Clients); // they were under way
        Assert.Contains(proxy.Log.Lines, static l => l.Contains("is DOWN: no response in 500 ms (2 of 2 checks failed)",
            StringComparison.Ordinal));
        space.Plug();
        await HealthAsync(proxy, BackendHealth.Up);
        await load.MoreAsync(50, "far");
        await load.StopAsync();
        load.HadOnly(200, 504); // a fresh connection that hangs goes to the other one
        output.WriteLine($"{load.Statuses.GetValueOrDefault(504)} requests of {Clients} clients were lost");
        Assert.Empty(proxy.Log.Errors);
    }

    [Fact]
    public async Task Ports_run_out_and_requests_get_503_until_some_are_free()
    {
        Assert.SkipWhen(NetworkNamespace.Obstacle is not null, NetworkNamespace.Obstacle ?? "");
        const int Ports = 20;
        using var space = new NetworkNamespace();
        var release = new TaskCompletionSource();
        await using ScriptedBackend backend = space.Run(() =>
        {
            File.WriteAllText("/proc/sys/net/ipv4/ip_local_port_range", $"40000 {40000 + Ports - 1}");
            return ScriptedBackend.OkAfter(release.Task);
        });
        WriteConfig(space.Address, "loops: 1", backend.Port);
        await using PenstockProcess penstock = await PenstockProcess.StartedBehindAsync(
            $"exec ip netns exec {space.Name}", _folder, "run");
        var url = new Uri($"http://{space.Address}:{_port}/");
        Task<HttpResponseMessage>[] all = [.. Enumerable.Range(0, 3 * Ports).Select(_ => _http.GetAsync(url))];
        await Eventually.TrueAsync(() => all.Count(static t => t.IsCompleted) >= 2 * Ports,
            "those without are answered");
        Assert.All(all.Where(static t => t.IsCompleted),
            static t => Assert.Equal(HttpStatusCode.ServiceUnavailable, t.Result.StatusCode));
        release.SetResult();
        HttpResponseMessage[] responses = await Task.WhenAll(all);
        Assert.InRange(responses.Count(static r => r.IsSuccessStatusCode), Ports / 2, Ports);
        for (int i = 0; i < 3 * Ports; i++)
        {
            Assert.Equal("ok", await _http.GetStringAsync(url)); // kept connections need no further ports
        }
        Assert.InRange(backend.Connections, Ports / 2, Ports);
    }

    [Fact]
    public async Task Memory_bound_of_256_MiB_is_enough_for_200_streams()
    {
        Assert.SkipWhen(ControlGroup.Obstacle("memory") is not null, ControlGroup.Obstacle("memory") ?? "");
        const int Streams = 100;
        const int Size = 5_000_000;
        await using PenstockProcess backend = await EchoAsync("");
        using var group = new ControlGroup("memory");
        group.BoundMemory(256 << 20);
        await using (PenstockProcess penstock = await PenstockProcess.StartedBehindAsync(
            group.Enter + " exec", _folder, "run"))
        {
            byte[] body = new byte[Size];
            Task<long>[] all = [.. Enumerable.Range(0, 2 * Streams).Select(async i =>
            {
                if (i % 2 == 0)
                {
                    return await DownloadAsync(Size);
                }
                using HttpResponseMessage response =
                    await _http.PostAsync(new Uri(Proxy, "upload"), new ByteArrayContent(body));
                response.EnsureSuccessStatusCode();
                return (await response.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("bytes").GetInt64();
            })];
            Assert.All(await Task.WhenAll(all), static n => Assert.Equal(Size, n));
            output.WriteLine($"resident at most {penstock.PeakMemoryBytes >> 20} MiB");
            Assert.False(penstock.HasExited);
        }
        Assert.Equal(0, group.MemoryKills);
    }

    [Fact]
    public async Task Fifth_of_a_processor_makes_checks_take_no_backend_out()
    {
        Assert.SkipWhen(ControlGroup.Obstacle("cpu") is not null, ControlGroup.Obstacle("cpu") ?? "");
        await using PenstockProcess backend = await EchoAsync(
            "health_check: { path: /health, interval: 200ms, timeout: 1s, rise: 2, fall: 3 }");
        using var group = new ControlGroup("cpu");
        group.BoundProcessor(percent: 20);
        await using (PenstockProcess penstock = await PenstockProcess.StartedAsync(_folder, "run"))
        {
            await using var load = new LoadRun(Proxy, clients: 16);
            await load.MoreAsync(100);
            group.Add(penstock);
            await Task.Delay(3000); // the length of the load, not a wait for something
            await load.StopAsync();
            output.WriteLine($"{load.Total} requests; throttled: {group.Throttling}");
            load.HadOnly(200);
            Assert.DoesNotContain(penstock.Lines, static l => l.Contains("is DOWN", StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Idle_connections_cost_little_and_end_at_the_idle_timeout()
    {
        await using var backend = ScriptedBackend.Always("ok");
        WriteConfig(IPAddress.Loopback, "timeouts: { idle: 5s }", backend.Port);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(_folder, "run");
        await using (var warmUp = new LoadRun(Proxy, clients: 8))
        {
            await warmUp.MoreAsync(2000);
        }
        int descriptors = penstock.Descriptors;
        long before = penstock.MemoryBytes;
        var clients = new RawClient[IdleConnections];
        for (int i = 0; i < clients.Length; i++)
        {
            clients[i] = new RawClient(EndPoint);
            Assert.Equal("ok", (await clients[i].GetAsync()).Text);
        }
        long each = (penstock.MemoryBytes - before) / clients.Length;
        output.WriteLine($"{each} bytes for each of {clients.Length} idle connections");
        Assert.InRange(each, -1000, 8 * 1024);
        await Eventually.TrueAsync(() => penstock.Descriptors <= descriptors, "idle connections are closed");
        Array.ForEach(clients, static c => c.Dispose());
    }

    [Fact]
    public async Task Clients_that_read_100_MB_slowly_cost_a_buffer_each()
    {
        const int Clients = 20;
        const int Size = 100_000_000;
        await using PenstockProcess backend = await EchoAsync("timeouts: { response: 10s }");
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(_folder, "run");
        Assert.Equal(Size, await DownloadAsync(Size)); // warms up
        int descriptors = penstock.Descriptors;
        long before = penstock.MemoryBytes;
        RawClient[] slow = [.. Enumerable.Range(0, Clients).Select(_ => new RawClient(EndPoint, receiveBytes: 4096))];
        foreach (RawClient client in slow)
        {
            await client.SendAsync($"GET /bytes/{Size} HTTP/1.1\r\nHost: a\r\n\r\n");
            await client.Reader.ReadHeadAsync();
            await client.Reader.ReadExactlyAsync(50_000);
        }
        Assert.Equal(Size, await DownloadAsync(Size)); // others are served as ever
        long grown = penstock.MemoryBytes - before;
        output.WriteLine($"{grown / 1024} KiB for {Clients} stuck responses of {Size / 1_000_000} MB");
        Assert.InRange(grown, long.MinValue, 24 << 20);

        // A client that reads nothing for the response timeout is disconnected.
        await Eventually.TrueAsync(() => penstock.Descriptors <= descriptors, "both ends of each are closed");
        foreach (RawClient client in slow)
        {
            await Assert.ThrowsAnyAsync<IOException>(() => client.Reader.ReadExactlyAsync(Size - 50_000));
            client.Dispose();
        }
    }

    [Fact]
    public async Task Waiting_for_descriptors_costs_no_processor_time()
    {
        await using var backend = ScriptedBackend.Always("ok");
        WriteConfig(IPAddress.Loopback, "", backend.Port);
        await using PenstockProcess penstock = await PenstockProcess.StartedWithAsync(400, _folder, "run");
        RawClient[] clients = [.. Enumerable.Range(0, 300).Select(_ => new RawClient(EndPoint))];
        Task<RawResponse>[] answers = [.. clients.Select(static c => c.GetAsync())];
        await Eventually.TrueAsync(() => penstock.Lines.Any(static l =>
            l.Contains("accept_paused", StringComparison.Ordinal)), "accepting pauses");
        await Eventually.TrueAsync(() => answers.Count(static a => a.IsCompleted) >= 20, "the first are served");
        int served = -1;
        while (served != answers.Count(static a => a.IsCompleted))
        {
            served = answers.Count(static a => a.IsCompleted);
            await Task.Delay(200);
        }
        TimeSpan before = penstock.ProcessorTime;
        var watch = Stopwatch.StartNew();
        await Task.Delay(1500); // long enough for its share to mean something
        double share = (penstock.ProcessorTime - before) / watch.Elapsed;
        output.WriteLine($"{share:P1} of a processor while accepting pauses");
        Assert.InRange(share, 0, 0.2);
        Assert.InRange(served, 20, 299);

        // Each connection that closes makes room for another one.
        await Task.WhenAll(clients.Zip(answers, static async (client, answer) =>
        {
            Assert.Equal(200, (await answer).Status);
            client.Dispose();
        })).WaitAsync(TimeSpan.FromSeconds(20));
    }

    private static Func<BackendPeer, Task> AnswerAsync(string body) => async peer =>
    {
        while (await peer.ReadRequestAsync() is not null)
        {
            await peer.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\n\r\n{body}");
        }
    };

    private static Task HealthAsync(TestProxy proxy, BackendHealth health) => Eventually.TrueAsync(
        () => proxy.Server.Upstreams()[0].Backends[1].Health == health, $"the far backend is {health}");

    /// <summary>An echo server, and a configuration with it.</summary>
    private async Task<PenstockProcess> EchoAsync(string more)
    {
        int port = PenstockProcess.FreePort();
        WriteConfig(IPAddress.Loopback, more, port);
        return await PenstockProcess.StartedAsync(null, "backends", "--count", "1", "--start-port", $"{port}");
    }

    private async Task<long> DownloadAsync(int size)
    {
        using HttpResponseMessage response = await _http.GetAsync(new Uri(Proxy, $"bytes/{size}"),
            HttpCompletionOption.ResponseHeadersRead);
        Stream stream = await response.EnsureSuccessStatusCode().Content.ReadAsStreamAsync();
        byte[] buffer = new byte[128 * 1024];
        long total = 0;
        while (await stream.ReadAsync(buffer) is > 0 and var count)
        {
            total += count;
        }
        return total;
    }

    private void WriteConfig(IPAddress listen, string more, int backend) =>
        File.WriteAllText(Path.Combine(_folder, "penstock.yaml"), $$"""
            listen: {{listen}}:{{_port}}
            admin: off
            backends: [http://127.0.0.1:{{backend}}]
            access_log: off
            store: memory
            {{more}}
            """);
}
