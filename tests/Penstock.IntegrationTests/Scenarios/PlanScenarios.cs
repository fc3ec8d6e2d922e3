using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Scenarios;

/// <summary>An operator sells plans, blocks a customer, exempts the monitoring, and gives one customer its own numbers
/// for one limit, with the commands of the real program.</summary>
public sealed class PlanScenarios : ProgramScenarios
{
    [Fact]
    public async Task Customers_have_plans_and_each_edit_is_met_by_the_next_request()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await WriteAsync(backend.Port, "free: { capacity: 2, rate: 1/h }");
        await using PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run");

        // One plan from the file, and one from a command.
        await RunAsync("clients set small --plan free");
        Assert.Equal("200 200 429", await StatusesAsync("", "small", 3));
        await RunAsync("plans set gold --capacity 3 --rate 1/h");
        await RunAsync("clients set big1 --plan gold");
        await RunAsync("clients set big2 --plan gold");
        Assert.Equal("200 200 200 429", await StatusesAsync("", "big1", 4));

        // An edit of the plan changes all its clients; they keep their tokens: none and three.
        await RunAsync("plans set gold --capacity 5 --rate 1/h");
        Assert.Equal("429", await StatusesAsync("", "big1", 1));
        Assert.Equal("200 200 200 429", await StatusesAsync("", "big2", 4));
        Assert.Matches(@"gold +5 +1/h +2 +api", await RunAsync("plans list"));
        await RunAsync("clients reset big1");
        Assert.Equal("200 200 200 200 200 429", await StatusesAsync("", "big1", 6));

        // Invalid edits are reported.
        Assert.Contains("plan 'gold' has 2 clients", await RunAsync("plans delete gold", code: 1));
        Assert.Contains("did you mean 'gold'?", await RunAsync("clients set big1 --plan glod", code: 1));
        Assert.Contains("in the configuration file", await RunAsync("plans set free --capacity 9 --rate 1/s", code: 1));
        Assert.Contains("give either --plan",
            await RunAsync("clients set a --plan gold --capacity 9 --rate 1/s", code: 2));

        // The file changes its plan, and then no longer has it: the clients keep the numbers.
        await WriteAsync(backend.Port, "free: { capacity: 4, rate: 1/h }");
        (await Http.PostAsync(new Uri(Admin, "reload"), null)).EnsureSuccessStatusCode();
        await RunAsync("clients reset small");
        Assert.Equal("200 200 200 200 429", await StatusesAsync("", "small", 5));
        await WriteAsync(backend.Port, "");
        (await Http.PostAsync(new Uri(Admin, "reload"), null)).EnsureSuccessStatusCode();
        Assert.Matches(@"free +4 +1/h +1 +api", await RunAsync("plans list"));
    }

    [Fact]
    public async Task Customers_are_blocked_exempt_and_limited_by_name_and_stay_so_over_a_restart()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await WriteAsync(backend.Port, "");
        await using (PenstockProcess penstock = await PenstockProcess.StartedAsync(Folder, "run"))
        {
            await RunAsync("clients set bad --capacity 9 --rate 1/h");
            Assert.Equal("200", await StatusesAsync("", "bad", 1));
            await RunAsync("clients set bad --block");
            await RunAsync("clients set monitoring --exempt");
            await RunAsync("clients set searcher --capacity 9 --rate 1/h --limit search=2,1/h");
            penstock.Signal("TERM");
            Assert.Equal(0, await penstock.ExitCodeAsync());
        }
        await using PenstockProcess again = await PenstockProcess.StartedAsync(Folder, "run");

        // Blocked: on all routes, with a message that says so.
        Assert.Equal("403 403", await StatusesAsync("", "bad", 1) + " " + await StatusesAsync("off", "bad", 1));
        HttpResponseMessage rejected = await GetAsync("", "bad");
        Assert.StartsWith("""{"code":403,"message":"Client is blocked","client":"bad",""",
            await rejected.Content.ReadAsStringAsync());
        Assert.Contains("\"client\":\"bad\",\"identified_by\":\"header:X-API-Key\",\"limit\":\"client_blocked\"",
            await Http.GetStringAsync(new Uri(Admin, "rejections")));
        Assert.Matches("(?m)^bad +9 +1/h +[0-9.]+ .* blocked$", await RunAsync("clients get bad"));
        await RunAsync("clients set bad --allow");
        Assert.Equal("200", await StatusesAsync("", "bad", 1));

        // exempt: no limit of any kind
        Assert.Equal("200 200 200 200 200 200", await StatusesAsync("search", "monitoring", 6));

        // Own numbers for one limit, in addition to the general ones.
        Assert.Equal("200 200 429", await StatusesAsync("search", "searcher", 3));
        Assert.Equal("200 200", await StatusesAsync("", "searcher", 2));
        await RunAsync("clients set searcher --limit search=off");
        Assert.Equal("200 200 200 200 429", await StatusesAsync("search", "searcher", 5)); // as for everybody
    }

    private Task WriteAsync(int backend, string plans) => File.WriteAllTextAsync(
        Path.Combine(Folder, "penstock.yaml"), $$"""
        listen: 127.0.0.1:{{Port}}
        admin: { listen: "127.0.0.1:{{AdminPort}}" }
        access_log: off
        store: sqlite:penstock.db
        clients: { identify: [header:X-API-Key, address] }
        limits:
          default: { capacity: 1, rate: 1/h }
          search: { capacity: 4, rate: 1/h }
        plans: { {{plans}} }
        upstreams: { web: { backends: [http://127.0.0.1:{{backend}}] } }
        routes:
          - { path: /search, upstream: web, limit: [default, search] }
          - { path: /off, upstream: web, limit: off }
          - { upstream: web }
        """);

    /// <summary>Runs <c>penstock</c> in a shell and returns its output.</summary>
    private async Task<string> RunAsync(string words, int code = 0)
    {
        string file = Path.Combine(Folder, "said");
        string program = Path.Combine(AppContext.BaseDirectory, "penstock.dll");
        await using PenstockProcess run = PenstockProcess.StartShell(
            $"{{ dotnet '{program}' {words} --admin {Admin} 2>&1; }} > {file}");
        int exit = await run.ExitCodeAsync();
        string said = await File.ReadAllTextAsync(file);
        Assert.True(code == exit, said);
        return said;
    }
}
