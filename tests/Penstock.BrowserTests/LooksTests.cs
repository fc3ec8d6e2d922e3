using Microsoft.Playwright;
using Xunit;
using static Microsoft.Playwright.Assertions;

namespace Penstock.BrowserTests;

/// <summary>Each view in both themes, on a desktop and on a phone: accessible, and pictured for the README.</summary>
public sealed class LooksTests(Browser browser, SharedDashboard shared) : BrowserScenarios(browser)
{
    [Theory, MemberData(nameof(Looks))]
    public async Task View_is_accessible_and_fits(Theme theme, Viewport viewport)
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("flow"), theme, viewport);
        foreach (string view in new[] { "flow", "clients", "rejections", "what-if", "charts", "operations" })
        {
            await page.Locator($"nav a[data-view='{view}']").ClickAsync();
            await Expect(page.Locator($"nav a[data-view='{view}'][aria-current]")).ToBeVisibleAsync();
            await page.IsLiveAsync();
            await ReadyAsync(page, view);
            await Accessibility.CheckAsync(page);
            Assert.True(await page.EvaluateAsync<bool>(
                "document.documentElement.scrollWidth <= document.documentElement.clientWidth"), $"{view} is too wide");
            await Screenshots.TakeAsync(page, view);
        }
    }

    /// <summary>Waits until the view shows something, and opens what it hides.</summary>
    private static async Task ReadyAsync(IPage page, string view)
    {
        switch (view)
        {
            case "clients":
                await Expect(page.Client("alice")).ToBeVisibleAsync();
                await Expect(page.Locator(".vessel").First).ToBeVisibleAsync();
                await page.EvaluateAsync("document.querySelectorAll('details').forEach(one => { one.open = true; })");
                break;
            case "rejections":
                await Expect(page.Locator("tr[data-limit='reports']")).ToBeVisibleAsync();
                await page.GetByLabel("Header fields").FillAsync("X-API-Key: bob");
                await page.GetByRole(AriaRole.Button, new() { Name = "Explain" }).ClickAsync();
                await Expect(page.Locator(".steps")).ToBeVisibleAsync();
                break;
            case "flow" or "charts":
                await Expect(page.Locator("[data-chart='requests'] .area").First).ToBeVisibleAsync();
                break;
            case "operations":
                await page.EvaluateAsync("document.querySelectorAll('details').forEach(one => { one.open = true; })");
                await Expect(page.GetByText("health_check.path").First).ToBeVisibleAsync();
                break;
            default:
                break;
        }
    }
}
