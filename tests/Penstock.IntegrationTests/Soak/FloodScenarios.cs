using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Penstock.IntegrationTests.Scenarios;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Soak;

/// <summary>Unknown clients, a new one for each request: 200,000, or as many as <c>PENSTOCK_FLOOD_KEYS</c> says.
/// </summary>
[Trait("tls", "no")]
public sealed class FloodScenarios(ITestOutputHelper output) : ProgramScenarios
{
    private const int Batch = 200;
    private const int Connections = 4;

    /// <summary>The table has 32 bytes per tracked bucket, rounded up to a power of two; the rest allows for the
    /// varying size of the heap.</summary>
    private const long MaxTracked = 100_000;
    private const long MaxGrownBytes = (MaxTracked * 2 * 32) + (48L << 20);

    private static readonly long Keys = long.Parse(
        Environment.GetEnvironmentVariable("PENSTOCK_FLOOD_KEYS") ?? "200000", CultureInfo.InvariantCulture);

    [Fact]
    public async Task Flood_of_new_clients_costs_bounded_memory_and_frees_no_exhausted_one()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await File.WriteAllTextAsync(Path.Combine(Folder, "penstock.yaml"), $$"""
            listen: 127.0.0.1:{{Port}}
            admin: { listen: "127.0.0.1:{{AdminPort}}" }
            clients: { identify: [header:X-Client-ID, address], unknown: own, max_tracked: {{MaxTracked}} }
            limits: { default: { capacity: 3, rate: 1/h } }
            routes:
              - { path: /polite, upstream: web, limit: off }
              - { path: /missing, upstream: none }
              - { upstream: web }
            upstreams:
              web: { backends: [http://127.0.0.1:{{backend.Port}}] }
              none: { backends: [{ url: "http://127.0.0.1:1", max_connections: 1 }], queue: off, retries: off }
            access_log: off
            store: memory
            """);
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run");
        var proxy = new IPEndPoint(IPAddress.Loopback, Port);
        using var poor = new RawClient(proxy);
        int admitted = 0;
        for (int i = 0; i < 20; i++)
        {
            admitted += (await poor.GetAsync("/", "X-Client-ID: poor\r\n")).Status == 200 ? 1 : 0;
        }
        Assert.Equal(3, admitted);
        double quiet = await PoliteAsync(proxy, () => true, 500);
        long before = penstock.MemoryBytes;

        long next = 0;
        Task[] flood = [.. Enumerable.Range(0, Connections).Select(_ => Task.Run(() => FloodAsync(proxy, () =>
            Interlocked.Add(ref next, Batch) - Batch)))];
        Task flooding = Task.WhenAll(flood);
        Task<double> polite = PoliteAsync(proxy, () => !flooding.IsCompleted, int.MaxValue);
        int probes = 0;
        for (; !flooding.IsCompleted; probes++)
        {
            Assert.Equal(429, (await poor.GetAsync("/", "X-Client-ID: poor\r\n")).Status);
            await Task.WhenAny(flooding, Task.Delay(5));
        }
        await flooding;

        long grown = penstock.MemoryBytes - before;
        output.WriteLine($"{Keys} keys: resident {before >> 20} -> {(before + grown) >> 20} MiB; the exhausted client "
            + $"was asked {probes} times; p99 of others {quiet:0.00} -> {await polite:0.00} ms");
        Assert.True(probes > 10);
        Assert.InRange(grown, long.MinValue, MaxGrownBytes);
        Assert.Equal(429, (await poor.GetAsync("/", "X-Client-ID: poor\r\n")).Status);
    }

    /// <summary>The limiter decides before a backend is picked, so a route without a usable backend is the cheapest way
    /// to create buckets.</summary>
    private static async Task FloodAsync(EndPoint proxy, Func<long> next)
    {
        using var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        await socket.ConnectAsync(proxy);
        byte[] answers = new byte[128 * 1024];
        for (long from = next(); from < Keys; from = next())
        {
            var requests = new StringBuilder();
            for (int i = 0; i < Batch; i++)
            {
                requests.Append("HEAD /missing HTTP/1.1\r\nHost: a\r\nX-Client-ID: k")
                    .Append((from + i).ToString(CultureInfo.InvariantCulture)).Append("\r\n\r\n");
            }
            Task sending = socket.SendAsync(Encoding.ASCII.GetBytes(requests.ToString()), SocketFlags.None);
            for (int ends = 0, matched = 0; ends < Batch;)
            {
                int count = await socket.ReceiveAsync(answers, SocketFlags.None);
                Assert.NotEqual(0, count);
                foreach (byte b in answers.AsSpan(0, count))
                {
                    matched = b == "\r\n\r\n"[matched] ? matched + 1 : b == '\r' ? 1 : 0;
                    if (matched == 4)
                    {
                        ends++;
                        matched = 0;
                    }
                }
            }
            await sending;
        }
    }

    /// <returns>The 99th percentile of its requests' times, in ms.</returns>
    private static async Task<double> PoliteAsync(EndPoint proxy, Func<bool> goesOn, int most)
    {
        using var client = new RawClient(proxy);
        var took = new List<double>();
        while (goesOn() && took.Count < most)
        {
            long start = Stopwatch.GetTimestamp();
            Assert.Equal(200, (await client.GetAsync("/polite")).Status);
            took.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
            await Task.Delay(1);
        }
        took.Sort();
        return took[took.Count * 99 / 100];
    }
}
