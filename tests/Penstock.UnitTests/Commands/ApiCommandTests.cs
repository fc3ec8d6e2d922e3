using System.Text.Json.Nodes;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Commands;

/// <summary>The commands that show a running Penstock, against an admin API whose answers a test writes.</summary>
public sealed class ApiCommandTests : IAsyncLifetime
{
    private FakeAdminApi _api = null!;

    public async ValueTask InitializeAsync() => _api = await FakeAdminApi.StartAsync();

    public ValueTask DisposeAsync() => _api.DisposeAsync();

    [Fact]
    public async Task Status_is_one_screen()
    {
        _api.Shows(FakeAdminApi.Status() with { Warnings = ["the store fails"] }).Shows(FakeAdminApi.Upstream("web",
            FakeAdminApi.Backend("10.0.0.2:80") with { InFlight = 4 },
            FakeAdminApi.Backend("10.0.0.3:80") with { Health = BackendHealth.Down, Cause = "connection refused" }));

        CommandRun run = await _api.RunAsync("status");

        Assert.Equal(("", 0), (run.Error, run.Code));
        Assert.Equal("""
            Penstock 1.2.3 (jit, .NET 10.0.0, process 77)
              up        1 h 1 min, since 2026-11-27T01:02:03Z
              listen    0.0.0.0:8080; 5 connections are open
              requests  12: 12 ok
              upstream  web: 1 of 2 backends may get requests, 4 in flight; 10.0.0.3:80 is down (connection refused)
              limit     default: 100 at once, then 30/m, 11 admitted, 1 rejected
              clients   3 registered, kept in sqlite:penstock.db
              config    read 2026-11-27T01:02:03Z
              warning   the store fails

            """, run.Out);
    }

    [Fact]
    public async Task Status_as_json_has_the_upstreams_too()
    {
        _api.Shows(FakeAdminApi.Status()).Shows(FakeAdminApi.Upstream("web", FakeAdminApi.Backend("10.0.0.2:80")));

        JsonNode status = JsonNode.Parse((await _api.RunAsync("status", "--json")).Out)!;

        Assert.Equal("1.2.3", (string?)status["version"]);
        Assert.Equal("10.0.0.2:80", (string?)status["upstreams"]![0]!["backends"]![0]!["address"]);
    }

    [Fact]
    public async Task Upstreams_has_one_line_for_each_backend_with_its_status_in_one_word()
    {
        BackendStatus one = FakeAdminApi.Backend("10.0.0.1:80");
        _api.Shows(FakeAdminApi.Upstream("web",
            one with { Requests = 70, Failures = 6, LatencyMs = 1.25 },
            one with { Health = BackendHealth.Unknown, LatencyMs = null },
            one with { Health = BackendHealth.Down, Cause = "timed out" },
            one with { Ejected = "5 errors in a row" },
            one with { Ejected = "5 errors in a row", EjectionIgnored = true },
            one with { State = BackendState.Drain, Health = BackendHealth.Down },
            one with { State = BackendState.Maintenance },
            one with { State = BackendState.Maintenance, Drained = true }));

        CommandRun run = await _api.RunAsync("upstreams");

        string[][] rows = [.. run.Out.TrimEnd().Split('\n').Select(static line =>
            line.Split("  ", StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))];
        Assert.Equal(
            ["UPSTREAM", "BACKEND", "STATUS", "WEIGHT", "IN FLIGHT", "REQUESTS", "FAILURES", "LATENCY", "CAUSE"],
            rows[0]);
        Assert.Equal(["web", "10.0.0.1:80", "up", "1", "0", "70", "6", "1.25 ms"], rows[1]);
        Assert.Equal(["up", "unchecked", "down", "ejected", "up", "drain", "maintenance", "drained"],
            rows.Skip(1).Select(static row => row[2]));
        Assert.Equal("timed out", rows[3][^1]);
        Assert.Equal(0, run.Out.Split('\n').Count(static line => line.EndsWith(' ')));
    }

    [Fact]
    public async Task Rejections_lists_the_last_or_the_most()
    {
        _api.Answers("GET /rejections", """
            {"items":[{"time":"2026-11-27T01:02:03.4Z","client":"user1\u001b[2J","identified_by":"header:X-API-Key",
            "limit":"default","times":3,"tokens":0,"cost":1,"retry_after":2,"dry_run":false,"route":"/api",
            "request_id":"ab12"}]}
            """).Answers("GET /rejections/top", """
            {"items":[{"client":"user1","identified_by":"address","limit":"default","rejected":41,"error":2,
            "last":"2026-11-27T01:02:03Z"}],"displaced_buckets":0}
            """);

        CommandRun last = await _api.RunAsync("rejections", "--limit", "7");
        CommandRun top = await _api.RunAsync("rejections", "--top");

        Assert.Contains("2026-11-27T01:02:03Z  user1?[2J  header:X-API-Key  default      3       0     1          2 s  "
            + "/api   ab12\n", last.Out);
        Assert.Contains("user1   address        default        41      2  2026-11-27T01:02:03Z\n", top.Out);
        Assert.Equal(["GET /rejections?limit=7", "GET /rejections/top?limit=20"], _api.Requests);
    }

    [Fact]
    public async Task Explain_sends_the_request_as_written_and_prints_each_step()
    {
        _api.Answers("POST /explain", """
            {"verdict":"rate_limited","detail":"limit 'client': 0 tokens left of 5","client":"user1",
            "identified_by":"header:X-API-Key","client_address":"10.0.0.9","registered":true,"exempt":false,
            "plan":"gold","limit":"client","capacity":5,"rate_per_sec":1,"tokens":0,"limits":[{"name":"client",
            "by":"client","capacity":5,"rate_per_sec":1,"tokens":0.25,"concurrent":null,"in_flight":null,
            "dry_run":false,"admits":false}],"route":"/v1","upstream":"web","balance":"least_connections",
            "session":null,"candidates":[{"address":"10.0.0.3:80","health":"down","state":"ready","usable":false,
            "has_room":true,"weight":2,"slow_start":1,"in_flight":0,"backup":false,"cause":"connection refused"}],
            "pick":null}
            """);

        CommandRun run = await _api.RunAsync("explain", "http://shop.example:81/v1/%2e%2e/a?b=c%20d", "-X", "POST",
            "-H", "X-API-Key: user1", "-H", "Accept: a", "-H", "Accept: b", "--from", "10.0.0.9");

        Assert.Equal("""
            POST /explain {"method":"POST","host":"shop.example:81","path":"/v1/%2e%2e/a?b=c%20d",
            "headers":{"X-API-Key":"user1","Accept":"a, b"},"client_address":"10.0.0.9"}
            """.ReplaceLineEndings(""), _api.Requests.Single());
        Assert.Equal("""
            request  POST http://shop.example:81/v1/%2e%2e/a?b=c%20d
            client   user1, identified by header:X-API-Key, from 10.0.0.9, registered, plan gold
            route    /v1, to upstream web
            limit    client: 0.25 of 5 tokens, 1/s, per client, rejects
            backend  10.0.0.3:80: not usable, health down, state ready, weight 2, 0 in flight, connection refused
            pick     none, by least_connections
            verdict  rate_limited: limit 'client': 0 tokens left of 5

            """, run.Out);
        Assert.Equal(0, run.Code);
    }

    [Theory]
    [InlineData("/a", "localhost", "/a")]
    [InlineData("/h", "localhost", "/h")] // no short form of --help
    [InlineData("shop.example/a", "shop.example", "/a")]
    [InlineData("https://shop.example", "shop.example", "/")]
    public async Task Explain_takes_a_url_without_its_obvious_parts(string url, string host, string path)
    {
        await _api.RunAsync("explain", url);

        JsonNode sent = JsonNode.Parse(_api.Requests.Single()["POST /explain ".Length..])!;
        Assert.Equal((host, path), ((string?)sent["host"], (string?)sent["path"]));
    }

    [Theory]
    [InlineData("orders", "GET", "warning: 'orders' is read as a host; write /orders for a path\n")]
    [InlineData("localhost", "GET", "")]
    [InlineData("orders:80", "GET", "")]
    [InlineData("/orders", "get", "warning: methods are case-sensitive, so 'get' is not GET, and no route for GET "
        + "matches it\n")]
    public async Task Explain_warns_of_what_is_easily_meant_otherwise(string url, string method, string warning)
    {
        Assert.StartsWith(warning + "error: ", (await _api.RunAsync("explain", url, "-X", method)).Error);
    }

    [Theory]
    [InlineData("wrong", "the token was not accepted by the admin API at ")]
    [InlineData(null, "the admin API at ")]
    public async Task Token_that_is_wrong_is_told_from_none(string? token, string told)
    {
        _api.Answers("GET /status", """{"code":401,"message":"m"}""", 401);

        CommandRun run = await CommandRun.Of(name => name == "PENSTOCK_ADMIN" ? _api.Url : null,
            ["status", .. token is null ? Array.Empty<string>() : ["--token", token]]);

        Assert.StartsWith("error: " + told, run.Error);
        Assert.Equal(token is null, run.Error.Contains("needs a token", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Api_that_speaks_http_is_not_called_missing_when_asked_by_https()
    {
        CommandRun run = await _api.RunAsync("status", "--admin", _api.Url.Replace("http:", "https:"));

        Assert.Equal((1, $"error: {_api.Url.Replace("http:", "https:")} speaks http, not https: write {_api.Url}\n"),
            (run.Code, run.Error));
    }

    [Fact]
    public async Task Cause_of_a_missing_api_ends_in_no_full_stop()
    {
        Assert.DoesNotContain(".;", (await _api.RunAsync("status", "--admin", "http://nowhere.invalid")).Error);
    }

    [Fact]
    public async Task Explain_of_a_host_field_asks_for_that_host()
    {
        await _api.RunAsync("explain", "http://10.0.0.1/", "-H", "host: shop.example");

        Assert.Contains("\"host\":\"shop.example\",\"path\":\"/\",\"headers\":{}", _api.Requests.Single());
    }

    [Theory]
    [InlineData("ftp://a/")]
    [InlineData("/", "-H", "nothing")]
    [InlineData("/", "--from", "here")]
    public async Task Explain_with_a_mistake_asks_nothing(params string[] words)
    {
        CommandRun run = await _api.RunAsync(["explain", .. words]);

        Assert.Equal(2, run.Code);
        Assert.Empty(_api.Requests);
    }

    [Fact]
    public async Task Reload_prints_changes_warnings_and_what_needs_a_restart()
    {
        _api.Answers("POST /reload", """
            {"changes":["~ loops: 1 -> 2"],
            "warnings":[{"field":"penstock.yaml:3:5","message":"no route uses upstream 'b'"}],
            "restart_needed":["loops","store"]}
            """);

        CommandRun run = await _api.RunAsync("reload");

        Assert.Equal(0, run.Code);
        Assert.Equal("penstock.yaml:3:5: warning: no route uses upstream 'b'\n", run.Error);
        Assert.Equal("""
            ~ loops: 1 -> 2
            reloaded; these keys have changed, but take effect only after a restart: loops, store

            """, run.Out);
    }

    [Theory]
    [InlineData(400, 2)]
    [InlineData(409, 1)]
    public async Task Reload_that_changed_nothing_prints_every_error_with_its_place(int status, int code)
    {
        _api.Answers("POST /reload", $$"""
            {"code":{{status}},"message":"nothing was changed: the file has 2 errors","errors":[
            {"field":"penstock.yaml:14:9","message":"unknown key 'weigth'; did you mean 'weight'?"},
            {"field":"penstock.yaml:20:1","message":"unknown key 'x'"}]}
            """, status);

        CommandRun run = await _api.RunAsync("reload");

        Assert.Equal((code, ""), (run.Code, run.Out));
        Assert.Equal("""
            penstock.yaml:14:9: error: unknown key 'weigth'; did you mean 'weight'?
            penstock.yaml:20:1: error: unknown key 'x'
            error: nothing was changed: the file has 2 errors

            """, run.Error);
    }

    [Theory]
    [InlineData(200, """{"status":"ready","checks":{"proxy":{"status":"ok"}}}""", 0, "ready\n", "")]
    [InlineData(200, """{"status":"degraded","checks":{"store":{"status":"failing","detail":"disk full"}}}""", 0,
        "degraded; store is failing (disk full)\n", "")]
    [InlineData(503, """{"status":"stopping","checks":{"proxy":{"status":"stopping"}}}""", 1, "",
        "error: stopping; proxy is stopping\n")]
    public async Task Healthcheck_tells_whether_it_is_ready(
        int status, string body, int code, string output, string error)
    {
        _api.Answers("GET /readyz", body, status);

        Assert.Equal(new CommandRun(code, output, error), await _api.RunAsync("healthcheck", "--timeout", "1m"));
    }

    [Fact]
    public async Task Healthcheck_can_ask_only_whether_it_is_alive()
    {
        _api.Answers("GET /livez", """{"status":"alive"}""");

        Assert.Equal(new CommandRun(0, "alive\n", ""), await _api.RunAsync("healthcheck", "--live", "--timeout", "1m"));
        Assert.Equal(["GET /livez"], _api.Requests);
    }

    [Theory]
    [InlineData("status")]
    [InlineData("upstreams")]
    [InlineData("drain", "web/10.0.0.1:80")]
    [InlineData("maintenance", "web/10.0.0.1:80", "--wait")]
    [InlineData("ready", "web/10.0.0.1:80")]
    [InlineData("weight", "web/10.0.0.1:80", "5")]
    [InlineData("reload")]
    [InlineData("explain", "/")]
    [InlineData("rejections")]
    [InlineData("top", "--once")]
    [InlineData("healthcheck")]
    public async Task Command_without_a_penstock_that_answers_exits_1_with_one_sentence(params string[] words)
    {
        await _api.DisposeAsync();

        CommandRun run = await CommandRun.Of([.. words, "--admin", "http://127.0.0.1:1"]);

        Assert.Equal((1, ""), (run.Code, run.Out));
        Assert.Equal("error: no admin API at http://127.0.0.1:1: Connection refused; is Penstock running, and is "
            + "--admin right?\n", run.Error);
    }

    [Theory]
    [InlineData("GET /status", "status")]
    [InlineData("GET /upstreams", "upstreams")]
    [InlineData("GET /upstreams", "drain", "10.0.0.1:80")]
    [InlineData("POST /reload", "reload")]
    [InlineData("POST /explain", "explain", "/")]
    [InlineData("GET /rejections", "rejections")]
    [InlineData("GET /status", "top", "--once")]
    public async Task Answer_of_another_form_is_no_success(string request, params string[] words)
    {
        foreach (string body in (string[])["[]", "null", "\"\"", """{"items":7,"warnings":7,"verdict":7}""",
            """{"items":null,"changes":null,"warnings":null,"restart_needed":null,"displaced_buckets":0}"""])
        {
            await using FakeAdminApi api = (await FakeAdminApi.StartAsync()).Answers(request, body);

            CommandRun run = await api.RunAsync(words);

            Assert.Equal((1, ""), (run.Code, run.Out));
            Assert.Contains("does not answer like Penstock", run.Error);
            Assert.DoesNotContain("JSON value could not", run.Error); // words of .NET
            Assert.DoesNotContain("deserialization", run.Error);
        }
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: 6\r\n\r\n<html>",
        "URL does not answer like Penstock's admin API: it answered HTML with status 200")]
    [InlineData("HTTP/1.1 404 Not Found\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nno",
        "URL does not answer like Penstock's admin API: it answered text/plain with status 404")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nno",
        "URL does not answer like Penstock's admin API: it answered a text that is not JSON with status 200")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n{\"items\":[7]}",
        "URL does not answer like Penstock's admin API: it answered JSON of another form, at items[0]")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "URL does not answer like Penstock's admin API: it answered nothing")]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n", "URL does not answer like Penstock's admin API: it speaks no HTTP")]
    [InlineData("", "the connection to the admin API at URL failed: it was closed before the whole answer had arrived")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
        "the connection to the admin API at URL failed: it was closed before the whole answer had arrived")]
    public async Task Other_server_is_told_by_what_came(string answer, string told)
    {
        await using var server = new ScriptedBackend(async peer =>
        {
            await peer.ReadHeadAsync();
            await peer.SendAsync(answer);
        });
        string url = $"http://127.0.0.1:{server.Port}";

        CommandRun run = await CommandRun.Of("upstreams", "--admin", url);

        Assert.Equal(new CommandRun(1, "", $"error: {told.Replace("URL", url)}\n"), run);
    }
}
