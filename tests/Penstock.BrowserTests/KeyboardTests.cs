using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Playwright;
using Xunit;
using static Microsoft.Playwright.Assertions;

namespace Penstock.BrowserTests;

/// <summary>All views without a pointer: how to get there, what can be reached in them, and what they do that changes
/// nothing.</summary>
public sealed class KeyboardTests(Browser browser, SharedDashboard shared) : BrowserScenarios(browser)
{
    private const string Log = """
        {"time":"2026-11-21T04:05:06.000Z","client":"burst","duration_ms":0}
        {"time":"2026-11-21T04:05:06.001Z","client":"burst","duration_ms":0}
        {"time":"2026-11-21T04:05:06.002Z","client":"burst","duration_ms":0}
        {"time":"2026-11-21T04:05:06.003Z","client":"burst","duration_ms":0}

        """;

    [Theory]
    [InlineData("Flow")]
    [InlineData("Clients")]
    [InlineData("Why rejected")]
    [InlineData("What if")]
    [InlineData("Charts")]
    [InlineData("Operations")]
    public async Task All_that_can_be_clicked_is_reached_and_shows_the_focus(string view)
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View(view == "Flow" ? "charts" : "flow"));
        ChannelReader<IFileChooser> choosers = page.Choosers();
        await Reach.WatchAsync(page);
        await page.IsLiveAsync();
        await page.GoToAsync(view);
        await FillAsync(page, choosers, view);
        await Reach.AllAsync(page);
    }

    [Fact]
    public async Task Views_are_opened_and_the_focus_goes_into_them()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("flow"));
        await page.IsLiveAsync();
        foreach (string view in new[] { "Clients", "Why rejected", "What if", "Charts", "Operations", "Flow" })
        {
            await page.GoToAsync(view);
            await Expect(page.Locator("nav a[aria-current]")).ToHaveTextAsync(view);
            await Expect(page.Locator("#main").Locator("[tabindex], button, input, select").First).ToBeVisibleAsync();
            await page.Keyboard.PressAsync("Tab");
            await Expect(page.Locator("#main :focus")).ToHaveCountAsync(1);
        }
    }

    [Fact]
    public async Task First_key_offers_to_skip_to_the_content_of_the_view()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("clients"));
        await page.IsLiveAsync();
        await page.Keyboard.PressAsync("Tab");
        await Expect(page.GetByRole(AriaRole.Link, new() { Name = "Skip to the content" })).ToBeFocusedAsync();
        await Expect(page.GetByRole(AriaRole.Link, new() { Name = "Skip to the content" })).ToBeInViewportAsync();
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.Locator("#main")).ToBeFocusedAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = "Clients", Exact = true })).ToBeVisibleAsync();
        Assert.EndsWith("#/clients", page.Url);
    }

    [Fact]
    public async Task Theme_is_chosen_and_kept()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("flow"));
        ILocator theme = page.Locator("#theme");
        await page.PressOnAsync(theme);
        await Expect(theme).ToHaveTextAsync("Theme: light");
        await page.Keyboard.PressAsync("Space");
        await Expect(theme).ToHaveTextAsync("Theme: dark");
        await Expect(page.Locator("html")).ToHaveCSSAsync("color-scheme", "dark");
        await Expect(theme).ToBeFocusedAsync();
        await page.ReloadAsync();
        await Expect(theme).ToHaveTextAsync("Theme: dark");
        await page.PressOnAsync(theme);
        await Expect(theme).ToHaveTextAsync("Theme: system");
        await Expect(page.Locator("html")).ToHaveCSSAsync("color-scheme", "light dark");
    }

    [Fact]
    public async Task Token_opens_the_page()
    {
        DashboardScenario penstock = await StartAsync("a-token-for-the-keys");
        IPage page = await OpenAsync(penstock.View("clients"));
        await Expect(page.GetByLabel("Admin token")).ToBeFocusedAsync();
        Allow("401 (Unauthorized)");
        await page.Keyboard.TypeAsync("wrong");
        await page.PressOnAsync(page.Button("Log in"), "Space");
        await Expect(page.GetByText("This token is wrong.")).ToBeVisibleAsync();
        await Expect(page.GetByLabel("Admin token")).ToBeFocusedAsync();
        await page.Keyboard.TypeAsync("a-token-for-the-keys");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.Client("alice")).ToBeVisibleAsync();
        await Expect(page.Locator("#main")).ToBeFocusedAsync();
    }

    [Fact]
    public async Task Log_is_chosen_and_replayed_with_other_values()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("flow"));
        ChannelReader<IFileChooser> choosers = page.Choosers();
        await page.GoToAsync("What if");
        await page.TypeIntoAsync(page.GetByLabel("Capacity"), "1");
        await page.TypeIntoAsync(page.GetByLabel("Rate"), "1/s");
        await page.TabToAsync(page.GetByLabel("Drop an access log"));
        await page.ChooseFileAsync(choosers, "Enter", "access.log", Log);
        await Expect(page.GetByText("4 requests of 1 client")).ToBeVisibleAsync();
        await Expect(page.Figure("Rejected")).ToHaveAttributeAsync("value", await RejectedAsync(penstock, 1));

        await page.TypeIntoAsync(page.GetByLabel("Capacity").First, "3");
        await page.PressOnAsync(page.Button("Replay again"));
        await Expect(page.Figure("Rejected")).ToHaveAttributeAsync("value", await RejectedAsync(penstock, 3));
        await Expect(page.Button("Replay again")).ToBeFocusedAsync();
        await page.TabToAsync(page.GetByLabel("Drop an access log"));
        await page.ChooseFileAsync(choosers, "Space", "other.log", Log + Log);
        await Expect(page.GetByText("8 requests of 1 client")).ToBeVisibleAsync();
    }

    [Fact]
    public async Task Charts_of_another_time_and_subject_are_chosen()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("flow"));
        await page.GoToAsync("Charts");
        await Expect(page.Locator("[data-chart='requests'] .area").First).ToBeVisibleAsync();
        await page.TabToAsync(page.GetByLabel("Of", new() { Exact = true }));
        await page.Keyboard.TypeAsync($"backend web/{penstock.Address(0)}");
        await Expect(page.Locator("[data-chart='requests'] .legend")).ToContainTextAsync("served");
        await page.TabToAsync(page.GetByLabel("Time"), "Shift+Tab");
        await page.RunAndWaitForResponseAsync(() => page.Keyboard.PressAsync("ArrowDown"),
            static response => response.Url.EndsWith("history?window=24h", StringComparison.Ordinal) && response.Ok);
    }

    [Fact]
    public async Task Request_is_made_up_and_explained()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("flow"));
        await page.GoToAsync("Why rejected");
        await page.TypeIntoAsync(page.GetByLabel("Path"), "/reports/today");
        await page.TypeIntoAsync(page.GetByLabel("Header fields"), "X-API-Key: mallory");
        await page.PressOnAsync(page.Button("Explain"));
        await Expect(page.Locator(".steps > li").Last).ToContainTextAsync("Verdict: client blocked");
        await Expect(page.Button("Explain")).ToBeFocusedAsync();
    }

    [Fact]
    public async Task Configuration_in_force_is_opened_searched_and_closed()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        JsonElement[] settings = [.. (await penstock.ApiAsync("config")).GetProperty("settings").EnumerateArray()
            .Where(static one => one.GetProperty("key").GetString()!.StartsWith("limits.r", StringComparison.Ordinal))];
        int own = settings.Count(static one => one.GetProperty("origin").GetString() != "default");
        Assert.InRange(own, 1, settings.Length - 1);
        IPage page = await OpenAsync(penstock.View("flow"));
        await page.GoToAsync("Operations");
        ILocator rows = page.GetByRole(AriaRole.Region, new() { Name = "Configuration in force" }).Locator("tbody tr");

        await page.PressOnAsync(page.Summary("Configuration in force"));
        await page.TypeIntoAsync(page.GetByLabel("Search in the configuration"), "limits.r");
        await Expect(rows).ToHaveCountAsync(own);
        await page.PressOnAsync(page.GetByLabel("only what is not the default"), "Space");
        await Expect(rows).ToHaveCountAsync(settings.Length);
        await page.TabToAsync(page.Summary("Configuration in force"), "Shift+Tab");
        await page.Keyboard.PressAsync("Space");
        await Expect(rows.First).ToBeHiddenAsync();
    }

    /// <summary>Makes a view show all that it can.</summary>
    private static async Task FillAsync(IPage page, ChannelReader<IFileChooser> choosers, string view)
    {
        switch (view)
        {
            case "Clients":
                await page.PressOnAsync(page.Button("Edit carol"));
                await Expect(page.GetByLabel("Capacity of carol")).ToBeFocusedAsync();
                await Expect(page.Locator(".vessel").First).ToBeVisibleAsync();
                break;
            case "Why rejected":
                await page.PressOnAsync(page.Button("Explain"));
                await Expect(page.Locator(".steps")).ToBeVisibleAsync();
                await Expect(page.Locator("tr[data-limit='reports']")).ToBeVisibleAsync();
                break;
            case "What if":
                await page.TabToAsync(page.GetByLabel("Drop an access log"));
                await page.ChooseFileAsync(choosers, "Enter", "access.log", Log);
                await Expect(page.GetByRole(AriaRole.Slider, new() { Name = "Rate" })).ToBeVisibleAsync();
                break;
            case "Operations":
                await Expect(page.Locator("tr[data-backend]")).ToHaveCountAsync(4);
                break;
            default:
                await Expect(page.Locator("[data-chart='requests'] .area").First).ToBeVisibleAsync();
                break;
        }
    }

    private static async Task<string> RejectedAsync(DashboardScenario penstock, int capacity)
    {
        using HttpResponseMessage answer = await penstock.Api.PostAsync(
            $"simulate?capacity={capacity}&rate=1/s", new StringContent(Log));
        using JsonDocument report = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        return report.RootElement.GetProperty("rejected").GetRawText();
    }
}
