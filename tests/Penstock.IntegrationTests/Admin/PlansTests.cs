using Penstock.Proxy.Configuration;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>Plans, access and numbers for named limits, through the API.</summary>
public sealed class PlansTests : IAsyncLifetime
{
    private AdminFixture _admin = null!;

    public async ValueTask InitializeAsync() => _admin = await AdminFixture.StartAsync(
        change: static config => config with
    {
        Plans = new Dictionary<string, LimitConfig> { ["free"] = new(10, 1) },
        Proxy = config.Proxy with
        {
            Limits = new Dictionary<string, LimitConfig>
            {
                ["default"] = new(100, 10),
                ["search"] = new(20, 2),
                ["addresses"] = new(20, 2) { By = LimitKey.Address },
                ["slots"] = new(0, 0) { Concurrent = 3 },
            },
        },
    });

    public ValueTask DisposeAsync() => _admin.DisposeAsync();

    [Fact]
    public async Task Plan_is_created_changed_looked_at_and_deleted()
    {
        Answer created = await SendAsync("PUT", "/plans/gold", """{"capacity":1000,"rate_per_sec":50}""");
        Assert.Equal((201, "/plans/gold"), (created.Status, created.Location));
        Assert.Equal("""{"name":"gold","capacity":1000,"rate_per_sec":50,"clients":0,"source":"api"}""", created.Body);

        await SendAsync("POST", "/clients", """{"client_id":"k1","plan":"gold","current_tokens":700}""", 201);
        await SendAsync("PATCH", "/plans/gold", """{"capacity":500}""", 200);
        Assert.Equal("""{"name":"gold","capacity":500,"rate_per_sec":50,"clients":1,"source":"api"}""",
            (await SendAsync("GET", "/plans/gold")).Body);
        Answer client = await SendAsync("GET", "/clients/k1");
        Assert.Equal((500, 500), (client["capacity"].GetInt64(), client["current_tokens"].GetDouble()));
        Assert.Equal(["free", "gold"], (await SendAsync("GET", "/plans"))["items"].EnumerateArray()
            .Select(plan => plan.GetProperty("name").GetString()));

        (await SendAsync("DELETE", "/plans/gold")).IsError(409, "plan 'gold' has 1 client: first give");
        await SendAsync("DELETE", "/clients/k1", status: 204);
        await SendAsync("DELETE", "/plans/gold", status: 204);
        (await SendAsync("DELETE", "/plans/gold")).IsError(404, "there is no plan 'gold'");
        (await SendAsync("GET", "/plans/gold")).IsError(404);
        (await SendAsync("PATCH", "/plans/gold", """{"capacity":500}""")).IsError(404);
    }

    [Fact]
    public async Task Plan_of_the_configuration_is_there_and_changed_only_there()
    {
        Assert.Equal("""{"name":"free","capacity":10,"rate_per_sec":1,"clients":0,"source":"config"}""",
            (await SendAsync("GET", "/plans/free")).Body);
        foreach (string method in new[] { "PUT", "PATCH", "DELETE" })
        {
            (await SendAsync(method, "/plans/free", method == "DELETE" ? null : """{"capacity":1,"rate_per_sec":1}"""))
                .IsError(409, "plan 'free' is in the configuration file");
        }

        await SendAsync("POST", "/clients", """{"client_id":"k1","plan":"free"}""", 201);
    }

    [Fact]
    public async Task Faults_of_a_plan_are_all_told()
    {
        (await SendAsync("PUT", "/plans/a%20b", """{"capacity":0,"rate_per_sec":"x","burst":1}""")).HasFaults(
            "name 'a b' is not a name; use up to 64 letters, digits, '-', '_' and '.'",
            "capacity must be from 1 to 1000000000", "rate_per_sec must be a number, not a text",
            "burst is not known; known are capacity, rate_per_sec");
        (await SendAsync("PUT", "/plans/a", "{}")).HasFaults("capacity is required", "rate_per_sec is required");
        (await SendAsync("PUT", "/plans/a", """{"capacity":1000000000,"rate_per_sec":0.000001}"""))
            .IsError(400, "100 years");
    }

    [Fact]
    public async Task Client_of_a_plan_cannot_have_numbers_besides()
    {
        (await SendAsync("POST", "/clients", """{"client_id":"k","plan":"fre"}"""))
            .HasFaults("plan is not known: no plan is named 'fre'; did you mean 'free'?");
        (await SendAsync("POST", "/clients", """{"client_id":"k","plan":7}"""))
            .HasFaults("plan must be the name of a plan, not a number");
        (await SendAsync("POST", "/clients", """{"client_id":"k","plan":"free","capacity":11}"""))
            .HasFaults("capacity must equal that of the plan, 10; leave out the capacity or the plan");
        (await SendAsync("POST", "/clients", """{"client_id":"k","plan":"free","current_tokens":11}"""))
            .HasFaults("current_tokens must not be above the capacity, 10");

        Answer made =
            await SendAsync("POST", "/clients", """{"client_id":"k","plan":"free","current_tokens":4}""", 201);
        Answer read = await SendAsync("GET", "/clients/k");
        await SendAsync("PUT", "/clients/k", read.Body, 200); // what was read may be sent back
        Assert.Equal(made.ETag, (await SendAsync("GET", "/clients/k")).ETag);
        (await SendAsync("PATCH", "/clients/k", """{"rate_per_sec":7}""")).IsError(400, "plan is 'free'");

        Answer own = await SendAsync("PATCH", "/clients/k", """{"plan":null}""", 200);
        Assert.NotEqual(made.ETag, own.ETag);
        Assert.DoesNotContain("plan", own.Body);
        await SendAsync("PATCH", "/clients/k", """{"rate_per_sec":7}""", 200);
        await SendAsync("PATCH", "/clients/k", """{"plan":"free"}""", 200);
        own = await SendAsync("PUT", "/clients/k", """{"capacity":50,"rate_per_sec":5}""", 200);
        Assert.Contains("\"capacity\":50", own.Body);
        Assert.DoesNotContain("plan", own.Body);
    }

    [Fact]
    public async Task Blocked_and_exempt_clients_need_no_numbers_and_keep_those_they_have()
    {
        Assert.Equal("""{"client_id":"bad","access":"blocked"}""",
            (await SendAsync("PUT", "/clients/bad", """{"access":"blocked"}""", 201)).Body);
        (await SendAsync("PATCH", "/clients/bad", """{"access":"limited"}""")).HasFaults(
            "capacity is required, unless the client has a plan",
            "rate_per_sec is required, unless the client has a plan");
        (await SendAsync("PATCH", "/clients/bad", """{"current_tokens":1}"""))
            .HasFaults("current_tokens needs a capacity");
        (await SendAsync("PUT", "/clients/bad", """{"access":"open"}""")).HasFaults(
            "access must be one of limited, blocked, exempt, not 'open'", "capacity is required",
            "rate_per_sec is required");
        await SendAsync("PATCH", "/clients/bad", """{"access":"limited","plan":"free"}""", 200);

        await SendAsync("POST", "/clients",
            """{"client_id":"k","capacity":5,"rate_per_sec":0.001,"current_tokens":3}""", 201);
        await SendAsync("PUT", "/clients/k", """{"access":"exempt"}""", 200);
        Assert.Equal("""{"client_id":"k","capacity":5,"rate_per_sec":0.001,"current_tokens":3,"access":"exempt"}""",
            (await SendAsync("POST", "/clients/k/reset", status: 200)).Body.Replace(":5,\"access", ":3,\"access"));
        await SendAsync("PUT", "/clients/k", """{"capacity":6,"rate_per_sec":0.001}""", 200);
        Assert.Equal("exempt", (await SendAsync("GET", "/clients/k"))["access"].GetString());
        await SendAsync("PATCH", "/clients/k", """{"access":"limited"}""", 200);
        Assert.DoesNotContain("access", (await SendAsync("GET", "/clients/k")).Body);
    }

    [Fact]
    public async Task Numbers_by_limit_are_merged_and_rejected_where_no_limit_could_have_them()
    {
        (await SendAsync("POST", "/clients", """
            {"client_id":"k","plan":"free","limits":{"serch":{"capacity":1,"rate_per_sec":1},
             "addresses":{"capacity":1,"rate_per_sec":1},"slots":{"capacity":1,"rate_per_sec":1}}}
            """)).HasFaults(
            "limits.serch is not known: no limit is named 'serch'; did you mean 'search'?",
            "limits.addresses counts by address: a client can have numbers only for a limit that counts by client",
            "limits.slots has no capacity, because it is only a concurrency limit");
        (await SendAsync("POST", "/clients", """
            {"client_id":"k","plan":"free","limits":{"search":{"capacity":0,"x":1},"default":5,"default":6}}
            """)).HasFaults(
            "limits.search.x is not known; known are capacity, rate_per_sec",
            "limits.search.capacity must be from 1 to 1000000000", "limits.search.rate_per_sec is required",
            "limits.default must be an object with capacity and rate_per_sec, not a number",
            "limits.default is given twice");

        await SendAsync("POST", "/clients",
            """{"client_id":"k","plan":"free","limits":{"search":{"capacity":5,"rate_per_sec":1}}}""", 201);
        await SendAsync("PATCH", "/clients/k", """{"limits":{"default":{"capacity":7,"rate_per_sec":1}}}""", 200);
        await SendAsync("PUT", "/clients/k", """{"plan":"free"}""", 200);
        Assert.Contains("""
            "limits":{"default":{"capacity":7,"rate_per_sec":1},"search":{"capacity":5,"rate_per_sec":1}}
            """.Trim(), (await SendAsync("GET", "/clients/k")).Body);
        await SendAsync("PATCH", "/clients/k", """{"limits":{"search":{"rate_per_sec":2}}}""", 200);
        Assert.Contains("""
            "search":{"capacity":5,"rate_per_sec":2}
            """.Trim(), (await SendAsync("GET", "/clients/k")).Body);
        await SendAsync("PATCH", "/clients/k", """{"limits":{"search":null}}""", 200);
        Assert.DoesNotContain("search", (await SendAsync("GET", "/clients/k")).Body);
        await SendAsync("PUT", "/clients/k", """{"plan":"free","limits":{}}""", 200);
        Assert.DoesNotContain("limits", (await SendAsync("GET", "/clients/k")).Body);
    }

    [Theory]
    [InlineData("csv", "text/csv")]
    [InlineData("jsonl", "application/x-ndjson")]
    public async Task Export_brings_plans_access_and_limits_back(string format, string type)
    {
        await SendAsync("PUT", "/plans/gold", """{"capacity":1000,"rate_per_sec":0.001}""", 201);
        await SendAsync("PUT", "/clients/gold", """{"plan":"gold","current_tokens":1000}""", 201);
        await SendAsync("PUT", "/clients/bad", """{"access":"blocked"}""", 201);
        await SendAsync("PUT", "/clients/own", """
            {"capacity":5,"rate_per_sec":1,"access":"exempt",
             "limits":{"search":{"capacity":5,"rate_per_sec":0.5},"default":{"capacity":1,"rate_per_sec":1}}}
            """, 201);
        string file = (await SendAsync("GET", "/clients/export?format=" + format)).Body;
        await SendAsync("PUT", "/plans/gold", """{"capacity":2000,"rate_per_sec":0.001}""", 200);
        string before = (await SendAsync("GET", "/clients")).Body;

        Answer same = await _admin.SendAsync("POST", "/clients/import", file, type);
        Assert.Equal("""{"created":0,"updated":0,"unchanged":3}""", same.Body);
        foreach (string id in new[] { "gold", "bad", "own" })
        {
            await SendAsync("DELETE", "/clients/" + id, status: 204);
        }

        Answer made = await _admin.SendAsync("POST", "/clients/import", file, type);
        Assert.Equal("""{"created":3,"updated":0,"unchanged":0}""", made.Body);
        Assert.Equal(before, (await SendAsync("GET", "/clients")).Body);
    }

    [Fact]
    public async Task Import_names_the_lines_with_an_unknown_plan_or_limit()
    {
        Answer answer = await _admin.SendAsync("POST", "/clients/import",
            "client_id,plan,limits\na,free,\nb,fre,\nc,free,serch=1:1\n", "text/csv");
        answer.HasFaults("line 3 plan is not known: no plan is named 'fre'; did you mean 'free'?",
            "line 4 limits.serch is not known: no limit is named 'serch'; did you mean 'search'?");
        Assert.Equal("""{"items":[],"next_cursor":null}""", (await SendAsync("GET", "/clients")).Body);
    }

    private async Task<Answer> SendAsync(string method, string path, string? body = null, int status = 0)
    {
        Answer answer = await _admin.SendAsync(method, path, body);
        Assert.True(status == 0 || status == answer.Status, answer.Body);
        return answer;
    }
}
