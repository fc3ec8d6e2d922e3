using System.Collections.Concurrent;
using System.Net.Sockets;
using System.Text;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Proxy;

/// <summary>Everybody misbehaves at once. No client may ever see another's octets or take a cut response for whole, and
/// afterwards nothing may be left.</summary>
public sealed class StormTests(ITestOutputHelper output)
{
    private const int Clients = 64;
    private static readonly TimeSpan Length = TimeSpan.FromSeconds(
        double.Parse(Environment.GetEnvironmentVariable("PENSTOCK_STORM_SECONDS") ?? "5"));

    private readonly ConcurrentQueue<string> _wrong = new();
    private readonly ConcurrentDictionary<string, int> _outcomes = new();

    [Fact]
    public async Task Storm_of_faults_mixes_nothing_up_and_leaves_nothing_behind()
    {
        int seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        int connections = 0;
        Task Script(BackendPeer peer) =>
            MisbehaveAsync(peer, new Random(seed + 1000 + Interlocked.Increment(ref connections)));
        await using var first = new ScriptedBackend(Script);
        await using var second = new ScriptedBackend(Script);
        ProxyConfig config = TestProxy.Config(first.Port, second.Port);
        await using var proxy = new TestProxy(config with
        {
            Loops = 2,
            Timeouts = config.Timeouts with
            {
                Response = TimeSpan.FromMilliseconds(300), Head = TimeSpan.FromMilliseconds(300),
                Idle = TimeSpan.FromMilliseconds(500),
            },
        });

        using var stop = new CancellationTokenSource(Length);
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(i => Task.Run(async () =>
        {
            var random = new Random(seed + 100 + i);
            for (int n = 0; !stop.IsCancellationRequested; n++)
            {
                await OneConnectionAsync(proxy, random, $"c{i}-{n}");
            }
        })));

        output.WriteLine(string.Join(", ", _outcomes.OrderBy(static o => o.Key)
            .Select(static o => $"{o.Key} {o.Value}")));
        Assert.Empty(_wrong);
        Assert.True(_outcomes.GetValueOrDefault("200") > 100, "hardly anything went well: the storm shows nothing");
        await proxy.AssertQuietAsync();
        await Eventually.TrueAsync(() => proxy.Server.OpenConnections == 0, "every client connection is closed");
        await Eventually.TrueAsync(() => proxy.Server.Workers.All(static w => w.Loop.Deadlines.Count == 0),
            "no deadline is linked");
        await Eventually.TrueAsync(() => proxy.Server.Workers.All(static w => w.Loop.Sources.Count() == 1),
            "only the listeners are watched");
    }

    /// <summary>A connection's worth of requests; what comes back must be ours and whole, or visibly broken.</summary>
    private async Task OneConnectionAsync(TestProxy proxy, Random random, string name)
    {
        try
        {
            using RawClient client = proxy.Connect();
            int requests = random.Next(1, 6);
            bool pipelined = random.Next(4) == 0;
            var sent = new List<string>();
            for (int i = 0; i < requests; i++)
            {
                string marker = $"{name}-{i}";
                sent.Add(marker);
                await SendAsync(client, random, marker);
                if (pipelined && i < requests - 1)
                {
                    continue;
                }
                switch (random.Next(12))
                {
                    case 0:
                        client.Reset();
                        Count("client reset");
                        return;
                    case 1:
                        client.ShutdownSend();
                        break;
                }
                foreach (string expected in sent)
                {
                    if (!await ReadAsync(client, expected))
                    {
                        return;
                    }
                }
                sent.Clear();
            }
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
        {
            Count("broken");
        }
    }

    private static async Task SendAsync(RawClient client, Random random, string marker)
    {
        string body = new('b', random.Next(3) == 0 ? random.Next(60_000) : random.Next(200));
        switch (random.Next(5))
        {
            case 0:
                await client.SendAsync(
                    $"POST /{marker} HTTP/1.1\r\nHost: a\r\nContent-Length: {body.Length}\r\n\r\n{body}");
                break;
            case 1:
                await client.SendAsync($"POST /{marker} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + (body.Length > 0 ? $"{body.Length:x}\r\n{body}\r\n" : "") + "0\r\n\r\n");
                break;
            case 2:
                foreach (char c in $"GET /{marker} HTTP/1.1\r\nHost: a\r\n\r\n")
                {
                    await client.SendAsync(c.ToString());
                }
                break;
            default:
                await client.SendAsync($"GET /{marker} HTTP/1.1\r\nHost: a\r\n\r\n");
                break;
        }
    }

    /// <returns>May the connection be used further?</returns>
    private async Task<bool> ReadAsync(RawClient client, string marker)
    {
        RawResponse? response;
        do
        {
            response = await client.ReadAsync();
        }
        while (response?.Status is 100 or 103);
        if (response is null)
        {
            Count("closed");
            return false;
        }
        Count(response.Status.ToString());
        if (response.Status == 200 && response.Text.TrimEnd('r') != $"<{marker}>")
        {
            _wrong.Enqueue($"{marker} got {response.Text[..Math.Min(60, response.Text.Length)]}");
        }
        else if (response.Status is not (200 or 408 or 502 or 503 or 504))
        {
            _wrong.Enqueue($"{marker} got status {response.Status}: {response.Text}");
        }
        return response["Connection"] != "close";
    }

    /// <summary>Answers with the request's marker, well or in one of many wrong ways.</summary>
    private static async Task MisbehaveAsync(BackendPeer peer, Random random)
    {
        while (await peer.ReadHeadAsync() is { } head)
        {
            int fault = random.Next(28);
            if (fault == 0)
            {
                await peer.SendAsync(Response(head, random)); // early: the body has not been read, and is not
                return;
            }
            if (fault == 1 && Wire.Field(head, "Content-Length") is not null)
            {
                await peer.SendAsync("HTTP/1.1 100 Continue\r\n\r\n");
            }
            await peer.Reader.ReadBodyAsync(head, isResponse: false);
            string good = Response(head, random);
            switch (fault)
            {
                case 2:
                    peer.Reset();
                    return;
                case 3:
                    await peer.SendAsync(good[..random.Next(good.Length)]);
                    return;
                case 4:
                    await peer.SendAsync(good[..random.Next(good.Length)]);
                    peer.Reset();
                    return;
                case 5:
                    await peer.SendAsync("HTTP/1.1 2OO nonsense\r\n\r\n");
                    break;
                case 6:
                    await peer.SendAsync(good + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
                    break;
                case 7:
                    await peer.Reader.ReadToEndAsync(); // stalls until the proxy gives up
                    return;
                case 8:
                    await peer.SendAsync(good);
                    return;
                case 9:
                    await peer.SendAsync("HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" + good);
                    break;
                case 10:
                    foreach (char c in good[..Math.Min(300, good.Length)])
                    {
                        await peer.SendAsync(c.ToString());
                    }
                    await peer.SendAsync(good[Math.Min(300, good.Length)..]);
                    break;
                default:
                    await peer.SendAsync(good);
                    break;
            }
        }
    }

    private static string Response(string head, Random random)
    {
        string marker = head.Split(' ')[1][1..];
        string body = $"<{marker}>" + new string('r', random.Next(3) == 0 ? random.Next(100_000) : random.Next(100));
        return random.Next(3) switch
        {
            0 => $"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body.Length:x}\r\n{body}\r\n0\r\n\r\n",
            1 => $"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\nConnection: close\r\n\r\n{body}",
            _ => $"HTTP/1.1 200 OK\r\nContent-Length: {body.Length}\r\n\r\n{body}",
        };
    }

    private void Count(string outcome) => _outcomes.AddOrUpdate(outcome, 1, static (_, n) => n + 1);
}
