using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Exchanges;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Soak;

/// <summary>After a storm of faults no response was mixed up, no request was wrongly sent twice, and no resource is
/// left. It takes a few seconds by default; <c>PENSTOCK_STORM_SECONDS</c> makes it a soak test,
/// <c>PENSTOCK_STORM_SEED</c> repeats a run.</summary>
public sealed class StormTests(ITestOutputHelper output)
{
    /// <summary>By how much memory may grow after the first tenth of a run; the size of the heap varies.</summary>
    private const long SlackBytes = 16 * 1024 * 1024;

    private static readonly TimeSpan Length = TimeSpan.FromSeconds(int.Parse(
        Environment.GetEnvironmentVariable("PENSTOCK_STORM_SECONDS") ?? "5", CultureInfo.InvariantCulture));

    private static readonly int Seed = int.TryParse(Environment.GetEnvironmentVariable("PENSTOCK_STORM_SEED"),
        CultureInfo.InvariantCulture, out int given) ? given : Random.Shared.Next();

    [Fact]
    public async Task Storm_mixes_nothing_up_and_leaves_nothing_behind()
    {
        output.WriteLine($"seed {Seed}");
        await using var storm = new Storm(Seed);
        ProxyConfig config = TestProxy.Config(storm.Ports);
        await using var proxy = new TestProxy(config with
        {
            Loops = 2,
            Timeouts = config.Timeouts with
            {
                Head = TimeSpan.FromMilliseconds(700),
                Response = TimeSpan.FromMilliseconds(300),
                Idle = TimeSpan.FromSeconds(2),
            },
        });
        await storm.RunAsync(proxy.EndPoint, Length);

        output.WriteLine(storm.Outcomes);
        storm.AssertHarmless();
        await Eventually.TrueAsync(() => proxy.Server.OpenConnections == 0, "every client connection is closed");
        await proxy.AssertQuietAsync();

        // What is linked now waits for the next request: idle connections to the backends.
        foreach (Worker worker in proxy.Server.Workers)
        {
            await Eventually.TrueAsync(() => worker.Loop.Deadlines.Count == 0, "every deadline is over");
            Assert.DoesNotContain(worker.Loop.Sources, static s => s is not Penstock.Proxy.Connections.Listener);
        }
    }

    [Fact]
    public async Task Storm_leaves_the_program_with_the_memory_and_descriptors_it_had()
    {
        output.WriteLine($"seed {Seed}");
        string folder = Directory.CreateTempSubdirectory("penstock-test-").FullName;
        await using var storm = new Storm(Seed);
        int port = PenstockProcess.FreePort();
        int adminPort = PenstockProcess.FreePort();
        await File.WriteAllTextAsync(Path.Combine(folder, "penstock.yaml"), $$"""
            listen: [{{TestTls.Listener(port, folder)}}]
            admin: { listen: "127.0.0.1:{{adminPort}}" }
            upstreams:
              web:
                backends: [{{string.Join(", ", storm.Ports.Select(TestTls.BackendUrl))}}]
                tls: {{TestTls.Upstream(folder)}}
            routes: [{ upstream: web }]
            timeouts: { head: 700ms, response: 300ms, idle: 2s }
            loops: 2
            access_log: off
            store: sqlite:penstock.db
            """);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(folder, "run");
        int descriptors = penstock.Descriptors;
        var samples = new List<long>();
        Task blowing = storm.RunAsync(new IPEndPoint(IPAddress.Loopback, port), Length);
        while (!blowing.IsCompleted)
        {
            samples.Add(penstock.MemoryBytes);
            await Task.WhenAny(blowing, Task.Delay(Length / 100));
        }
        await blowing;

        output.WriteLine(storm.Outcomes);
        output.WriteLine("resident MiB at each tenth: " + string.Join(' ', Enumerable.Range(0, 11)
            .Select(i => samples[Math.Min(samples.Count - 1, i * samples.Count / 10)] >> 20)));
        storm.AssertHarmless();
        await Eventually.TrueAsync(() => penstock.Descriptors <= descriptors + 4, "descriptors are as before");
        using var http = new HttpClient();
        JsonElement upstreams = await http.GetFromJsonAsync<JsonElement>(
            new Uri($"http://127.0.0.1:{adminPort}/upstreams"));
        Assert.All(upstreams.GetProperty("items")[0].GetProperty("backends").EnumerateArray(),
            static b => Assert.Equal(0, b.GetProperty("in_flight").GetInt32()));
        Assert.DoesNotContain(penstock.Lines, static l => l.Contains("bug in Penstock", StringComparison.Ordinal));
        if (Length > TimeSpan.FromMinutes(1))
        {
            // What grows for ever also grows in the second half; the first one may still warm up.
            Assert.InRange(samples[^1], 1, samples[samples.Count / 2] + SlackBytes);
        }
        Directory.Delete(folder, recursive: true);
    }
}
