using System.Text.Json;
using Microsoft.Playwright;
using Penstock.TestKit;
using Xunit;
using static Microsoft.Playwright.Assertions;

namespace Penstock.BrowserTests;

/// <summary>Charts of the past, and the token that they need.</summary>
public sealed class ChartsTests(Browser browser, SharedDashboard shared) : BrowserScenarios(browser)
{
    [Fact]
    public async Task Chart_reads_the_values_of_the_history()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("charts"));
        ILocator chart = page.Locator("[data-chart='requests'] svg").First;
        await Expect(chart.Locator(".area").First).ToBeVisibleAsync();

        await Eventually.TrueAsync(async () =>
        {
            JsonElement history = await penstock.ApiAsync("history");
            await chart.FocusAsync();
            await page.Keyboard.PressAsync("ArrowRight"); // the last value
            string words = await page.Locator("[data-chart='requests'] .legend").TextContentAsync() ?? "";
            double last = history.GetProperty("by_status").GetProperty("2xx").EnumerateArray().Last().GetDouble();
            return words.Contains($"2xx {Three(last)}/s", StringComparison.Ordinal);
        }, "the legend says the last value of the history");
        string label = await chart.GetAttributeAsync("aria-label") ?? "";
        Assert.StartsWith("Requests per second, ", label);
    }

    [Fact]
    public async Task Backend_and_day_can_be_chosen()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("charts"));
        await Expect(page.Locator("[data-chart='latency'] .curve").First).ToBeVisibleAsync();

        await page.GetByLabel("Of").SelectOptionAsync(
            new SelectOptionValue { Label = $"backend web/{penstock.Address(0)}" });
        await Expect(page.Locator("[data-chart='requests'] .legend")).ToContainTextAsync("served");
        await page.GetByLabel("Time").SelectOptionAsync("24h");
        ILocator shown = page.Locator("[data-chart='requests'] .legend");
        await Expect(page.GetByText("The first value comes after").Or(shown).First).ToBeVisibleAsync();
    }

    [Fact]
    public async Task Token_is_asked_for_and_forgotten_with_the_page()
    {
        DashboardScenario penstock = await StartAsync("a-token-for-the-page");
        IPage page = await OpenAsync(penstock.View("charts"));
        Allow("401 (Unauthorized)");
        await Expect(page.GetByLabel("Admin token")).ToBeFocusedAsync();
        await Accessibility.CheckAsync(page);

        await page.Keyboard.TypeAsync("wrong");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByText("This token is wrong.")).ToBeVisibleAsync();
        await page.GetByLabel("Admin token").FillAsync("a-token-for-the-page");
        await page.Keyboard.PressAsync("Enter");
        await page.IsLiveAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Charts" })).ToBeVisibleAsync();
        Assert.Equal("", await page.EvaluateAsync<string>(
            "Object.values({...localStorage, ...sessionStorage}).join() + document.cookie"));

        await page.ReloadAsync();
        await Expect(page.GetByLabel("Admin token")).ToBeVisibleAsync();
    }

    /// <summary>A number with three digits, as the page shows it.</summary>
    private static string Three(double value) =>
        value >= 100 ? $"{value:0}" : value >= 10 ? $"{value:0.#}" : $"{value:0.##}";
}
