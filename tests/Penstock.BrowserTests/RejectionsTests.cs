using System.Text.Json;
using Microsoft.Playwright;
using Penstock.TestKit;
using Xunit;
using static Microsoft.Playwright.Assertions;

namespace Penstock.BrowserTests;

/// <summary>Why requests are rejected.</summary>
public sealed class RejectionsTests(Browser browser, SharedDashboard shared) : BrowserScenarios(browser)
{
    [Fact]
    public async Task Rows_are_the_rejections_of_the_api()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("rejections"));
        ILocator table = page.GetByRole(AriaRole.Region, new() { Name = "The last rejections" });
        await Expect(table.GetByText("bob").First).ToBeVisibleAsync();

        await Eventually.TrueAsync(async () =>
        {
            JsonElement[] items = [.. (await penstock.ApiAsync("rejections?limit=100")).GetProperty("items")
                .EnumerateArray()];
            string[] ids = [.. items.Select(static one => one.GetProperty("request_id").GetString()!)];
            IReadOnlyList<string> shown = await table.Locator("tbody tr td:last-child").AllTextContentsAsync();
            return shown.Take(20).All(ids.Contains);
        }, "the rows on the page are those of the API");
        await Expect(table.GetByText("header:X-Client-ID").First).ToBeVisibleAsync();
        await Expect(table.GetByText("client_blocked").First).ToBeVisibleAsync();
    }

    [Fact]
    public async Task Limits_have_the_counts_of_the_api()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("rejections"));
        ILocator rejected = page.Locator("tr[data-limit='reports'] td").Nth(5);

        await Eventually.TrueAsync(async () =>
        {
            double before = await RejectedAsync(penstock);
            string text = await rejected.TextContentAsync(new() { Timeout = 60_000 }) ?? "";
            double after = await RejectedAsync(penstock);
            return double.TryParse(text.Split(' ')[0].Replace(",", ""), out double shown)
                && shown > 0 && shown <= after && shown >= before - 20; // the view reads them every two seconds
        }, "the limit's rejections are those of the API");
    }

    [Fact]
    public async Task Made_up_request_is_explained_step_by_step()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("rejections"));
        await page.GetByLabel("Path").FillAsync("/reports/today");
        await page.GetByLabel("Header fields").FillAsync("X-API-Key: alice");
        await page.Keyboard.PressAsync("Tab");
        await page.Keyboard.PressAsync("Enter");

        ILocator steps = page.Locator(".steps > li");
        await Expect(steps.Nth(0)).ToContainTextAsync("Client: alice");
        await Expect(steps.Nth(0)).ToContainTextAsync("identified by header:X-API-Key");
        await Expect(steps.Nth(1)).ToContainTextAsync("leads to the upstream reports");
        await Expect(steps.Nth(2)).ToContainTextAsync("of 1,000 tokens");
        await Expect(steps.Nth(3)).ToContainTextAsync(penstock.Address(3));
        await Expect(steps.Nth(4)).ToContainTextAsync($"Pick: {penstock.Address(3)}");
        await Expect(steps.Nth(5)).ToContainTextAsync("Verdict: ok");

        await page.GetByLabel("Header fields").FillAsync("X-API-Key: mallory");
        await page.GetByRole(AriaRole.Button, new() { Name = "Explain" }).ClickAsync();
        await Expect(page.Locator(".steps > li").Last).ToContainTextAsync("Verdict: client blocked");
    }

    private static async Task<double> RejectedAsync(DashboardScenario penstock) =>
        (await penstock.ApiAsync("status")).GetProperty("limits").EnumerateArray()
            .Single(static one => one.GetProperty("name").GetString() == "reports").GetProperty("rejected").GetDouble();
}
