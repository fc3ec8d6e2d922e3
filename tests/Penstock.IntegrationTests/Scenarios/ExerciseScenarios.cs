using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using System.Text.RegularExpressions;
using Penstock.IntegrationTests.Smoke;
using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>Five public projects solve the same exercise, a balancer with a token bucket per client. Each test does
/// with Penstock what the documents of one of them tell its users to do; docs/coming-from.md has the same steps.
/// </summary>
public sealed partial class ExerciseScenarios(SharedPostgres postgres, ITestOutputHelper output) : ProgramScenarios
{
    private const int MatchTimeoutMs = 5000;

    private static string Program => Flavour.Preferred;

    /// <summary>The one that starts ten fake servers and a load of <c>ab</c>, with clients in PostgreSQL.</summary>
    [Fact]
    public async Task Ten_fake_servers_pass_the_load_of_ab_and_one_that_stops_costs_no_request()
    {
        PostgresServer database = await postgres.StartedAsync();
        string store = await database.NewDatabaseAsync();
        (PenstockProcess servers, int[] ports) = await ServersAsync("--servers=10", "--start_port=0");
        await using PenstockProcess fake = servers;
        Directory.CreateDirectory(Path.Combine(Folder, "config"));
        Write("config/config.yaml", $$"""
            listen: 127.0.0.1:{{Port}}
            admin: { listen: "127.0.0.1:{{AdminPort}}" }
            backends: [{{string.Join(", ", ports.Select(static port => $"http://127.0.0.1:{port}"))}}]
            health_check: { path: /health, interval: 200ms }
            store: "{{store}}"
            access_log: off
            """);
        await using PenstockProcess balancer = await StartedAsync("run", "--path=config/config.yaml");

        await AbAsync("-n", "5000", "-c", "100");
        using HttpResponseMessage stopped = await Http.PostAsync(new Uri($"http://127.0.0.1:{ports[3]}/stop"), null);
        await BackendAsync(ports[3], static backend => backend.GetProperty("health").GetString() == "down");
        await AbAsync("-n", "20000", "-c", "1000");
        using HttpResponseMessage again = await Http.PostAsync(
            new Uri($"http://127.0.0.1:{ports[0]}/start/{ports[3]}"), null);
        await BackendAsync(ports[3], static backend => backend.GetProperty("health").GetString() == "up");

        const string Client = """{"ip_address":"192.0.2.7","capacity":100,"rate_per_second":10}""";
        Assert.Equal(201, await StatusAsync("POST", "v1/api/clients/", Client));
        Assert.Equal(200, await StatusAsync("PUT", "v1/api/clients/192.0.2.7",
            """{"capacity":200,"rate_per_second":50}"""));
        const string Stored = "SELECT client_id, capacity, rate_per_sec FROM penstock_clients";
        Assert.Equal("192.0.2.7|200|50", await database.SqlAsync(store, Stored));
        Assert.Contains("192.0.2.7", await Http.GetStringAsync(new Uri(Admin, "v1/api/clients/")));
        Assert.Equal(204, await StatusAsync("DELETE", "v1/api/clients/192.0.2.7"));
        Assert.Equal("", await database.SqlAsync(store, Stored));
        Assert.Contains("swagger-ui", await Http.GetStringAsync(new Uri(Admin, "docs/index.html")));
    }

    /// <summary>The one with a JSON file whose numbers are milliseconds, and <c>X-Client-ID</c>.</summary>
    [Fact]
    public async Task Json_file_with_replicas_is_converted_and_each_client_id_has_its_bucket()
    {
        PostgresServer database = await postgres.StartedAsync();
        string store = await database.NewDatabaseAsync();
        (PenstockProcess servers, int[] ports) = await ServersAsync("--count", "6", "--start-port", "0");
        await using PenstockProcess replicas = servers;
        Write("theirs.json", $$"""
            {
              "port": {{Port}},
              "algorithm": "least_conn",
              "replicas": [{{string.Join(", ", ports.Select(static port => $"\"http://127.0.0.1:{port}\""))}}],
              "health_check": { "path": "/ping", "interval": 300, "timeout": 5000 },
              "rate_limit": { "capacity": 10, "refill_rate": 1, "header": "X-Client-ID" },
              "database": { "url": "{{store}}" }
            }
            """);
        string converted = await OutputAsync(Program, 0, "config", "convert", "--from", "small-balancer",
            "theirs.json");
        Assert.Contains("interval: 300ms", converted);
        Write("ours.yaml", $"{converted}\naccess_log: off\nadmin: {{ listen: \"127.0.0.1:{AdminPort}\" }}\n");
        Assert.Contains("is valid", await OutputAsync(Program, 0, "check", "ours.yaml"));
        await using PenstockProcess balancer = await StartedAsync("run", "ours.yaml");

        Assert.Equal("ok", (await Http.GetStringAsync(new Uri(Proxy, "ping"))).Trim());
        long from = TimeProvider.System.GetTimestamp();
        int passed = (await StatusesOfAsync("one", 30)).Count(static status => status == 200);
        double seconds = TimeProvider.System.GetElapsedTime(from).TotalSeconds;
        Assert.InRange(passed, 10, 10 + Math.Ceiling(seconds));
        Assert.Equal(200, Assert.Single(await StatusesOfAsync("two", 1))); // another bucket

        using HttpResponseMessage created = await Http.PostAsJsonAsync(new Uri(Admin, "client"),
            new { capacity = 3, rate_per_sec = 0.0001 });
        Assert.Equal(HttpStatusCode.Created, created.StatusCode);
        string id = (await created.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("client_id").GetString()!;
        Assert.Equal("200 200 200 429 429", string.Join(' ', await StatusesOfAsync(id, 5)));
        Assert.Equal("1", await database.SqlAsync(store, "SELECT count(*) FROM penstock_clients"));

        LoadRun[] users = [.. Enumerable.Range(0, 10).Select(n => new LoadRun(Proxy, clients: 5, $"user{n}"))];
        await users[0].MoreAsync(100);
        foreach (LoadRun user in users)
        {
            await user.DisposeAsync();
            user.HadOnly(200, 429);
        }
        double[] times = [.. users.SelectMany(static user => user.DurationsMs).Order()];
        output.WriteLine($"50 users: {times.Length} answers, 95 % within {times[times.Length * 95 / 100]:0.0} ms");

        await replicas.KillAsync();
        await NoBackendAsync("?client_id=three");
    }

    /// <summary>The one with <c>/limits/create</c> and an echo backend.</summary>
    [Fact]
    public async Task Limits_are_created_read_updated_and_deleted_by_their_bodies()
    {
        PostgresServer database = await postgres.StartedAsync();
        string store = await database.NewDatabaseAsync();
        (PenstockProcess servers, int[] ports) = await ServersAsync("--count", "1", "--start-port", "0");
        await using PenstockProcess echo = servers;
        WriteConfig($"store: \"{store}\"", ports);
        await using PenstockProcess balancer = await StartedAsync("run");

        const string Id = """{"client_id":"123.5.6.7:890"}""";
        Assert.Equal(201, await StatusAsync("POST", "limits/create",
            """{"client_id":"123.5.6.7:890","capacity":10,"rate_per_sec":1}"""));
        using (HttpResponseMessage read = await SendAsync("GET", "limits/get", Id))
        {
            JsonElement limit = await read.Content.ReadFromJsonAsync<JsonElement>();
            Assert.Equal((10, 1.0), (limit.GetProperty("capacity").GetInt32(),
                limit.GetProperty("rate_per_sec").GetDouble()));
        }
        Assert.Equal(200, await StatusAsync("GET", "limits/get?client_id=123.5.6.7:890"));
        Assert.Equal(204, await StatusAsync("PUT", "limits/update",
            """{"client_id":"123.5.6.7:890","capacity":20,"rate_per_sec":2.5}"""));
        Assert.Equal("20|2.5", await database.SqlAsync(store, "SELECT capacity, rate_per_sec FROM penstock_clients"));
        Assert.Equal(204, await StatusAsync("DELETE", "limits/delete", Id));
        Assert.Equal(404, await StatusAsync("GET", "limits/get", Id));
        Assert.Equal(404, await StatusAsync("PUT", "limits/update", """{"client_id":"x","capacity":1}"""));
        Assert.Equal(400, await StatusAsync("POST", "limits/create", """{"capacity":10,"rate_per_sec":1}"""));

        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(Proxy, "/some/path"))
        {
            Content = JsonContent.Create(new { example = 123 }),
        };
        using HttpResponseMessage answer = await Http.SendAsync(request);
        Assert.Equal("""{"http_method":"GET","request_uri":"/some/path","your_message":{"example":123}}""",
            (await answer.Content.ReadAsStringAsync()).Trim());
    }

    /// <summary>The one that shows the difference of its two algorithms with a path that sleeps.</summary>
    [Fact]
    public async Task Least_connections_avoids_the_server_that_sleeps()
    {
        (PenstockProcess servers, int[] ports) = await ServersAsync("--count", "2", "--start-port", "0");
        await using PenstockProcess both = servers;
        Directory.CreateDirectory(Path.Combine(Folder, "configs"));
        Write("configs/config.yaml", Config("balance: round-robin", ports));
        await using PenstockProcess balancer = await StartedAsync("run", "configs/config.yaml");
        string[] turns = [await Http.GetStringAsync(Proxy), await Http.GetStringAsync(Proxy)];
        Assert.NotEqual(turns[0], turns[1]);

        Write("configs/config.yaml", Config("balance: least-connections", ports));
        await OutputAsync(Program, 0, "reload", "--admin", Admin.ToString());
        using var leave = new CancellationTokenSource();
        Task<HttpResponseMessage> sleeping = Http.GetAsync(new Uri(Proxy, "sleep?delay=100s"), leave.Token);
        int busy = 0;
        await Eventually.TrueAsync(async () => (busy = await BusyAsync()) > 0, "one server sleeps");
        for (int i = 0; i < 10; i++)
        {
            Assert.DoesNotContain($":{busy}", await Http.GetStringAsync(Proxy));
        }
        await leave.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => sleeping);
        Assert.Contains("slept 0.01", await Http.GetStringAsync(new Uri(Proxy, "sleep?delay=10ms")));

        Assert.Equal(201, await StatusAsync("POST", "clients",
            """{"client_id":"127.0.0.1","capacity":2,"rate_per_sec":0.0001}"""));
        // An address is a client too.
        Assert.Equal("200 200 429", string.Join(' ', await StatusesOfAsync("nobody", 3)));
    }

    /// <summary>The one that names the client in the query, and has API and proxy on one port.</summary>
    [Fact]
    public async Task Client_of_the_query_passes_its_tokens_and_the_api_is_on_the_same_port()
    {
        (PenstockProcess servers, int[] ports) = await ServersAsync("--count", "3", "--start-port", "0");
        await using PenstockProcess three = servers;
        Write("penstock.yaml", $$"""
            listen: 127.0.0.1:{{Port}}
            admin: { listen: "127.0.0.1:{{AdminPort}}", token: secret }
            upstreams:
              web:
                backends: [{{string.Join(", ", ports.Select(static port => $"http://127.0.0.1:{port}"))}}]
              admin: { backends: ["127.0.0.1:{{AdminPort}}"] }
            routes:
              - { path: /clients/*, upstream: admin, limit: off }
              - { upstream: web }
            store: memory
            access_log: off
            """);
        await using PenstockProcess balancer = await StartedAsync("run");
        const string Body =
            """{"client_id":"client9","capacity":100,"rate_per_sec":5.0,"current_tokens":50}""";
        using HttpResponseMessage rejected = await CreateAsync(Body);
        Assert.Equal(HttpStatusCode.Unauthorized, rejected.StatusCode);
        Assert.Equal(401, await StatusAsync("POST", "limits/create", Body)); // other names need the token too
        Http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", "secret");

        long from = TimeProvider.System.GetTimestamp();
        using HttpResponseMessage created = await CreateAsync(Body);
        Assert.Equal(HttpStatusCode.Created, created.StatusCode);
        string report = await AbAsync("-n", "1000", "-c", "10", "?client_id=client9");
        double seconds = TimeProvider.System.GetElapsedTime(from).TotalSeconds;
        int passed = 1000 - int.Parse(NotGood().Match(report).Groups["count"].Value, CultureInfo.InvariantCulture);
        double load = double.Parse(TimeTaken().Match(report).Groups["seconds"].Value, CultureInfo.InvariantCulture);
        output.WriteLine($"{passed} of 1000 passed in {load} s of {seconds:0.00} s, with 50 tokens at the start");
        Assert.InRange(passed, 50, Math.Floor(50 + (5 * seconds)));

        using HttpResponseMessage stopped = await Http.PostAsync(new Uri($"http://127.0.0.1:{ports[0]}/stop"), null);
        for (int i = 0; i < 10; i++)
        {
            using HttpResponseMessage good = await GetAsync("/");
            Assert.Equal(HttpStatusCode.OK, good.StatusCode);
        }
        using HttpResponseMessage deleted = await Http.DeleteAsync(new Uri(Proxy, "clients/client9"));
        Assert.Equal(HttpStatusCode.NoContent, deleted.StatusCode);
        await three.KillAsync();
        await NoBackendAsync("");
    }

    /// <summary>Starts echo servers on free ports.</summary>
    private async Task<(PenstockProcess Servers, int[] Ports)> ServersAsync(params string[] words)
    {
        PenstockProcess servers = await StartedAsync(["backends", .. words]);
        string line = servers.Lines.First(static l => l.Contains("\"event\":\"started\"", StringComparison.Ordinal));
        return (servers, [.. Urls().Matches(line).Select(static url =>
            int.Parse(url.Groups["port"].Value, CultureInfo.InvariantCulture)).Distinct()]);
    }

    private Task<PenstockProcess> StartedAsync(params string[] words) =>
        PenstockProcess.StartedProgramAsync(Program, Folder, words);

    /// <summary>Runs <c>ab</c> against the balancer; no request may fail, and without a query all get 200.</summary>
    private async Task<string> AbAsync(params string[] words)
    {
        Assert.SkipUnless(File.Exists("/usr/bin/ab"), "ab is not installed (apache2-utils)");
        bool limited = words[^1].StartsWith('?');
        string[] all = limited ? [.. words[..^1], $"{Proxy}{words[^1]}"] : [.. words, Proxy.ToString()];
        await using var load = PenstockProcess.StartProgram("/usr/bin/ab", Folder, ["-q", "-l", "-s", "60", .. all]);
        await Eventually.TrueAsync(() => load.HasExited, "the load has ended");
        int code = await load.ExitCodeAsync();
        string report = string.Join('\n', load.Lines);
        Assert.True(code == 0, report);
        Assert.Matches(@"Failed requests: +0\b", report);
        Assert.Equal(limited, report.Contains("Non-2xx", StringComparison.Ordinal));
        return report;
    }

    private async Task<int[]> StatusesOfAsync(string client, int requests)
    {
        var statuses = new List<int>();
        for (int i = 0; i < requests; i++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, Proxy);
            request.Headers.Add("X-Client-ID", client);
            using HttpResponseMessage response = await Http.SendAsync(request);
            statuses.Add((int)response.StatusCode);
        }
        return [.. statuses];
    }

    /// <summary>Registers a client through the proxy.</summary>
    private Task<HttpResponseMessage> CreateAsync(string body) => Http.PostAsync(new Uri(Proxy, "clients"),
        new StringContent(body, Encoding.UTF8, "application/json"));

    private async Task NoBackendAsync(string query)
    {
        using HttpResponseMessage none = await Http.GetAsync(new Uri(Proxy, query));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, none.StatusCode);
        Assert.Equal("Service not available",
            (await none.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("message").GetString());
    }

    /// <summary>The port of the server with a request in flight; 0: none has one.</summary>
    private async Task<int> BusyAsync()
    {
        JsonElement all = await Http.GetFromJsonAsync<JsonElement>(new Uri(Admin, "upstreams"));
        return all.GetProperty("items")[0].GetProperty("backends").EnumerateArray()
            .Where(static backend => backend.GetProperty("in_flight").GetInt32() > 0)
            .Select(static backend => new Uri("http://" + backend.GetProperty("address").GetString()).Port)
            .FirstOrDefault();
    }

    private async Task<int> StatusAsync(string method, string path, string? body = null)
    {
        using HttpResponseMessage answer = await SendAsync(method, path, body);
        return (int)answer.StatusCode;
    }

    private Task<HttpResponseMessage> SendAsync(string method, string path, string? body) => Http.SendAsync(
        new HttpRequestMessage(new HttpMethod(method), new Uri(Admin, path))
        {
            Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json"),
        });

    private void WriteConfig(string more, int[] ports) => Write("penstock.yaml", Config(more, ports));

    private string Config(string more, int[] ports) => $$"""
        listen: 127.0.0.1:{{Port}}
        admin: { listen: "127.0.0.1:{{AdminPort}}" }
        backends: [{{string.Join(", ", ports.Select(static port => $"http://127.0.0.1:{port}"))}}]
        access_log: off
        {{more}}
        """;

    private void Write(string name, string text) => File.WriteAllText(Path.Combine(Folder, name), text);

    [GeneratedRegex(@"http://127\.0\.0\.1:(?<port>[0-9]+)", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Urls();

    [GeneratedRegex(@"Non-2xx responses: +(?<count>[0-9]+)", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex NotGood();

    [GeneratedRegex(@"Time taken for tests: +(?<seconds>[0-9.]+)", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex TimeTaken();
}
