using System.Net;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>Routes over real sockets: what backends see, and that no spelling gets past a limit.</summary>
public sealed class RouteTests
{
    [Fact]
    public async Task Conditions_on_method_headers_and_query_choose_the_upstream()
    {
        await using var canary = ScriptedBackend.Always("canary");
        await using var writes = ScriptedBackend.Always("writes");
        await using var web = ScriptedBackend.Always("web");
        await using var proxy = new TestProxy(Config(("canary", canary), ("writes", writes), ("web", web)) with
        {
            Routes =
            [
                new RouteConfig { Upstream = "web" },
                new RouteConfig { Upstream = "writes", Path = "/v1/*", Methods = ["PUT", "DELETE"] },
                new RouteConfig { Upstream = "canary", Path = "/v1/*", Headers = [new("X-Version", "2")] },
                new RouteConfig { Upstream = "canary", Path = "/v1/*", Query = [new("preview", null)] },
            ],
        });
        using RawClient client = proxy.Connect();
        Assert.Equal("web", (await client.GetAsync("/v1/a")).Text);
        Assert.Equal("web", (await client.GetAsync("/v1/a", "X-Version: 1\r\n")).Text);
        Assert.Equal("canary", (await client.GetAsync("/v1", "x-version: 2\r\n")).Text);
        Assert.Equal("canary", (await client.GetAsync("/v1/a?x&previe%77")).Text);
        await client.SendAsync("DELETE /v1/a HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.Equal("writes", (await client.ReadAsync())!.Text);
        await proxy.AssertQuietAsync();
    }

    [Trait("tls", "no")]
    [Fact]
    public async Task Rewritten_request_and_response_are_what_the_route_says()
    {
        await using var backend = ScriptedBackend.Always("ok", "Server: secret\r\nLocation: /v1/x\r\n");
        await using var proxy = new TestProxy(TestProxy.Config(backend.Port) with
        {
            Routes =
            [
                new RouteConfig
                {
                    Path = "/v1/*", Upstream = "web", Rewrite = new() { StripPrefix = "/v1", AddPrefix = "/api" },
                    RequestHeaders = new() { Set = [new("Host", "inner"), new("X-User", "us")], Remove = ["Cookie"] },
                    ResponseHeaders = new() { Add = [new("X-Frame-Options", "DENY")], Remove = ["Server"] },
                },
            ],
        });
        using RawClient client = proxy.Connect();
        await client.SendAsync("POST /v1/a%2Fb?c=/v1 HTTP/1.1\r\nHost: outer\r\nCookie: a\r\nX_User: them\r\n"
            + "Content-Length: 4\r\n\r\nbody");
        RawResponse response = (await client.ReadAsync())!;

        string[] lines = Assert.Single(backend.Heads).Split("\r\n");
        Assert.Equal(["POST /api/a%2Fb?c=/v1 HTTP/1.1", "Host: inner", "Content-Length: 4",
            "X-Forwarded-For: 127.0.0.1", "X-Forwarded-Proto: http", "X-Forwarded-Host: outer", "X-User: us",
            "X-Request-Id: " + response["X-Request-Id"], "Via: 1.1 penstock"], lines);
        Assert.Equal(("ok", "DENY", null, "/v1/x"),
            (response.Text, response["X-Frame-Options"], response["Server"], response["Location"]));

        RawResponse ours = await client.GetAsync("/v2");
        Assert.Equal((404, null), (ours.Status, ours["X-Frame-Options"]));
    }

    /// <summary>Every spelling either takes a token of the limit for /search/*, or reaches no backend.</summary>
    [Theory]
    [InlineData("/search", true)]
    [InlineData("/%73earch/a", true)]
    [InlineData("/search//a", true)]
    [InlineData("/search/./%2e/a", true)]
    [InlineData("//search/a", false)]
    [InlineData("/x/../search/a", false)]
    [InlineData("/x/%2e%2e/search/a", false)]
    [InlineData("/x/..%2fsearch/a", false)]
    [InlineData("/x/..;/search/a", false)]
    [InlineData("/search;x/a", false)]
    [InlineData("/search%2Fa", false)]
    [InlineData("/search\\a", false)]
    [InlineData("/search/..", false)]
    [InlineData("/x/%00/../search", false)]
    public async Task Limited_path_in_another_spelling_is_limited_or_rejected(string path, bool limited)
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(TestProxy.Config(backend.Port) with
        {
            Limits = new Dictionary<string, LimitConfig> { ["one"] = new(1, 0.0001), ["default"] = new(1000, 1000) },
            Routes =
            [
                new RouteConfig { Path = "/search/*", Upstream = "web", Limits = ["one"] },
                new RouteConfig { Upstream = "web" },
            ],
        });
        Assert.Equal(200, (await proxy.GetAsync("/search/a")).Status);
        Explanation said = await proxy.Server.ExplainAsync(new("GET", "test", path, [], IPAddress.Loopback));
        Assert.Equal(limited ? "rate_limited" : "bad_request", said.Verdict);
        RawResponse again = await proxy.GetAsync(path);

        Assert.Equal(limited ? 429 : 400, again.Status);
        Assert.Equal(!limited, again.Text.Contains("\"fault\":\"path_ambiguous\"", StringComparison.Ordinal));
        Assert.Single(backend.Heads);
        Assert.Equal(200, (await proxy.GetAsync("/x/../y%2Fz;1")).Status);
        Assert.StartsWith("GET /x/../y%2Fz;1 HTTP/1.1\r\n", backend.Heads.Last());
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Response_timeout_of_a_route_holds_for_it_alone()
    {
        var released = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            while (await peer.ReadRequestAsync() is { } request)
            {
                if (request.Line.Contains("/slow", StringComparison.Ordinal))
                {
                    await released.Task;
                }
                await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        await using var proxy = new TestProxy(TestProxy.Config(backend.Port) with
        {
            Routes =
            [
                new RouteConfig
                {
                    Path = "/slow/short", Upstream = "web",
                    Timeouts = new() { Response = TimeSpan.FromMilliseconds(50) },
                },
                new RouteConfig { Upstream = "web" },
            ],
        });
        Task<RawResponse> patient = proxy.GetAsync("/slow/long");
        Assert.Equal(504, (await proxy.GetAsync("/slow/short")).Status);
        Assert.False(patient.IsCompleted);
        released.SetResult();
        Assert.Equal(200, (await patient).Status);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Connect_timeout_of_a_route_holds_for_it()
    {
        using FullListener full = await FullListener.StartAsync();
        ProxyConfig config = TestProxy.Config(full.Port);
        await using var proxy = new TestProxy(config with
        {
            Timeouts = config.Timeouts with { Connect = TimeSpan.FromHours(1) },
            Routes =
            [
                new RouteConfig { Upstream = "web", Timeouts = new() { Connect = TimeSpan.FromMilliseconds(50) } },
            ],
        });
        Assert.Equal(503, (await proxy.GetAsync().WaitAsync(TimeSpan.FromSeconds(10))).Status);
    }

    [Fact]
    public async Task Name_of_a_route_stands_in_the_access_log()
    {
        await using var backend = ScriptedBackend.Always("ok");
        string log = Path.GetTempFileName();
        await using (var proxy = new TestProxy(TestProxy.Config(backend.Port) with
        {
            AccessLog = new() { To = AccessLogTarget.File(log) },
            Routes =
            [
                new RouteConfig { Upstream = "web", Name = "shop", Path = "/shop/*" },
                new RouteConfig { Upstream = "web", Methods = ["GET", "HEAD"], Headers = [new("X", "1")] },
            ],
        }))
        {
            await proxy.GetAsync("/shop");
            await proxy.GetAsync("/", "X: 1\r\n");
        }
        string[] lines = await File.ReadAllLinesAsync(log);
        Assert.Contains("\"route\":\"shop\"", lines[0]);
        Assert.Contains("\"route\":\"GET,HEAD */* X:1\"", lines[1]);
        File.Delete(log);
    }

    private static ProxyConfig Config(params (string Name, ScriptedBackend Backend)[] upstreams) =>
        TestProxy.Config() with
        {
            Upstreams = [.. upstreams.Select(static u =>
                new UpstreamConfig { Name = u.Name, Backends = [TestProxy.Backend(u.Backend.Port)] })],
        };
}
