using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.Playwright;
using Xunit;
using static Microsoft.Playwright.Assertions;

namespace Penstock.BrowserTests;

/// <summary>What a limit would have done to an access log.</summary>
public sealed class WhatIfTests(Browser browser, SharedDashboard shared) : BrowserScenarios(browser)
{
    [Fact]
    public async Task Sliders_say_what_the_simulator_says()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("what-if"));
        await page.GetByLabel("Capacity").FillAsync("10");
        await page.GetByLabel("Rate").FillAsync("2/s");
        await page.Locator("#log").SetInputFilesAsync(new FilePayload
        {
            Name = "access.log", MimeType = "text/plain", Buffer = Encoding.UTF8.GetBytes(Log()),
        });

        JsonElement report = await SimulateAsync(penstock, 10, 2);
        await Expect(page.GetByText("600 requests of 2 clients")).ToBeVisibleAsync();
        Assert.Equal(report.GetProperty("rejected").GetDouble(), await page.Figure("Rejected").NumberAsync());

        await page.GetByRole(AriaRole.Slider, new() { Name = "Capacity" }).FocusAsync();
        for (int i = 0; i < 3; i++)
        {
            await page.Keyboard.PressAsync("ArrowRight");
        }
        long capacity = long.Parse((await page.GetByRole(AriaRole.Slider, new() { Name = "Capacity" })
            .GetAttributeAsync("aria-valuetext"))!.Replace(",", ""));
        Assert.True(capacity > 10);
        JsonElement other = await SimulateAsync(penstock, capacity, 2);
        Assert.Equal(other.GetProperty("rejected").GetDouble(), await page.Figure("Rejected").NumberAsync());
        await Accessibility.CheckAsync(page);
        await Screenshots.TakeAsync(page, "what-if-result");
    }

    [Fact]
    public async Task File_that_is_no_log_is_explained()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("what-if"));
        Allow("400 (Bad Request)");

        await page.Locator("#log").SetInputFilesAsync(new FilePayload
        {
            Name = "cat.png", MimeType = "image/png", Buffer = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
        });

        await Expect(page.GetByRole(AriaRole.Alert).Last).Not.ToBeEmptyAsync();
    }

    /// <summary>Two clients: one sends twenty requests in the first tenth of each second for 20 seconds.</summary>
    private static string Log()
    {
        var log = new StringBuilder();
        var start = new DateTime(2026, 11, 21, 4, 5, 6, DateTimeKind.Utc);
        for (int i = 0; i < 400; i++)
        {
            DateTime time = start.AddSeconds(i / 20).AddMilliseconds(i % 20 * 5);
            log.Append($"{{\"time\":\"{time:yyyy-MM-ddTHH:mm:ss.fffZ}\",\"client\":\"burst\",\"duration_ms\":0}}\n");
        }
        for (int i = 0; i < 200; i++)
        {
            DateTime time = start.AddMilliseconds(i * 100);
            log.Append($"{{\"time\":\"{time:yyyy-MM-ddTHH:mm:ss.fffZ}\",\"client\":\"steady\",\"duration_ms\":0}}\n");
        }
        return log.ToString();
    }

    private static async Task<JsonElement> SimulateAsync(DashboardScenario penstock, long capacity, double rate)
    {
        using HttpResponseMessage answer = await penstock.Api.PostAsync(
            $"simulate?capacity={capacity}&rate={rate}/s", new StringContent(Log()));
        return await answer.Content.ReadFromJsonAsync<JsonElement>();
    }
}
