using System.Diagnostics;
using System.Text;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>A keep-alive request allocates no byte on the loop's thread.</summary>
public sealed class AllocationTests
{
    private const int WarmUp = 3_000;
    private const int Measured = 10_000;
    private const int Rounds = 3;

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nX-Client-ID: known\r\nX-Request-Id: 42\r\nCookie: a\r\n\r\n", 200)]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody", 200)]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n", 200)]
    [InlineData("GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n", 200)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nX-Client-ID: poor\r\n\r\n", 429)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nX-Client-ID: blocked\r\n\r\n", 403)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nX-Client-ID: exempt\r\n\r\n", 200)]
    [InlineData("GET /v1/x?x=1 HTTP/1.1\r\nHost: a.b\r\nX: 1\r\nCookie: a\r\nX-Client-ID: gold\r\n\r\n", 200)]
    [InlineData("GET / HTTP/1.1\r\nHost: elsewhere\r\n\r\n", 404)]
    [InlineData("GET /v1/%61//b;c?x=%31 HTTP/1.1\r\nHost: a.b\r\nX: 1\r\nCookie: a\r\n\r\n", 200)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nReferer: b\r\nUser-Agent: c\r\n\r\n", 200, "combined")]
    [InlineData("GET /v1/x?x=1&api_key=1 HTTP/1.1\r\nHost: a.b\r\nX: 1\r\nCookie: a\r\n\r\n", 200, "$")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nX-Client-ID: poor\r\n\r\n", 429, "$")]
    public async Task Keep_alive_request_allocates_nothing(string request, int status, string? format = null)
    {
        await using var backend = ScriptedBackend.Answer(static r => r.Line.Contains("/chunked")
            ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
            : "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        string log = Path.GetTempFileName();
        await using var proxy = new TestProxy(TestProxy.Config(backend.Port) with
        {
            Limits = new Dictionary<string, LimitConfig>
            {
                ["default"] = new(1_000_000_000, 1_000_000),
                ["slots"] = new(0, 0) { By = LimitKey.Address, Concurrent = 9 },
                ["failures"] = new(1_000_000, 1) { CountsStatuses = [200] },
                ["dry"] = new(5, 0.001) { DryRun = true },
                ["all"] = new(1_000_000_000, 1_000_000) { By = LimitKey.All },
            },
            Routes = [new RouteConfig { Host = "a", Upstream = "web" }, Elaborate],
            Clients = new ClientsConfig
            {
                Identify = [new IdentitySource(IdentityKind.Header, "X-Client-ID"),
                    new IdentitySource(IdentityKind.Address, "")],
            },
            AccessLog = new()
            {
                To = AccessLogTarget.File(log),
                Format = format == "$" ? "$" + string.Join(" $", AccessLogRules.Variables) : format,
                ShowsQuery = true,
                Statuses = [new(100, 599)],
                Samples = [new(new(429, 429), 3)],
            },
        });
        proxy.Server.Limiter.Clients.Register("known", new LimitConfig(1_000_000, 1_000_000));
        proxy.Server.Limiter.Clients.Register("poor", new LimitConfig(1, 0.0001), 0);
        proxy.Server.Limiter.Clients.Register("blocked", new LimitConfig(1, 1), 0,
            new() { Access = ClientAccess.Blocked });
        proxy.Server.Limiter.Clients.Register("exempt", new LimitConfig(1, 1), 0,
            new() { Access = ClientAccess.Exempt });
        proxy.Server.Limiter.Clients.Register("gold", new LimitConfig(1_000_000, 1_000_000), null, new()
        {
            Plan = "gold",
            Limits = [new("default", new(1_000_000, 1_000_000)), new("failures", new(1_000_000, 1))],
        });

        using RawClient client = proxy.Connect();
        byte[] bytes = Encoding.ASCII.GetBytes(request);
        string seen = Exchange(client.Stream, bytes, WarmUp);
        Assert.StartsWith($"HTTP/1.1 {status} ", seen);

        // Reading the counter twice allocates a little, and so does what the loop does by the clock, such as notes of
        // rejections: on a slow machine that is more per request. So the best of some rounds counts. The smallest
        // object in every fiftieth request would be too much.
        const int NoiseBytes = 4_800;
        const int NoiseBytesPerSecond = 1_000;
        long allocated = long.MaxValue;
        for (int round = 0; round < Rounds && allocated > NoiseBytes; round++)
        {
            var watch = Stopwatch.StartNew();
            long before = await proxy.AllocatedOnLoopAsync();
            Exchange(client.Stream, bytes, Measured);
            long byTheClock = (long)(watch.Elapsed.TotalSeconds * NoiseBytesPerSecond);
            allocated = Math.Min(allocated, Math.Max(0, await proxy.AllocatedOnLoopAsync() - before - byTheClock));
        }
        Assert.InRange(allocated, 0, NoiseBytes - 1);
        File.Delete(log);
    }

    private static RouteConfig Elaborate => new()
    {
        Host = "*.b",
        Path = "/v1/*",
        Methods = ["HEAD", "GET"],
        Headers = [new("X", "1"), new("Cookie", null)],
        Query = [new("x", "1")],
        Upstream = "web",
        Limits = ["default", "slots", "failures", "dry", "all"],
        Cost = 3,
        Timeouts = new() { Connect = TimeSpan.FromSeconds(1), Response = TimeSpan.FromSeconds(3) },
        Rewrite = new() { StripPrefix = "/v1", AddPrefix = "/api" },
        RequestHeaders = new() { Set = [new("Host", "c"), new("X", "2")], Remove = ["Cookie"] },
        ResponseHeaders = new() { Add = [new("X", "3")], Remove = ["Server"] },
    };

    private static string Exchange(Stream stream, byte[] request, int times)
    {
        byte[] buffer = new byte[4096];
        int length = 0;
        for (int i = 0; i < times; i++)
        {
            stream.Write(request);
            length = 0;
            do
            {
                int count = stream.Read(buffer.AsSpan(length));
                Assert.True(count > 0, "the connection has ended");
                length += count;
            }
            while (!IsWhole(buffer.AsSpan(0, length)));
        }
        return Encoding.ASCII.GetString(buffer, 0, length);
    }

    private static bool IsWhole(ReadOnlySpan<byte> response)
    {
        int end = response.IndexOf("\r\n\r\n"u8);
        return end >= 0
            && (response.EndsWith("hello"u8) || response.EndsWith("0\r\n\r\n"u8) || response.EndsWith("}"u8));
    }
}
