using System.Text.Json;
using Microsoft.Playwright;
using Penstock.TestKit;
using Xunit;
using static Microsoft.Playwright.Assertions;

namespace Penstock.BrowserTests;

/// <summary>What an operator changes without a pointer.</summary>
public sealed class OperationsKeyboardTests(Browser browser) : BrowserScenarios(browser)
{
    private readonly HttpClient _http = new();

    [Fact]
    public async Task Backend_is_drained_put_into_maintenance_and_made_ready()
    {
        DashboardScenario penstock = await StartAsync();
        string address = penstock.Address(0);
        IPage page = await OperationsAsync(penstock);
        ILocator state = page.GetByLabel($"State of {address}");

        await page.TabToAsync(state);
        await ChooseAsync(state, "Space", "ArrowDown", "Enter");
        await Expect(page.GetByRole(AriaRole.Dialog)).ToContainTextAsync($"Set {address} to drain?");
        await page.AnswerAsync(state, null);
        await Expect(state).ToHaveValueAsync("ready");
        await StateAsync(penstock, address, "ready");
        await ChooseAsync(state, "Space", "ArrowDown", "Enter");
        await page.AnswerAsync(state, "Set to drain");
        await StateAsync(penstock, address, "drain");

        await page.Keyboard.PressAsync("m"); // without opening the list
        await page.AnswerAsync(state, "Set to maintenance");
        await StateAsync(penstock, address, "maintenance");
        await GetsNoRequestsAsync(penstock, address);

        await ChooseAsync(state, "Space", "ArrowUp", "ArrowUp", "Enter"); // past drain
        await page.AnswerAsync(state, "Set to ready");
        await StateAsync(penstock, address, "ready");
        await Expect(page.Locator($"tr[data-backend='{address}'] td").Nth(2)).ToHaveTextAsync("up");
    }

    [Fact]
    public async Task State_is_chosen_from_the_open_list()
    {
        DashboardScenario penstock = await StartAsync();
        string address = penstock.Address(1);
        IPage page = await OperationsAsync(penstock);
        ILocator state = page.GetByLabel($"State of {address}");
        await page.TabToAsync(state);
        await ChooseAsync(state, "Alt+ArrowDown", "End", "Enter");
        await page.AnswerAsync(state, "Set to maintenance");
        await StateAsync(penstock, address, "maintenance");
    }

    [Fact]
    public async Task Weight_is_typed_or_stepped()
    {
        DashboardScenario penstock = await StartAsync();
        string address = penstock.Address(0);
        IPage page = await OperationsAsync(penstock);
        ILocator weight = page.GetByLabel($"Weight of {address}");

        await page.TypeIntoAsync(weight, "7");
        await page.Keyboard.PressAsync("Enter");
        await page.AnswerAsync(weight, "Set the weight");
        await WeightAsync(penstock, address, 7);
        await HasNewStateAsync(penstock, page, address);
        await page.Keyboard.PressAsync("ArrowUp");
        await page.Keyboard.PressAsync("ArrowUp");
        await page.Keyboard.PressAsync("ArrowUp");
        await page.Keyboard.PressAsync("Tab");
        await Expect(page.GetByRole(AriaRole.Dialog)).ToContainTextAsync($"Give {address} the weight 10?");
        await page.AnswerAsync(weight, null);
        await Expect(weight).ToHaveValueAsync("7");
        await WeightAsync(penstock, address, 7);
        await page.Keyboard.PressAsync("ArrowDown");
        await page.Keyboard.PressAsync("Escape");
        await Expect(weight).ToHaveValueAsync("7");
        await page.Keyboard.PressAsync("Tab");
        await Expect(page.GetByLabel($"State of {penstock.Address(1)}")).ToBeFocusedAsync();
    }

    [Fact]
    public async Task Configuration_is_reloaded_and_the_note_closed()
    {
        DashboardScenario penstock = await StartAsync();
        IPage page = await OperationsAsync(penstock);
        ILocator reload = page.Button("Reload now");
        await page.PressOnAsync(reload);
        await page.AnswerAsync(reload, null);
        Assert.Equal(JsonValueKind.Null, (await penstock.ApiAsync("reload")).GetProperty("time").ValueKind);

        await page.Keyboard.PressAsync("Space");
        await page.AnswerAsync(reload, "Reload");
        await Expect(page.GetByText("The configuration is reloaded.")).ToBeVisibleAsync();
        Assert.NotEqual(JsonValueKind.Null, (await penstock.ApiAsync("reload")).GetProperty("time").ValueKind);
        await Expect(page.GetByText("nothing changed").First).ToBeVisibleAsync();
        await Expect(reload).ToBeFocusedAsync();
        Allow("400 (Bad Request)");
        penstock.ChangeConfig("access_log: off", "acess_log: off");
        await page.Keyboard.PressAsync("Enter");
        await page.AnswerAsync(reload, "Reload");
        await Expect(page.Locator("#notes .bad")).ToContainTextAsync("nothing was changed");
        await page.PressOnAsync(page.Locator("#notes .bad").GetByRole(AriaRole.Button));
        await Expect(page.Locator("#notes .bad")).ToHaveCountAsync(0);
        await Expect(page.Locator("#notes button, #main").And(page.Locator(":focus"))).ToHaveCountAsync(1);
    }

    private async Task<IPage> OperationsAsync(DashboardScenario penstock)
    {
        IPage page = await OpenAsync(penstock.View("flow"));
        await page.GoToAsync("Operations");
        return page;
    }

    /// <summary>Waits until the page shows a state that was made from now on, so that no older one is on its way.
    /// </summary>
    private static async Task HasNewStateAsync(DashboardScenario penstock, IPage page, string address)
    {
        long before = (await BackendAsync(penstock, address)).GetProperty("requests").GetInt64();
        ILocator requests = page.Locator($"tr[data-backend='{address}'] td").Nth(4);
        await Eventually.TrueAsync(async () => long.Parse((await requests.InnerTextAsync()).Replace(",", "")) > before,
            "the backend has got more requests, and the page shows it");
    }

    /// <summary>Opens the list that has the focus with the first key, and presses the others in it. The last one closes
    /// it.</summary>
    private static async Task ChooseAsync(ILocator list, params string[] keys)
    {
        await list.Page.Keyboard.PressAsync(keys[0]);
        await OpenAsync(true);
        foreach (string key in keys.Skip(1))
        {
            await list.Page.Keyboard.PressAsync(key);
        }
        await OpenAsync(false);

        Task OpenAsync(bool isOpen) => Eventually.TrueAsync(async () =>
            await list.EvaluateAsync<bool>("one => one.matches(':open')") == isOpen, $"open: {isOpen}");
    }

    private static Task<JsonElement> BackendAsync(DashboardScenario penstock, string address) =>
        penstock.ApiAsync($"upstreams/web/backends/{address}");

    private static Task StateAsync(DashboardScenario penstock, string address, string state) =>
        Eventually.TrueAsync(async () => (await BackendAsync(penstock, address)).GetProperty("state").GetString()
            == state, $"{address} is {state}");

    private static Task WeightAsync(DashboardScenario penstock, string address, int weight) =>
        Eventually.TrueAsync(async () => (await BackendAsync(penstock, address)).GetProperty("weight").GetInt32()
            == weight, $"{address} has the weight {weight}");

    private async Task GetsNoRequestsAsync(DashboardScenario penstock, string address)
    {
        await Eventually.TrueAsync(async () => (await BackendAsync(penstock, address)).GetProperty("in_flight")
            .GetInt64() == 0, "requests in flight have ended");
        long before = (await BackendAsync(penstock, address)).GetProperty("requests").GetInt64();
        for (int i = 0; i < 20; i++)
        {
            (await _http.GetAsync(penstock.Proxy)).Dispose();
        }
        Assert.Equal(before, (await BackendAsync(penstock, address)).GetProperty("requests").GetInt64());
    }
}
