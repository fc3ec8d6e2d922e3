using System.Text.Json;
using Microsoft.Playwright;
using Penstock.TestKit;
using Xunit;

namespace Penstock.BrowserTests;

/// <summary>What the tests of pages look at is there: load, a backend that is down, a restart.</summary>
public sealed class DashboardScenarioTests(Browser browser) : BrowserScenarios(browser)
{
    [Fact]
    public async Task Load_is_admitted_rejected_and_blocked()
    {
        DashboardScenario penstock = await StartAsync();
        await StatusAsync("alice", 200);
        await StatusAsync("carol", 200);
        await StatusAsync("bob", 429);
        await StatusAsync("", 429);
        await StatusAsync("mallory", 403);
        penstock.Load["alice"].HadOnly(200);

        Task StatusAsync(string client, int status) => Eventually.TrueAsync(
            () => penstock.Load[client].Statuses.ContainsKey(status), $"'{client}' gets {status}");
    }

    [Fact]
    public async Task Killed_backend_is_reported_until_it_is_started_again()
    {
        DashboardScenario penstock = await StartAsync();
        await penstock.HealthAsync(1, "up");
        await penstock.KillBackendAsync(1);
        await penstock.HealthAsync(1, "down");
        await penstock.StartBackendAsync(1);
        await penstock.HealthAsync(1, "up");
    }

    [Fact]
    public async Task Restart_keeps_ports_and_clients_and_the_page_may_miss_the_server()
    {
        DashboardScenario penstock = await StartAsync();
        const string Ask = "async () => { try { return (await fetch('/clients/bob')).status } catch { return -1 } }";
        IPage page = await OpenAsync(new(penstock.Admin, "docs/index.html"));
        Allow("ERR_CONNECTION_REFUSED");

        await penstock.StopAsync();
        Assert.Equal(-1, await page.EvaluateAsync<int>(Ask));
        await penstock.StartAgainAsync();
        Assert.Equal(200, await page.EvaluateAsync<int>(Ask));
        await penstock.RestartAsync();
        Assert.Equal(200, await page.EvaluateAsync<int>(Ask));
        JsonElement bob = await penstock.ApiAsync("clients/bob");
        Assert.Equal(5, bob.GetProperty("capacity").GetInt32());
    }
}
