using System.Text.Json;
using Microsoft.Playwright;
using Xunit;

namespace Penstock.BrowserTests;

/// <summary>The page that shows the admin API.</summary>
public sealed class DocsPageTests(Browser browser, SharedDashboard dashboard) : BrowserScenarios(browser)
{
    private const string Token = "a-token-of-the-browser-tests-0123456789";

    [Theory]
    [MemberData(nameof(Looks))]
    public async Task Docs_page_lists_the_operations_of_the_api_without_a_fault(Theme theme, Viewport viewport)
    {
        DashboardScenario penstock = await dashboard.StartedAsync();
        JsonElement document = await penstock.ApiAsync("openapi/v1.json");
        int operations = document.GetProperty("paths").EnumerateObject()
            .Sum(static path => path.Value.EnumerateObject().Count());
        IPage page = await OpenAsync(new(penstock.Admin, "docs/index.html"), theme, viewport);
        await Assertions.Expect(page.Locator(".opblock")).ToHaveCountAsync(operations);
        await Screenshots.TakeAsync(page, "docs");
    }

    [Fact]
    public async Task Page_with_the_token_may_use_the_api_and_another_may_not()
    {
        DashboardScenario penstock = await StartAsync(Token);
        Uri url = new(penstock.Admin, "docs/index.html");
        const string Ask = "async () => (await fetch('/clients')).status";

        Assert.Equal(200, await (await OpenAsync(url, token: Token)).EvaluateAsync<int>(Ask));
        Assert.Equal(401, await (await OpenAsync(url)).EvaluateAsync<int>(Ask));
        Allow("401");
    }
}
