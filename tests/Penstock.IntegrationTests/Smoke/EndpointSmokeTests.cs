using System.Text;
using System.Text.Json.Nodes;
using Penstock.IntegrationTests.Admin;
using Penstock.IntegrationTests.Scenarios;
using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Smoke;

/// <summary>Every endpoint of the admin API once, on both forms of the program.</summary>
public sealed class EndpointSmokeTests(SharedPostgres postgres) : ProgramScenarios
{
    private const string Json = "application/json";

    /// <summary>In this order: operation, path, status, body, its type, and what the answer holds.</summary>
    private static (string Operation, string Path, int Status, string? Body, string Type, string Answer)[] Rows =>
    [
        ("get /livez", "/livez", 200, null, Json, "alive"),
        ("get /readyz", "/readyz", 200, null, Json, "checks"),
        ("post /clients", "/clients", 201, """{"client_id":"k","capacity":1,"rate_per_sec":0.01}""", Json, "k"),
        ("post /clients", "/clients", 409, """{"client_id":"k","capacity":1,"rate_per_sec":0.01}""", Json, "exists"),
        ("post /clients", "/clients", 400, """{"capacity":"x"}""", Json, "errors"),
        ("put /clients/{client_id}", "/clients/a", 201, """{"capacity":9,"rate_per_sec":2}""", Json, "capacity"),
        ("patch /clients/{client_id}", "/clients/a", 200, """{"rate_per_sec":3}""", Json, "3"),
        ("get /clients/{client_id}", "/clients/a", 200, null, Json, "full_in_seconds"),
        ("get /clients/{client_id}", "/clients/nobody", 404, null, Json, "not registered"),
        ("post /clients/{client_id}/reset", "/clients/a/reset", 200, null, Json, "current_tokens"),
        ("get /clients", "/clients?limit=1", 200, null, Json, "next_cursor"),
        ("get /clients/export", "/clients/export?format=csv", 200, null, Json, "client_id,capacity"),
        ("get /clients/export", "/clients/export?format=jsonl", 200, null, Json, "\"client_id\":\"a\""),
        ("post /clients/import", "/clients/import", 200, "client_id,capacity,rate_per_sec\nb,5,1\n", "text/csv",
            "created"),
        ("post /clients/import", "/clients/import", 400, "client_id,capacity,rate_per_sec\nb,x,1\n", "text/csv",
            "line 2"),
        ("delete /clients/{client_id}", "/clients/a", 204, null, Json, ""),
        ("put /plans/{name}", "/plans/gold", 201, """{"capacity":9,"rate_per_sec":2}""", Json, "\"source\":\"api\""),
        ("put /clients/{client_id}", "/clients/p", 201, """{"plan":"gold","access":"exempt"}""", Json, "exempt"),
        ("get /plans", "/plans", 200, null, Json, "gold"),
        ("patch /plans/{name}", "/plans/gold", 200, """{"rate_per_sec":3}""", Json, "\"clients\":1"),
        ("delete /plans/{name}", "/plans/gold", 409, null, Json, "1 client"),
        ("delete /clients/{client_id}", "/clients/p", 204, null, Json, ""),
        ("get /plans/{name}", "/plans/gold", 200, null, Json, "\"capacity\":9"),
        ("delete /plans/{name}", "/plans/gold", 204, null, Json, ""),
        ("get /upstreams", "/upstreams", 200, null, Json, "\"balance\":\"round_robin\""),
        ("patch /upstreams/{name}/backends/{address}", "/upstreams/default/backends/BACKEND", 200,
            """{"state":"drain"}""", Json, "\"state\":\"drain\""),
        ("post /upstreams/{name}/backends", "/upstreams/default/backends", 201, """{"url":"127.0.0.1:1","weight":3}""",
            Json, "\"added\":true"),
        ("post /upstreams/{name}/backends", "/upstreams/default/backends", 400, """{"url":"x","weight":0}""", Json,
            "is not a whole number"),
        ("get /upstreams/{name}/backends/{address}", "/upstreams/default/backends/127.0.0.1:1", 200, null, Json,
            "\"weight\":3"),
        ("delete /upstreams/{name}/backends/{address}", "/upstreams/default/backends/127.0.0.1:1", 204, null, Json,
            ""),
        ("post /explain", "/explain", 200, """{"path":"/","headers":{"X-API-Key":"k"}}""", Json, "candidates"),
        ("get /rejections", "/rejections", 200, null, Json, "retry_after"),
        ("get /rejections/top", "/rejections/top", 200, null, Json, "rejected"),
        ("get /rejections", "/rejections?limit=x", 400, null, Json, "errors"),
        ("get /status", "/status", 200, null, Json, "uptime_seconds"),
        ("get /buckets/lowest", "/buckets/lowest", 200, null, Json, "\"client_id\":\"k\""),
        ("post /simulate", "/simulate?capacity=1&rate=1/s", 200, """{"time":"2026-11-21T08:00:00Z","client":"k"}""",
            "text/plain", "\"grid\":{\"rates\":["),
        ("get /metrics", "/metrics", 200, null, Json, "penstock_limit_decisions_total{limit=\"client\","),
        ("get /config", "/config", 200, null, Json, "reload_failed"),
        ("get /log/level", "/log/level", 200, null, Json, "\"level\":\"info\""),
        ("put /log/level", "/log/level", 200, """{"level":"warning"}""", Json, "\"level\":\"warning\""),
        ("post /reload", "/reload", 200, null, Json, "restart_needed"),
        ("get /reload", "/reload", 200, null, Json, "remarks"),
        ("get /history", "/history?window=24h", 200, null, Json, "\"step_seconds\":300"),
        ("get /history", "/history?window=x", 400, null, Json, "must be 15m or 24h"),
        ("get /events", "/events", 200, null, Json, "\"routes\":[{\"name\":"),
        ("get /cluster", "/cluster", 404, null, Json, "message"),
    ];

    [Theory]
    [MemberData(nameof(Flavour.All), MemberType = typeof(Flavour))]
    public async Task Endpoint_of_any_kind_answers(string flavour)
    {
        string program = Flavour.Program(flavour);
        await using var backend = ScriptedBackend.Always("ok");
        WriteConfig(backend.Port, "sqlite:penstock.db");
        await using PenstockProcess penstock = await PenstockProcess.StartedProgramAsync(program, Folder, "run");
        await OpenApiIsTheCommittedOneAsync();
        foreach ((string Operation, string Path, int Status, string? Body, string Type, string Answer) row in Rows)
        {
            if (row.Operation == "get /upstreams")
            {
                Assert.Equal((200, 429), (await StatusAsync("k"), await StatusAsync("k")));
            }

            await TryAsync(row);
        }
        Assert.Contains("dashboard/app.js", await Http.GetStringAsync(new Uri(Admin, "/")));
        Assert.Contains("events", await Http.GetStringAsync(new Uri(Admin, "/dashboard/api.js")));
        Assert.Contains("swagger-ui", await Http.GetStringAsync(new Uri(Admin, "/docs/index.html")));
        Assert.Contains("/openapi/v1.json", await Http.GetStringAsync(new Uri(Admin, "/docs/index.js")));
        Assert.NotEmpty(await Http.GetStringAsync(new Uri(Admin, "/docs/swagger-ui-bundle.js")));
        using HttpResponseMessage nothing = await Http.GetAsync(new Uri(Admin, "/nothing"));
        Assert.Equal(404, (int?)JsonNode.Parse(await nothing.Content.ReadAsStringAsync())!["code"]);

        penstock.Signal("TERM");
        Assert.Equal(0, await penstock.ExitCodeAsync());
        Assert.DoesNotContain(penstock.Lines, static l => l.Contains("\"level\":\"error\"", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Flavour.All), MemberType = typeof(Flavour))]
    public async Task Nodes_that_share_a_database_show_each_other(string flavour)
    {
        string program = Flavour.Program(flavour);
        await using var backend = ScriptedBackend.Always("ok");
        WriteConfig(backend.Port, await (await postgres.StartedAsync()).NewDatabaseAsync());
        await using PenstockProcess penstock = await PenstockProcess.StartedProgramAsync(program, Folder, "run");

        await TryAsync(("get /cluster", "/cluster", 200, null, Json, "lease_statements"));
        await TryAsync(
            ("put /clients/{client_id}", "/clients/a", 201, """{"capacity":9,"rate_per_sec":2}""", Json, "a"));
        await TryAsync(("get /clients", "/clients", 200, null, Json, "\"client_id\":\"a\""));
        Assert.Equal(200, await StatusAsync("b"));
    }

    private void WriteConfig(int backend, string store) =>
        File.WriteAllText(Path.Combine(Folder, "penstock.yaml"), $$"""
            listen: 127.0.0.1:{{Port}}
            admin: { listen: "127.0.0.1:{{AdminPort}}" }
            clients: { identify: [header:X-API-Key, address] }
            backends: [http://127.0.0.1:{{backend}}]
            store: "{{store}}"
            """);

    private async Task OpenApiIsTheCommittedOneAsync()
    {
        string file = Path.Combine(Repository.Root, "docs", "openapi.json");
        JsonNode committed = JsonNode.Parse(await File.ReadAllTextAsync(file))!;
        JsonNode running = JsonNode.Parse(await Http.GetStringAsync(new Uri(Admin, "/openapi/v1.json")))!;

        Assert.Equal(committed.ToJsonString(), running.ToJsonString());
        IEnumerable<string> operations = running["paths"]!.AsObject()
            .SelectMany(static path => path.Value!.AsObject().Select(method => $"{method.Key} {path.Key}"));
        Assert.Equal(operations.Order(), Rows.Select(static row => row.Operation).Distinct().Order());
    }

    private async Task TryAsync(
        (string Operation, string Path, int Status, string? Body, string Type, string Answer) row)
    {
        string path = row.Path;
        if (path.Contains("BACKEND", StringComparison.Ordinal))
        {
            JsonNode upstreams = JsonNode.Parse(await Http.GetStringAsync(new Uri(Admin, "/upstreams")))!;
            string address = (string)upstreams["items"]![0]!["backends"]![0]!["address"]!;
            path = path.Replace("BACKEND", Uri.EscapeDataString(address), StringComparison.Ordinal);
        }
        using var request = new HttpRequestMessage(HttpMethod.Parse(row.Operation.Split(' ')[0]), new Uri(Admin, path));
        if (row.Body is not null)
        {
            request.Content = new StringContent(row.Body, Encoding.UTF8, row.Type);
        }

        using HttpResponseMessage answer = await Http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
        string body = await StateStream.BodyOf(answer);

        Assert.True((int)answer.StatusCode == row.Status, $"{row.Operation}: {answer.StatusCode}: {body}");
        Assert.Contains(row.Answer, body);
        if (answer.Content.Headers.ContentType?.MediaType == Json)
        {
            Assert.NotNull(JsonNode.Parse(body));
        }
    }

    private async Task<int> StatusAsync(string client)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, Proxy);
        request.Headers.Add("X-API-Key", client);
        using HttpResponseMessage answer = await Http.SendAsync(request);
        return (int)answer.StatusCode;
    }
}
