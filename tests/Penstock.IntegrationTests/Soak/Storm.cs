using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Soak;

/// <summary>Everything that can go wrong on both sides, at once and at random: three backends that reset, stall, cut,
/// talk nonsense or answer well, and many clients that do the same. Every request has a marker of its own, by which a
/// response that belongs to another is known.</summary>
internal sealed class Storm : IAsyncDisposable
{
    private const int Clients = 64;
    private const string MixedUp = "request with another's body";

    /// <summary>Small enough that a response fills it and the backend has to wait.</summary>
    private const int SlowReceiveBytes = 4096;

    /// <summary>How long a client waits for the next byte. No timeout of the storm's proxies is longer than 2 s, but
    /// what the kernel has taken it may send a window of two kilobytes at a time to a client with a tiny receive
    /// buffer, by its persist timer, which doubles from 0.2 s on.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan MaxMore = TimeSpan.FromMinutes(1);
    private const int MinWhole = 500;

    private readonly int _seed;
    private readonly ScriptedBackend[] _backends;
    private readonly ConcurrentDictionary<string, int> _deliveries = new();
    private readonly ConcurrentDictionary<string, int> _outcomes = new();
    private long _marker;

    public Storm(int seed)
    {
        _seed = seed;
        _backends = [.. Enumerable.Range(1, 3).Select(i =>
            new ScriptedBackend(peer => BackendAsync(peer, seed ^ (i * 0x1111))))];
    }

    public int[] Ports => [.. _backends.Select(static b => b.Port)];

    private bool WentWell => _outcomes.GetValueOrDefault("whole") > MinWhole;

    /// <summary>How often each event happened, as text.</summary>
    public string Outcomes => string.Join(", ", _outcomes.Select(static o => $"{o.Value} {o.Key}").Order());

    /// <summary>Runs for this time, on a slow machine until enough requests succeeded; returns when all clients have
    /// ended.</summary>
    public async Task RunAsync(EndPoint proxy, TimeSpan length)
    {
        var watch = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, Clients).Select(i => Task.Run(async () =>
        {
            var random = new Random(_seed + i);
            while (watch.Elapsed < length || (!WentWell && watch.Elapsed < length + MaxMore))
            {
                await ClientAsync(proxy, random);
            }
        })));
    }

    /// <summary>Asserts: no request got the body of another, many requests succeeded, no POST was sent twice, and no
    /// request three times.</summary>
    public void AssertHarmless()
    {
        Assert.Equal(0, _outcomes.GetValueOrDefault(MixedUp));
        Assert.True(WentWell, $"seed {_seed}: hardly anything went well");
        Assert.DoesNotContain(_deliveries, static d => d.Value > (d.Key.StartsWith("POST", StringComparison.Ordinal)
            ? 1 : 2));
    }

    public async ValueTask DisposeAsync()
    {
        foreach (ScriptedBackend backend in _backends)
        {
            await backend.DisposeAsync();
        }
    }

    // ---- the backends

    private async Task BackendAsync(BackendPeer peer, int seed)
    {
        var random = new Random(seed + (int)Interlocked.Increment(ref _marker));
        while (await peer.ReadHeadAsync() is { } head)
        {
            if (Wire.Field(head, "X-Marker") is not { } marker)
            {
                Count(MixedUp); // nobody means a request without
                return;
            }
            string method = head[..head.IndexOf(' ')];
            _deliveries.AddOrUpdate($"{method} {marker}", 1, static (_, count) => count + 1);
            if (Wire.Field(head, "Expect") is not null && random.Next(3) > 0)
            {
                await peer.SendAsync("HTTP/1.1 100 Continue\r\n\r\n");
            }
            int kind = random.Next(20);
            if (kind == 0)
            {
                // An early answer: the rest of the body, if any, is never read.
                await peer.SendAsync(Framed(marker, 10, "Connection: close\r\n"));
                if (random.Next(2) == 0)
                {
                    peer.Reset();
                }
                return;
            }
            byte[] body = await peer.Reader.ReadBodyAsync(head, isResponse: false);
            if (Encoding.Latin1.GetString(body).Split(';').Any(p => p.Length > 0 && p != marker))
            {
                Count(MixedUp);
                return;
            }
            if (!await AnswerAsync(peer, random, kind, marker, method))
            {
                return;
            }
        }
    }

    /// <returns>True if the connection stays open.</returns>
    private static async Task<bool> AnswerAsync(BackendPeer peer, Random random, int kind, string marker, string method)
    {
        int times = random.Next(4) == 0 ? random.Next(20_000) : random.Next(200);
        if (method == "HEAD")
        {
            await peer.SendAsync(Framed(marker, times, "")[..^(times * (marker.Length + 1))]);
            return true;
        }
        switch (kind)
        {
            case 1: // cut
                string whole = random.Next(2) == 0 ? Framed(marker, times + 1, "") : Chunked(marker, times + 1, random);
                await peer.SendAsync(whole[..random.Next(1, whole.Length)]);
                return false;
            case 2: // reset, perhaps in the middle
                string half = Framed(marker, times + 1, "");
                await peer.SendAsync(half[..random.Next(half.Length)]);
                peer.Reset();
                return false;
            case 3: // garbage, or bytes behind the response
                await peer.SendAsync(random.Next(2) == 0 ? "garbage\r\n\r\n" + marker
                    : Framed(marker, 3, "") + Framed("behind-" + marker, 3, ""));
                return true;
            case 4: // stall
                await peer.SendAsync(Framed(marker, times + 1, "")[..random.Next(times + 1)]);
                await Task.Delay(500);
                return false;
            case 5: // close after the response, announced or not
                await peer.SendAsync(Framed(marker, times, random.Next(2) == 0 ? "Connection: close\r\n" : ""));
                return false;
            case 6: // until close
                await peer.SendAsync($"HTTP/1.1 200 OK\r\nX-Marker: {marker}\r\nX-Times: {times + 1}\r\n\r\n"
                    + Repeated(marker, times));
                if (random.Next(2) == 0)
                {
                    peer.Reset();
                    return false;
                }
                await peer.SendAsync(marker + ";");
                return false;
            case < 11:
                await peer.SendAsync(Chunked(marker, times, random));
                return true;
            default:
                if (random.Next(4) == 0)
                {
                    await peer.SendAsync($"HTTP/1.1 103 Early Hints\r\nX-Marker: {marker}\r\n\r\n");
                }
                await peer.SendAsync(Framed(marker, times, ""));
                return true;
        }
    }

    private static string Repeated(string marker, int times) =>
        string.Concat(Enumerable.Repeat(marker + ";", times));

    private static string Framed(string marker, int times, string fields) =>
        $"HTTP/1.1 200 OK\r\nX-Marker: {marker}\r\nX-Times: {times}\r\n{fields}"
        + $"Content-Length: {times * (marker.Length + 1)}\r\n\r\n" + Repeated(marker, times);

    private static string Chunked(string marker, int times, Random random)
    {
        var text = new StringBuilder($"HTTP/1.1 200 OK\r\nX-Marker: {marker}\r\nX-Times: {times}\r\n"
            + "Transfer-Encoding: chunked\r\n\r\n");
        for (int left = times; left > 0;)
        {
            int part = Math.Min(left, random.Next(1, 3000));
            left -= part;
            string piece = Repeated(marker, part);
            text.Append($"{piece.Length:x}\r\n{piece}\r\n");
        }
        return text.Append("0\r\n\r\n").ToString();
    }

    // ---- the clients

    /// <summary>One connection: some requests, one after the other or pipelined, until something ends it.</summary>
    private async Task ClientAsync(EndPoint proxy, Random random)
    {
        bool readsSlowly = random.Next(10) == 0;
        using var client = new RawClient(proxy, readsSlowly ? SlowReceiveBytes : 0);
        try
        {
            for (int left = random.Next(1, 12); left > 0; left--)
            {
                (string Method, string Marker)[] asked = [.. Enumerable.Range(0, random.Next(8) == 0 ? 5 : 1)
                    .Select(_ => (random.Next(8) switch { 0 => "HEAD", < 4 => "POST", 4 => "PUT", _ => "GET" },
                        $"m{Interlocked.Increment(ref _marker)}"))];
                string bytes = string.Concat(asked.Select(a => Request(a.Method, a.Marker, random)));
                if (readsSlowly)
                {
                    await client.SendAsync(bytes);
                    await Task.Delay(random.Next(150));
                    bytes = "";
                }
                switch (random.Next(40))
                {
                    case 0: // goes away in the middle of what it says
                        await client.SendAsync(bytes[..random.Next(bytes.Length)]);
                        client.Reset();
                        Count("client reset");
                        return;
                    case 1: // half-closes
                        await client.SendAsync(bytes);
                        client.ShutdownSend();
                        left = 0;
                        break;
                    case 2: // stalls, then goes away
                        await client.SendAsync(bytes[..random.Next(bytes.Length)]);
                        await Task.Delay(random.Next(600));
                        return;
                    case 3: // asks and does not wait
                        await client.SendAsync(bytes);
                        client.Reset();
                        Count("client reset");
                        return;
                    case 4: // talks nonsense, which a backend would know by its missing marker
                        await client.SendAsync(bytes + "GET /smuggled HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
                        left = 0;
                        break;
                    case 5 or 6: // writes slowly
                        await SendSlowlyAsync(client, bytes, random);
                        break;
                    default:
                        Task sending = client.SendAsync(bytes);
                        foreach ((string method, string marker) in asked)
                        {
                            if (!await ReadAnswerAsync(client, method, marker))
                            {
                                await sending;
                                return;
                            }
                        }
                        await sending;
                        continue;
                }
                foreach ((string method, string marker) in asked)
                {
                    if (!await ReadAnswerAsync(client, method, marker))
                    {
                        return;
                    }
                }
            }
        }
        catch (Exception e) when (e is IOException or SocketException or EndOfStreamException)
        {
            Count("cut");
        }
    }

    private static async Task SendSlowlyAsync(RawClient client, string bytes, Random random)
    {
        for (int at = 0; at < bytes.Length;)
        {
            int part = Math.Min(bytes.Length - at, random.Next(1, 8000));
            await client.SendAsync(bytes.Substring(at, part));
            at += part;
            await Task.Delay(random.Next(20));
        }
    }

    private static string Request(string method, string marker, Random random)
    {
        string head = $"{method} /{marker} HTTP/1.1\r\nHost: a\r\nX-Marker: {marker}\r\n";
        if (method is "GET" or "HEAD")
        {
            return head + "\r\n";
        }
        string body = Repeated(marker, random.Next(4) == 0 ? random.Next(40_000) : random.Next(300));
        string expect = random.Next(6) == 0 ? "Expect: 100-continue\r\n" : "";
        return random.Next(2) == 0 ? $"{head}{expect}Content-Length: {body.Length}\r\n\r\n{body}"
            : body.Length == 0 ? $"{head}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            : $"{head}{expect}Transfer-Encoding: chunked\r\n\r\n{body.Length:x};e=\"x\"\r\n{body}\r\n"
                + "0\r\nX-T: 1\r\n\r\n";
    }

    /// <returns>True if the connection can be used again.</returns>
    private async Task<bool> ReadAnswerAsync(RawClient client, string method, string marker)
    {
        RawResponse? response;
        do
        {
            long before = client.Reader.Received;
            Task<RawResponse?> reading = client.ReadAsync(toHead: method == "HEAD");
            for (long seen = -1; await Task.WhenAny(reading, Task.Delay(Patience)) != reading;)
            {
                long received = client.Reader.Received - before;
                Assert.True(received > seen, $"{method} {marker}: nothing in {Patience.TotalSeconds} s after "
                    + $"{received} bytes; deliveries: {_deliveries.GetValueOrDefault($"{method} {marker}")}");
                seen = received;
                Count("slow");
            }
            response = await reading;
            if (response is null)
            {
                Count("closed");
                return false;
            }
            if (response.Status is 200 or 103)
            {
                Assert.Equal(marker, response["X-Marker"]);
            }
        }
        while (response.Status < 200);

        Count(response.Status == 200 ? "whole" : $"{response.Status}");
        if (response.Status == 200 && method != "HEAD")
        {
            int times = int.Parse(response["X-Times"]!, CultureInfo.InvariantCulture);
            Assert.Equal(Repeated(marker, times), response.Text);
        }
        else if (response.Status != 200)
        {
            Assert.Contains<int>(response.Status, new[] { 400, 408, 502, 503, 504 }.AsEnumerable());
        }
        return response["Connection"] != "close";
    }

    private void Count(string outcome) => _outcomes.AddOrUpdate(outcome, 1, static (_, count) => count + 1);
}
