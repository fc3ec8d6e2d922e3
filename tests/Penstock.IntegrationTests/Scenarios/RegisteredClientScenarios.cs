using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>The keys of limits and routes, tested with a client that has its own limit.</summary>
public sealed class RegisteredClientScenarios : ProgramScenarios
{
    [Theory]
    [InlineData("memory")]
    [InlineData("sqlite:penstock.db")]
    public async Task Off_cost_statuses_and_dry_run_hold_for_registered_clients_as_documented(string store)
    {
        await using var backend = ScriptedBackend.Answer(static r => "HTTP/1.1 "
            + (r.Line.Contains("/login", StringComparison.Ordinal) ? 401 : 200) + " X\r\nContent-Length: 0\r\n\r\n");
        await using PenstockProcess penstock = await StartAsync(store, $$"""
            limits:
              default: { capacity: 3, rate: 1/h }
              logins: { capacity: 2, rate: 1/h, statuses: [401] }
              maybe: { capacity: 1, rate: 1/h, dry_run: true }
            clients: { identify: [header:X-API-Key, address] }
            upstreams: { web: { backends: [http://127.0.0.1:{{backend.Port}}] } }
            routes:
              - { path: /off, upstream: web, limit: off }
              - { path: /dear, upstream: web, cost: 3 }
              - { path: /login, upstream: web, limit: logins }
              - { path: /maybe, upstream: web, limit: maybe }
              - { upstream: web }
            """);

        // off: no limit applies to any client, and no RateLimit field is sent
        await SetAsync("off", 2);
        Assert.Equal("200 200 200 200", await StatusesAsync("off", "off", 4));
        Assert.False((await GetAsync("off", "off")).Headers.Contains("RateLimit"));
        Assert.Equal("ok", (await ExplainAsync("/off", "off")).GetProperty("verdict").GetString());
        Assert.Equal("200 200 429", await StatusesAsync("", "off", 3));
        Assert.Equal("200 200", await StatusesAsync("off", "off", 2)); // with an empty bucket, too

        // cost: taken from the client's own bucket; a cost above the capacity is always rejected, without Retry-After
        await SetAsync("dear", 7);
        Assert.Equal("200 200 429", await StatusesAsync("dear", "dear", 3));
        await SetAsync("poor", 2);
        HttpResponseMessage never = await GetAsync("dear", "poor");
        Assert.Equal(HttpStatusCode.TooManyRequests, never.StatusCode);
        Assert.False(never.Headers.Contains("Retry-After"));

        // statuses: the limit of failures applies in addition to the client's own, which every request takes from
        await SetAsync("login", 9);
        Assert.Equal("401 401 429", await StatusesAsync("login", "login", 3));
        Assert.Equal(7, await TokensAsync("login"));

        // dry_run: concerns only that limit
        await SetAsync("maybe", 3);
        Assert.Equal("200 200 200 429", await StatusesAsync("maybe", "maybe", 4));
    }

    [Theory]
    [InlineData("memory")]
    [InlineData("sqlite:penstock.db")]
    public async Task Concurrent_hidden_and_exempt_hold_for_registered_clients_as_documented(string store)
    {
        var answer = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            while (await peer.ReadRequestAsync() is { } request)
            {
                if (request.Line.Contains("/held", StringComparison.Ordinal))
                {
                    await answer.Task;
                }
                await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
            }
        });
        await using PenstockProcess penstock = await StartAsync(store, $$"""
            limits:
              default: { capacity: 3, rate: 1/h }
              held: { capacity: 1, rate: 1/h, concurrent: 1 }
              quiet: { capacity: 1, rate: 1/h, hidden: true }
            clients: { identify: [header:X-API-Key, address], exempt: [free] }
            upstreams: { web: { backends: [http://127.0.0.1:{{backend.Port}}] } }
            routes:
              - { path: /held, upstream: web, limit: held }
              - { path: /quiet, upstream: web, limit: quiet }
              - { upstream: web }
            """);

        // concurrent: the client's own tokens, and the concurrency limit
        await SetAsync("held", 9);
        Task<HttpResponseMessage> first = GetAsync("held", "held");
        await Eventually.TrueAsync(() => !backend.Heads.IsEmpty, "a request is under way");
        Assert.Equal("429 429", await StatusesAsync("held", "held", 2));
        answer.SetResult();
        Assert.Equal(HttpStatusCode.OK, (await first).StatusCode);
        Assert.Equal(8, await TokensAsync("held"));

        // hidden: the client's own limit replaces the limit, and is hidden too
        await SetAsync("quiet", 2);
        Assert.False((await GetAsync("quiet", "quiet")).Headers.Contains("RateLimit"));
        Assert.Equal("200 429", await StatusesAsync("quiet", "quiet", 2));
        Assert.True((await GetAsync("", "held")).Headers.Contains("RateLimit"));

        // exempt: overrides the client's own limit
        await SetAsync("free", 1);
        Assert.Equal("200 200 200", await StatusesAsync("", "free", 3));
        Assert.Equal(1, await TokensAsync("free"));
    }

    [Fact]
    public async Task Limits_of_the_upstream_and_of_every_request_hold_on_a_route_with_limit_off()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using PenstockProcess penstock = await StartAsync("memory", $$"""
            limits: { each: { capacity: 2, rate: 1/h }, all: { capacity: 5, rate: 1/h, by: all } }
            limit: all
            clients: { identify: [header:X-API-Key, address] }
            upstreams:
              web: { backends: [http://127.0.0.1:{{backend.Port}}], limit: each }
              free: { backends: [http://127.0.0.1:{{backend.Port}}] }
            routes:
              - { path: /free, upstream: free, limit: off }
              - { upstream: web, limit: off }
            """);
        await SetAsync("own", 3);
        Assert.Equal("200 200 200 429", await StatusesAsync("", "own", 4)); // its own stands in for the upstream's
        Assert.Equal("200 200 429", await StatusesAsync("free", "own", 3)); // all together
    }

    private async Task<PenstockProcess> StartAsync(string store, string config)
    {
        await File.WriteAllTextAsync(Path.Combine(Folder, "penstock.yaml"), $$"""
            listen: 127.0.0.1:{{Port}}
            admin: { listen: "127.0.0.1:{{AdminPort}}" }
            access_log: off
            store: {{store}}
            {{config}}
            """);
        return await PenstockProcess.StartedAsync(Folder, "run");
    }

    private async Task SetAsync(string id, int capacity) =>
        (await Http.PutAsJsonAsync(new Uri(Admin, "clients/" + id), new { capacity, rate_per_sec = 0.0001 }))
            .EnsureSuccessStatusCode();

    private async Task<double> TokensAsync(string id) => Math.Floor(
        (await Http.GetFromJsonAsync<JsonElement>(new Uri(Admin, "clients/" + id))).GetProperty("current_tokens")
            .GetDouble());

    private async Task<JsonElement> ExplainAsync(string path, string key)
    {
        HttpResponseMessage response = await Http.PostAsJsonAsync(new Uri(Admin, "explain"),
            new { path, headers = new Dictionary<string, string> { ["X-API-Key"] = key } });
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }
}
