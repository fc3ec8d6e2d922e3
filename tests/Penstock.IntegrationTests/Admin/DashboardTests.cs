using System.Net;
using System.Text.Json;
using System.Text.RegularExpressions;
using Penstock.Control;
using Penstock.Control.Config;
using Penstock.Control.Dashboard;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>The files of the dashboard, and what it reads: <c>GET /events</c>, <c>GET /history</c>,
/// <c>GET /reload</c>. Its views are tested in a browser.</summary>
public sealed partial class DashboardTests
{
    private const int MaxPageBytes = 150_000;
    private const int MatchTimeoutMs = 10_000;

    [Fact]
    public async Task Page_is_small_and_refers_to_nothing_elsewhere()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        using var http = new HttpClient { BaseAddress = admin.Host.AdminUrl };
        var files = new Dictionary<string, string> { ["/"] = await http.GetStringAsync("/") };
        for (bool found = true; found;)
        {
            found = false;
            foreach (string name in files.SelectMany(static file => Reference().Matches(file.Value))
                .Select(static match => match.Groups["name"].Value).ToHashSet())
            {
                string path = "/dashboard/" + name;
                found |= files.TryAdd(path, files.GetValueOrDefault(path) ?? await http.GetStringAsync(path));
            }
        }

        Assert.Contains("/dashboard/flow.js", files.Keys);
        Assert.Contains("/dashboard/style.css", files.Keys);
        Assert.All(files, static file => Assert.DoesNotMatch(Elsewhere(), file.Value));
        Assert.All(files, static file => Assert.DoesNotMatch(MakesHtml(), file.Value));
        Assert.InRange(files.Values.Sum(static text => text.Length), 10_000, MaxPageBytes);
    }

    [Fact]
    public async Task Page_may_run_only_its_own_scripts()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        using var http = new HttpClient { BaseAddress = admin.Host.AdminUrl };

        foreach (string path in new[] { "/", "/dashboard/app.js" })
        {
            using HttpResponseMessage response = await http.GetAsync(path);
            string policy = string.Join(", ", response.Headers.GetValues("Content-Security-Policy"));
            Assert.Contains("default-src 'none'; script-src 'self';", policy);
            Assert.Contains("frame-ancestors 'none'", policy);
            Assert.Contains("require-trusted-types-for 'script'", policy);
            Assert.DoesNotContain("unsafe", policy);
        }
        (await admin.SendAsync("GET", "/dashboard/none.js")).IsError(404);
        (await admin.SendAsync("GET", "/dashboard/..%2Fapp.js")).IsError(404);
    }

    [Fact]
    public async Task Browser_that_has_a_file_gets_it_again_only_after_it_changed()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        Answer first = await admin.SendAsync("GET", "/dashboard/app.js");

        Task<Answer> IfNot(string tag) =>
            admin.SendAsync("GET", "/dashboard/app.js", headers: ("If-None-Match", tag));
        Assert.Equal(304, (await IfNot(first.ETag!)).Status);
        Assert.Equal(200, (await IfNot("\"x\"")).Status);
    }

    [Fact]
    public async Task Page_asks_for_a_token_only_where_the_api_needs_one()
    {
        await using AdminFixture open = await AdminFixture.StartAsync();
        await using AdminFixture closed = await AdminFixture.StartAsync(token: "s3cret");

        Assert.Contains("data-token=\"no\"", (await open.SendAsync("GET", "/")).Body);
        Assert.Contains("data-token=\"yes\"", (await closed.SendAsync("GET", "/")).Body);
        Assert.NotEqual((await open.SendAsync("GET", "/")).ETag, (await closed.SendAsync("GET", "/")).ETag);
    }

    [Fact]
    public async Task Stream_says_the_state_at_once_and_again_and_again()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        using StateStream stream = await StateStream.OpenAsync(admin.Host.AdminUrl!);

        JsonElement first = (await stream.NextAsync())!.Value, second = (await stream.NextAsync())!.Value;

        Assert.Equal("text/event-stream", stream.Response.Content.Headers.ContentType!.MediaType);
        Assert.True(stream.Response.Headers.CacheControl!.NoStore);
        Assert.True(second.GetProperty("time").GetDateTimeOffset() > first.GetProperty("time").GetDateTimeOffset());
        Assert.Equal("web", first.GetProperty("routes")[0].GetProperty("upstream").GetString());
        JsonElement backend = first.GetProperty("traffic").GetProperty("upstreams")[0].GetProperty("backends")[0];
        Answer upstreams = await admin.SendAsync("GET", "/upstreams");
        Assert.True(JsonElement.DeepEquals(
            upstreams["items"][0].GetProperty("backends")[0], backend.GetProperty("status")));
    }

    [Fact]
    public async Task Requests_show_where_they_went()
    {
        await using ScriptedBackend backend = ScriptedBackend.Always("hello");
        await using AdminFixture admin = await StartAsync(backend);
        using StateStream stream = await StateStream.OpenAsync(admin.Host.AdminUrl!);
        await stream.NextAsync();
        using var client = new RawClient((IPEndPoint)admin.Host.Proxy.EndPoints.Single());
        for (int i = 0; i < 5; i++)
        {
            await client.GetAsync("/");
        }

        JsonElement state = await stream.FirstAsync(static state => state.GetProperty("requests").GetInt64() == 5);

        JsonElement traffic = state.GetProperty("traffic");
        JsonElement flow = traffic.GetProperty("flows").EnumerateArray().Single();
        Assert.Equal("*/*", flow.GetProperty("route").GetString());
        double rate = flow.GetProperty("requests_per_sec").GetDouble();
        Assert.InRange(rate, 0.01, 100);
        Assert.Equal(rate, traffic.GetProperty("all").GetProperty("requests_per_sec").GetDouble());
        Assert.Equal(rate, traffic.GetProperty("by_status").GetProperty("2xx").GetDouble(), 0.1);
        JsonElement rates = traffic.GetProperty("upstreams")[0].GetProperty("backends")[0].GetProperty("rates");
        Assert.Equal(rate, rates.GetProperty("requests_per_sec").GetDouble(), 0.1);
        Assert.True(rates.GetProperty("p50_ms").GetDouble() > 0);
    }

    [Fact]
    public async Task What_happens_is_said_soon()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        await admin.CreateAsync("alice");
        using StateStream stream = await StateStream.OpenAsync(admin.Host.AdminUrl!);
        await stream.NextAsync();

        await admin.SendAsync("PATCH", "/upstreams/web/backends/127.0.0.1:9", """{"state":"drain"}""");

        JsonElement state = await stream.FirstAsync(static state => state.GetProperty("marks").EnumerateArray()
            .Any(static mark => mark.GetProperty("event").GetString() == "admin_change"
                && mark.GetProperty("text").GetString()!.Contains("PATCH", StringComparison.Ordinal)));
        JsonElement backend = state.GetProperty("traffic").GetProperty("upstreams")[0].GetProperty("backends")[0];
        Assert.Equal("drain", backend.GetProperty("status").GetProperty("state").GetString());
        Assert.Equal("alice", state.GetProperty("lowest")[0].GetProperty("client").GetString());
        Assert.Equal(50, state.GetProperty("lowest")[0].GetProperty("tokens").GetDouble(), 1);
    }

    [Fact]
    public async Task Stream_ends_when_other_tokens_come_into_force()
    {
        PenstockConfig config = AdminFixture.Config(token: "old");
        await using AdminFixture admin = await AdminFixture.StartAsync(token: "old", reload: now => now with
        {
            Admin = config.Admin with { Token = "new" },
        });
        using StateStream stream = await StateStream.OpenAsync(admin.Host.AdminUrl!, "old");
        Assert.NotNull(await stream.NextAsync());

        Assert.Null(admin.Host.Reloader.Reload().Error);

        while (await stream.NextAsync() is not null)
        {
        }
        using StateStream rejected = await StateStream.OpenAsync(admin.Host.AdminUrl!, "old");
        Assert.Equal(HttpStatusCode.Unauthorized, rejected.Response.StatusCode);
    }

    [Fact]
    public async Task Stream_ends_when_penstock_stops()
    {
        AdminFixture admin = await AdminFixture.StartAsync();
        using StateStream stream = await StateStream.OpenAsync(admin.Host.AdminUrl!);
        await stream.NextAsync();

        await admin.DisposeAsync();

        while (await stream.NextAsync() is not null)
        {
        }
    }

    [Fact]
    public async Task Head_of_the_stream_is_answered_at_once()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();

        Answer answer = await admin.SendAsync("HEAD", "/events");

        Assert.Equal((200, "text/event-stream", ""), (answer.Status, answer.Type, answer.Body));
    }

    [Fact]
    public async Task Nothing_is_read_for_nobody()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        using (StateStream stream = await StateStream.OpenAsync(admin.Host.AdminUrl!))
        {
            await stream.NextAsync();
            Assert.Equal(1, admin.Host.Dashboard!.Readers);
        }

        await Eventually.TrueAsync(() => admin.Host.Dashboard!.Readers == 0, "the reader that has left is forgotten");
    }

    [Fact]
    public async Task History_has_what_the_stream_said()
    {
        var time = new ManualTime();
        await using AdminFixture admin = await AdminFixture.StartAsync(time: time);
        using (var client = new RawClient((IPEndPoint)admin.Host.Proxy.EndPoints.Single()))
        {
            Assert.Equal(503, (await client.GetAsync("/")).Status);
        }
        await Eventually.TrueAsync(() => admin.Host.Proxy.Requests == 1, "the request is counted");

        JsonElement history = default;
        await Eventually.TrueAsync(async () =>
        {
            time.Advance(TimeSpan.FromSeconds(1));
            history = (await admin.SendAsync("GET", "/history")).Json;
            return history.GetProperty("times").GetArrayLength() > 0;
        }, "a step has ended");

        Assert.Equal(0.2, history.GetProperty("by_status").GetProperty("5xx")[0].GetDouble(), 0.15);
        Assert.Equal(5, history.GetProperty("step_seconds").GetInt32());
        (await admin.SendAsync("GET", "/history?window=1h")).HasFaults("window must be 15m or 24h");
        Assert.Equal(300, (await admin.SendAsync("GET", "/history?window=24h"))["step_seconds"].GetInt32());
    }

    [Fact]
    public async Task Last_reload_is_shown_with_its_faults()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        Assert.Equal(JsonValueKind.Null, (await admin.SendAsync("GET", "/reload"))["time"].ValueKind);

        await admin.SendAsync("POST", "/reload");

        Answer last = await admin.SendAsync("GET", "/reload");
        Assert.Contains("there is no file", last["error"].GetString());
        Assert.NotEqual(JsonValueKind.Null, last["time"].ValueKind);
    }

    private static Task<AdminFixture> StartAsync(ScriptedBackend backend) => AdminFixture.StartAsync(change: config =>
        config with
        {
            Proxy = config.Proxy with
            {
                Upstreams = [new() { Name = "web", Backends = [new() { Host = "127.0.0.1", Port = backend.Port }] }],
            },
        });

    /// <summary>A file of the dashboard that another one names.</summary>
    [GeneratedRegex("""(dashboard/|from '\./)(?<name>[a-z-]+\.[a-z]+)""", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Reference();

    /// <summary>An address of another site, but not the name of SVG.</summary>
    [GeneratedRegex("""(https?:)?//(?!www\.w3\.org/2000/svg)[a-z0-9.-]+\.[a-z]{2,}""",
        RegexOptions.IgnoreCase | RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Elsewhere();

    [GeneratedRegex("innerHTML|outerHTML|insertAdjacentHTML|document\\.write|eval\\(|new Function", RegexOptions.None,
        MatchTimeoutMs)]
    private static partial Regex MakesHtml();
}
