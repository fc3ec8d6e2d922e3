using System.Net;
using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>Limits as an operator writes them, on the real program.</summary>
public sealed class LimitScenarios : ProgramScenarios
{
    private const string Key = "k-3f9a0c71d2";

    [Fact]
    public async Task Several_limits_on_one_request_are_charged_together_and_the_rejecting_limit_is_named()
    {
        await using var backend = ScriptedBackend.Answer(static r =>
            "HTTP/1.1 " + (r.Line.Contains("/login", StringComparison.Ordinal) ? 401 : 200)
            + " X\r\nContent-Length: 0\r\n\r\n");
        await using PenstockProcess penstock = await StartAsync($$"""
            limits:
              default: { capacity: 100, rate: 1/h }
              search: { capacity: 10, rate: 1/h }
              login: { capacity: 3, rate: 1/h, by: address, statuses: [401, 403] }
              site: { capacity: 40, rate: 1/h, by: all, hidden: true }
              next: { capacity: 9, rate: 1/h, dry_run: true }
            limit: site
            clients: { identify: [header:X-API-Key, address], exempt: [monitor] }
            upstreams: { web: { backends: [http://127.0.0.1:{{backend.Port}}], limit: next } }
            routes:
              - { path: /search, upstream: web, limit: [default, search], cost: 4 }
              - { path: /login, upstream: web, limit: [default, login] }
              - { path: /free, upstream: web, limit: off }
              - { upstream: web }
            """);

        // Two searches of 4 tokens fit into 10; the third is rejected by 'search' and takes nothing from the others.
        HttpResponseMessage searched = await GetAsync("search");
        Assert.Equal("\"default\";q=100;w=360000, \"search\";q=10;w=36000", Field(searched, "RateLimit-Policy"));
        Assert.StartsWith("\"default\";r=96;t=", Field(searched, "RateLimit"), StringComparison.Ordinal);
        Assert.Contains(", \"search\";r=6;t=", Field(searched, "RateLimit"), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync("search")).StatusCode);
        HttpResponseMessage rejected = await GetAsync("search");
        Assert.Equal(HttpStatusCode.TooManyRequests, rejected.StatusCode);
        JsonElement body = await rejected.Content.ReadFromJsonAsync<JsonElement>();
        Assert.Equal("search", body.GetProperty("limit").GetString());
        Assert.Equal(4, body.GetProperty("cost").GetInt32());
        int retryAfter = body.GetProperty("retry_after").GetInt32();
        Assert.InRange(retryAfter, 7000, 7200); // 2 of 4 tokens are there, and what came back since
        Assert.Equal($"{retryAfter}", Field(rejected, "Retry-After"));

        // Only failures count at /login: three, then the address waits; other pages go on.
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(HttpStatusCode.Unauthorized, (await GetAsync("login")).StatusCode);
        }
        Assert.Equal(HttpStatusCode.TooManyRequests, (await GetAsync("login", Key)).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await GetAsync("free")).StatusCode);

        JsonElement explained = await ExplainAsync("/search");
        Assert.Equal("rate_limited", explained.GetProperty("verdict").GetString());
        Assert.Equal("search", explained.GetProperty("limit").GetString());
        Assert.Equal("""
            default 89 True, search 2 False, site 28 True, next 0 False
            """, string.Join(", ", explained.GetProperty("limits").EnumerateArray().Select(static l =>
                $"{l.GetProperty("name").GetString()} {Math.Floor(l.GetProperty("tokens").GetDouble())} "
                + $"{l.GetProperty("admits").GetBoolean()}")));

        // All together: 40, of which 12 are gone; an exempt client is under none.
        int admitted = 0;
        for (int i = 0; i < 35; i++)
        {
            admitted += (await GetAsync("free")).StatusCode == HttpStatusCode.OK ? 1 : 0;
        }
        Assert.Equal(28, admitted);
        HttpResponseMessage exempt = await GetAsync("free", "monitor");
        Assert.Equal(HttpStatusCode.OK, exempt.StatusCode);
        Assert.False(exempt.Headers.Contains("RateLimit"));

        await AssertRejectionsAsync();
        penstock.Signal("TERM");
        Assert.Equal(0, await penstock.ExitCodeAsync());
        string log = await File.ReadAllTextAsync(Path.Combine(Folder, "access.log"));
        Assert.Contains("\"dry_run_rejects\":\"next\",\"reason\":\"ok\"", log, StringComparison.Ordinal);
        Assert.Contains("\"limit\":\"site\",\"tokens_left\":0,\"reason\":\"rate_limited\"", log,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Key_that_is_registered_by_its_hash_is_known_and_never_written_down()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using PenstockProcess penstock = await StartAsync($$"""
            limits: { default: { capacity: 2, rate: 1/h } }
            limit_fields: both
            clients: { identify: [header:X-API-Key, address] }
            backends: [http://127.0.0.1:{{backend.Port}}]
            """);
        string hash = "sha256:" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(Key)));
        HttpResponseMessage registered = await Http.PostAsJsonAsync(new Uri(Admin, "clients"),
            new { client_id = hash, capacity = 5, rate_per_sec = 0.001 });
        registered.EnsureSuccessStatusCode();

        HttpResponseMessage known = await GetAsync("", Key);
        Assert.Equal("\"client\";q=5;w=5000", Field(known, "RateLimit-Policy"));
        Assert.Equal(("5", "4", "1000"), (Field(known, "X-RateLimit-Limit"), Field(known, "X-RateLimit-Remaining"),
            Field(known, "X-RateLimit-Reset")));
        Assert.Equal("\"default\";q=2;w=7200", Field(await GetAsync("", hash), "RateLimit-Policy")); // not a credential
        for (int i = 0; i < 5; i++)
        {
            await GetAsync("", Key);
        }
        HttpResponseMessage rejected = await GetAsync("", Key);
        Assert.Equal(hash, (await rejected.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("client").GetString());
        Assert.Contains(await ItemsAsync("rejections"), r => r.GetProperty("client").GetString() == hash);

        penstock.Signal("TERM");
        Assert.Equal(0, await penstock.ExitCodeAsync());
        foreach (string file in Directory.GetFiles(Folder))
        {
            Assert.DoesNotContain(Key, await File.ReadAllTextAsync(file, Encoding.Latin1), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Requests_at_the_same_time_are_bounded_per_client_and_every_end_frees_a_slot()
    {
        var answer = new TaskCompletionSource();
        await using var backend = new ScriptedBackend(async peer =>
        {
            while (await peer.ReadRequestAsync() is { } request)
            {
                if (request.Line.Contains("/cut", StringComparison.Ordinal))
                {
                    peer.Reset();
                    return;
                }
                await answer.Task;
                await peer.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
            }
        });
        await using PenstockProcess penstock = await StartAsync($$"""
            limits: { default: { concurrent: 3 } }
            clients: { identify: [header:X-API-Key, address], unknown: own }
            backends: [http://127.0.0.1:{{backend.Port}}]
            retries: off
            """);
        var server = new IPEndPoint(IPAddress.Loopback, Port);
        List<RawClient> held = [.. Enumerable.Range(0, 3).Select(_ => new RawClient(server))];
        foreach (RawClient client in held)
        {
            await client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: a\r\n\r\n");
        }
        await Eventually.TrueAsync(() => backend.Heads.Count == 3, "three requests are under way");

        HttpResponseMessage rejected = await GetAsync("", "a");
        Assert.Equal(HttpStatusCode.TooManyRequests, rejected.StatusCode);
        Assert.Equal("\"default\";q=3;qu=\"concurrent-requests\"", Field(rejected, "RateLimit-Policy"));
        Assert.Equal("\"default\";r=0", Field(rejected, "RateLimit"));
        Assert.Equal("1", Field(rejected, "Retry-After"));
        Assert.Equal("Too many requests at the same time",
            (await rejected.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("message").GetString());
        Assert.Equal(HttpStatusCode.BadGateway, (await GetAsync("cut", "b")).StatusCode); // another client's own

        held[0].Reset(); // a client that goes away, and responses that end
        answer.SetResult();
        Assert.Equal(200, (await held[1].ReadAsync())!.Status);
        Assert.Equal(200, (await held[2].ReadAsync())!.Status);
        for (int i = 0; i < 8; i++)
        {
            Assert.Equal(HttpStatusCode.BadGateway, (await GetAsync("cut", "a")).StatusCode);
        }
        await Eventually.TrueAsync(async () =>
            (await ExplainAsync("/", "a")).GetProperty("limits")[0].GetProperty("in_flight").GetInt32() == 0,
            "nothing is under way any more");
        held.ForEach(static c => c.Dispose());
    }

    private async Task AssertRejectionsAsync()
    {
        JsonElement[] rejections = await ItemsAsync("rejections");
        Assert.Contains(rejections, static r => r.GetProperty("limit").GetString() == "next"
            && r.GetProperty("dry_run").GetBoolean());
        JsonElement search = rejections.Single(static r => r.GetProperty("limit").GetString() == "search");
        Assert.Equal("127.0.0.1", search.GetProperty("client").GetString());
        Assert.Equal("address", search.GetProperty("identified_by").GetString());
        Assert.Equal((2, 4, 7200), (search.GetProperty("tokens").GetInt32(), search.GetProperty("cost").GetInt32(),
            search.GetProperty("retry_after").GetInt32()));
        Assert.Contains(await ItemsAsync("rejections/top"), static c => c.GetProperty("limit").GetString() == "site"
            && c.GetProperty("rejected").GetInt32() == 7 && c.GetProperty("error").GetInt32() == 0);
    }

    private async Task<PenstockProcess> StartAsync(string config)
    {
        await File.WriteAllTextAsync(Path.Combine(Folder, "penstock.yaml"), $$"""
            listen: 127.0.0.1:{{Port}}
            admin: { listen: "127.0.0.1:{{AdminPort}}" }
            access_log: ./access.log
            store: sqlite:penstock.db
            {{config}}
            """);
        return await PenstockProcess.StartedAsync(Folder, "run");
    }

    private async Task<JsonElement> ExplainAsync(string path, string? key = null)
    {
        Dictionary<string, string> headers = key is null ? [] : new() { ["X-API-Key"] = key };
        HttpResponseMessage response = await Http.PostAsJsonAsync(new Uri(Admin, "explain"),
            new { method = "GET", host = "a", path, headers, client_address = "127.0.0.1" });
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }

    private async Task<JsonElement[]> ItemsAsync(string path) =>
        [.. (await Http.GetFromJsonAsync<JsonElement>(new Uri(Admin, path))).GetProperty("items").EnumerateArray()];

    private static string Field(HttpResponseMessage response, string name) =>
        string.Join(", ", response.Headers.GetValues(name));
}
