using System.Net.Sockets;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Health;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Health;

/// <summary>One check of one backend, over a real socket.</summary>
public sealed class HealthProbeTests
{
    private static readonly HealthCheckConfig Get = new() { Path = "/health" };

    private readonly ManualTime _time = new();

    [Fact]
    public async Task Request_is_as_configured()
    {
        await using var backend = ScriptedBackend.Always("ok");
        CheckResult result = await CheckAsync(backend.Port, Get with
        {
            Path = "/up?x=1", Method = "OPTIONS", Fields = [new("Host", "app.internal"), new("X-Key", "a b")],
        });
        Assert.Equal(CheckResult.Passed, result);
        string head = Assert.Single(backend.Heads);
        Assert.StartsWith("OPTIONS /up?x=1 HTTP/1.1\r\n", head, StringComparison.Ordinal);
        Assert.Equal(("app.internal", "a b", "penstock-health-check"),
            (Wire.Field(head, "Host"), Wire.Field(head, "X-Key"), Wire.Field(head, "User-Agent")));
    }

    [Theory]
    [InlineData(200, null)]
    [InlineData(302, null)]
    [InlineData(399, null)]
    [InlineData(400, "status 400")]
    [InlineData(503, "status 503")]
    public async Task Default_expects_success_or_a_redirection(int status, string? cause)
    {
        await using var backend = ScriptedBackend.Answer(_ => $"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        Assert.Equal(cause, (await CheckAsync(backend.Port, Get)).Cause);
    }

    [Theory]
    [InlineData(204, null)]
    [InlineData(401, null)]
    [InlineData(200, "status 200")]
    public async Task Expected_statuses_are_those_configured(int status, string? cause)
    {
        await using var backend = ScriptedBackend.Answer(_ => $"HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
        Assert.Equal(cause,
            (await CheckAsync(backend.Port, Get with { ExpectStatus = [new(201, 299), new(401, 401)] })).Cause);
    }

    /// <summary>Wherever the text stands in the body, also over the edge of two packets, up to the bound.</summary>
    [Theory]
    [InlineData(0, true)]
    [InlineData(30_000, true)]
    [InlineData((64 * 1024) - 5, true)]
    [InlineData((64 * 1024) - 4, false)]
    [InlineData(90_000, false)]
    public async Task Expected_text_is_looked_for_in_the_first_64_KiB(int at, bool found)
    {
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + new string('.', at) + "all");
            await peer.SendAsync("ok" + new string('.', 100_000 - at - 5));
        });
        CheckResult result = await CheckAsync(backend.Port, Get with { ExpectBody = "allok" });
        Assert.Equal(found ? null : "the body does not contain 'allok'", result.Cause);
    }

    [Fact]
    public async Task Timeout_holds_for_the_body_too()
    {
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf");
            await peer.ReadHeadAsync();
        });
        Assert.Equal(CheckResult.Failed("no answer in 1000 ms"),
            await WhileTimePassesAsync(CheckAsync(backend.Port, Get with { ExpectBody = "ok" })));
    }

    [Fact]
    public async Task Time_in_which_we_did_not_run_does_not_count()
    {
        var asked = new TaskCompletionSource();
        var answer = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            await peer.ReadRequestAsync();
            asked.SetResult();
            await answer.Task;
            await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        });
        Task<CheckResult> check = CheckAsync(backend.Port, Get);
        await asked.Task;
        _time.Advance(TimeSpan.FromSeconds(10)); // stopped by a signal: the timer of 1 s fires 9 s late
        answer.SetResult();
        Assert.Equal(CheckResult.Passed, await check);
    }

    [Fact]
    public async Task Backend_that_never_answers_fails_also_after_a_delay_of_our_own()
    {
        await using var backend = new ScriptedBackend(static peer => peer.ReadHeadAsync().ContinueWith(
            _ => peer.ReadHeadAsync(), TaskScheduler.Default).Unwrap());
        Task<CheckResult> check = CheckAsync(backend.Port, Get);
        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal(CheckResult.Failed("no answer in 1000 ms"), await WhileTimePassesAsync(check));
    }

    [Fact]
    public async Task Tcp_check_only_connects()
    {
        await using var backend = ScriptedBackend.Always("ok");
        Assert.Equal(CheckResult.Passed, await CheckAsync(backend.Port, new HealthCheckConfig()));
        Assert.Empty(backend.Heads);
    }

    [Fact]
    public async Task Refused_connection_is_told_as_such()
    {
        int port;
        using (var listener = new TcpListener(System.Net.IPAddress.Loopback, 0))
        {
            listener.Start();
            port = ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
        }
        Assert.Equal(CheckResult.Failed("connection refused"), await CheckAsync(port, Get));
        Assert.Equal(CheckResult.Failed("connection refused"), await CheckAsync(port, new HealthCheckConfig()));
    }

    [Theory]
    [InlineData(SocketError.TooManyOpenSockets, (int)CheckVerdict.Inconclusive)]
    [InlineData(SocketError.AddressNotAvailable, (int)CheckVerdict.Inconclusive)]
    [InlineData(SocketError.NoBufferSpaceAvailable, (int)CheckVerdict.Inconclusive)]
    [InlineData(SocketError.ConnectionReset, (int)CheckVerdict.Failed)]
    [InlineData(SocketError.HostUnreachable, (int)CheckVerdict.Failed)]
    public void Want_of_our_own_means_says_nothing_of_the_backend(SocketError error, int verdict) =>
        Assert.Equal((CheckVerdict)verdict, HealthProbe.Judge(new SocketException((int)error)).Verdict);

    private async Task<CheckResult> CheckAsync(int port, HealthCheckConfig check)
    {
        using var selfDelay = new SelfDelay(_time);
        using var probe = new HealthProbe(new Backend("web", TestProxy.Backend(port)), check, _time, selfDelay);
        return await probe.RunAsync(TestContext.Current.CancellationToken);
    }

    private async Task<CheckResult> WhileTimePassesAsync(Task<CheckResult> check)
    {
        await Eventually.TrueAsync(
            () =>
            {
                _time.Advance(TimeSpan.FromMilliseconds(50));
                return check.IsCompleted;
            }, "the check ends");
        return await check;
    }
}
