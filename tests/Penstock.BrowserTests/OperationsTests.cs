using System.Text.Json;
using Microsoft.Playwright;
using Xunit;
using static Microsoft.Playwright.Assertions;

namespace Penstock.BrowserTests;

/// <summary>What an operator does in the page.</summary>
public sealed class OperationsTests(Browser browser, SharedDashboard shared) : BrowserScenarios(browser)
{
    [Fact]
    public async Task Backend_is_drained_and_weighed_after_a_question()
    {
        DashboardScenario penstock = await StartAsync();
        IPage page = await OpenAsync(penstock.View("operations"));
        string address = penstock.Address(0);
        ILocator state = page.GetByLabel($"State of {address}");

        await state.SelectOptionAsync("drain");
        await page.GetByRole(AriaRole.Button, new() { Name = "Cancel" }).ClickAsync();
        await Expect(state).ToHaveValueAsync("ready");
        await state.SelectOptionAsync("drain");
        await page.GetByRole(AriaRole.Button, new() { Name = "Set to drain" }).ClickAsync();
        await Expect(page.Locator($"tr[data-backend='{address}'] td").Nth(2)).ToContainTextAsync("drain");
        Assert.Equal("drain", (await BackendAsync(penstock, address)).GetProperty("state").GetString());

        await page.GetByLabel($"Weight of {address}").FillAsync("5");
        await page.Keyboard.PressAsync("Tab");
        await page.GetByRole(AriaRole.Button, new() { Name = "Set the weight" }).ClickAsync();
        await Expect(page.GetByText($"{address}: weight 5.")).ToBeVisibleAsync();
        Assert.Equal(5, (await BackendAsync(penstock, address)).GetProperty("weight").GetInt32());

        await page.Locator("nav a[data-view='flow']").ClickAsync();
        await Expect(page.Card($"backend web {address}").Locator(".pill")).ToHaveTextAsync("drain");
    }

    [Fact]
    public async Task Reload_shows_what_it_changed_or_each_fault_with_its_line()
    {
        DashboardScenario penstock = await StartAsync();
        IPage page = await OpenAsync(penstock.View("operations"));
        await Expect(page.GetByText("There was no reload since the start.")).ToBeVisibleAsync();

        // Penstock reads a file that has changed by itself, and the page says so.
        penstock.ChangeConfig("capacity: 100, rate: 50/s", "capacity: 150, rate: 50/s");
        await Expect(page.GetByText("limits.default.capacity 100 -> 150").First).ToBeVisibleAsync();
        await ReloadAsync(page);
        await Expect(page.GetByText("nothing changed").First).ToBeVisibleAsync();

        Allow("400 (Bad Request)");
        penstock.ChangeConfig("access_log: off", "acess_log: off");
        await Expect(page.GetByRole(AriaRole.Alert).GetByText("the last reload failed")).ToBeVisibleAsync();
        await ReloadAsync(page);
        await Expect(page.Locator("#notes .bad")).ToContainTextAsync("nothing was changed");
        await Expect(page.Locator("ul.fault")).ToContainTextAsync("penstock.yaml:");
        await Expect(page.Locator("ul.fault")).ToContainTextAsync("acess_log");
    }

    [Fact]
    public async Task Configuration_in_force_has_the_values_and_origins_of_the_api()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("operations"));
        await page.GetByText("Configuration in force").First.ClickAsync();
        await page.GetByLabel("Search in the configuration").FillAsync("limits.reports.");

        JsonElement[] expected = [.. (await penstock.ApiAsync("config")).GetProperty("settings").EnumerateArray()
            .Where(static one => one.GetProperty("origin").GetString() != "default"
                && one.GetProperty("key").GetString()!.StartsWith("limits.reports.", StringComparison.Ordinal))];
        ILocator rows = page.GetByRole(AriaRole.Region, new() { Name = "Configuration in force" }).Locator("tbody tr");
        await Expect(rows).ToHaveCountAsync(expected.Length);
        foreach ((int i, JsonElement one) in expected.Index())
        {
            await Expect(rows.Nth(i)).ToContainTextAsync(one.GetProperty("key").GetString()!);
            await Expect(rows.Nth(i)).ToContainTextAsync(one.GetProperty("origin").GetString()!);
        }
    }

    private static async Task ReloadAsync(IPage page)
    {
        await page.GetByRole(AriaRole.Button, new() { Name = "Reload now" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Reload", Exact = true }).ClickAsync();
    }

    private static Task<JsonElement> BackendAsync(DashboardScenario penstock, string address) =>
        penstock.ApiAsync($"upstreams/web/backends/{address}");
}
