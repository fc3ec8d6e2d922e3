using System.Net;
using System.Threading.Channels;
using Microsoft.Playwright;
using Xunit;
using static Microsoft.Playwright.Assertions;

namespace Penstock.BrowserTests;

/// <summary>Clients without a pointer.</summary>
public sealed class ClientsKeyboardTests(Browser browser, SharedDashboard shared) : BrowserScenarios(browser)
{
    private readonly HttpClient _http = new();

    [Fact]
    public async Task Client_is_registered_filled_and_deleted()
    {
        DashboardScenario penstock = await StartAsync();
        IPage page = await OpenAsync(penstock.View("flow"));
        await page.GoToAsync("Clients");
        await page.PressOnAsync(page.Summary("Register a client"));
        await page.TypeIntoAsync(page.GetByLabel("Client", new() { Exact = true }), "kim");
        await page.TypeIntoAsync(page.GetByLabel("Capacity", new() { Exact = true }), "2");
        await page.TypeIntoAsync(page.GetByLabel("Rate", new() { Exact = true }), "0.0001");
        await page.PressOnAsync(page.Button("Register"));
        await Expect(page.Client("kim")).ToBeVisibleAsync();
        await Expect(page.Summary("Register a client")).ToBeFocusedAsync();
        Assert.Equal(2, (await penstock.ApiAsync("clients/kim")).GetProperty("capacity").GetInt64());
        Assert.Equal([HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.TooManyRequests],
            [await GetAsync(penstock), await GetAsync(penstock), await GetAsync(penstock)]);

        await page.PressOnAsync(page.Button("Fill the bucket of kim"), "Space");
        await Expect(page.GetByText("The bucket of kim is full.")).ToBeVisibleAsync();
        await Expect(page.Button("Fill the bucket of kim")).ToBeFocusedAsync();
        Assert.Equal(HttpStatusCode.OK, await GetAsync(penstock));

        ILocator delete = page.Button("Delete kim");
        await page.PressOnAsync(delete);
        await page.AnswerAsync(delete, null);
        Assert.Equal(HttpStatusCode.OK, await StatusAsync(penstock, "kim"));
        await page.Keyboard.PressAsync("Space");
        await page.AnswerAsync(null, "Delete");
        await Expect(page.Client("kim")).ToHaveCountAsync(0);
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(penstock, "kim"));
        await Expect(page.GetByLabel("Search")).ToBeFocusedAsync();
    }

    [Fact]
    public async Task Client_is_edited_from_its_vessel_or_left_as_it_is()
    {
        DashboardScenario penstock = await StartAsync();
        IPage page = await OpenAsync(penstock.View("flow"));
        await page.GoToAsync("Clients");
        await page.PressOnAsync(page.Locator(".vessel[data-client='bob']").First);
        await Expect(page.GetByLabel("Capacity of bob")).ToBeFocusedAsync();
        await page.TypeIntoAsync(page.GetByLabel("Capacity of bob"), "77");
        await page.Keyboard.PressAsync("Escape");
        await Expect(page.Button("Edit bob")).ToBeFocusedAsync();
        Assert.Equal(5, (await penstock.ApiAsync("clients/bob")).GetProperty("capacity").GetInt64());

        await page.Keyboard.PressAsync("Space");
        await Expect(page.GetByLabel("Capacity of bob")).ToBeFocusedAsync();
        await page.PressOnAsync(page.Button("Cancel"));
        await Expect(page.Button("Edit bob")).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByLabel("Capacity of bob")).ToBeFocusedAsync();
        await page.TypeIntoAsync(page.GetByLabel("Capacity of bob"), "78");
        await page.PressOnAsync(page.Button("Save"), "Space");
        await Expect(page.GetByText("bob: 78 at once, then 1/s.")).ToBeVisibleAsync();
        Assert.Equal(78, (await penstock.ApiAsync("clients/bob")).GetProperty("capacity").GetInt64());
        await Expect(page.Button("Edit bob")).ToBeFocusedAsync();
    }

    [Fact]
    public async Task Unregistered_vessel_begins_its_registration()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("flow"));
        await page.GoToAsync("Clients");
        await page.PressOnAsync(page.Locator(".vessel[data-client='127.0.0.1']").First);
        await Expect(page.GetByLabel("Capacity", new() { Exact = true })).ToBeFocusedAsync();
        await Expect(page.GetByLabel("Client", new() { Exact = true })).ToHaveValueAsync("127.0.0.1");
    }

    [Fact]
    public async Task Conflict_of_two_editors_is_decided()
    {
        DashboardScenario penstock = await StartAsync();
        IPage page = await OpenAsync(penstock.View("flow"));
        await page.GoToAsync("Clients");
        Allow("412 (Precondition Failed)");
        foreach ((string choice, int expected) in new[] { ("Keep theirs", 21), ("Use mine", 50) })
        {
            await page.PressOnAsync(page.Button("Edit alice"));
            await Expect(page.GetByLabel("Capacity of alice")).ToBeFocusedAsync();
            await penstock.RegisterAsync("alice", choice == "Use mine" ? 22 : 21, 1);
            await page.TypeIntoAsync(page.GetByLabel("Capacity of alice"), "50");
            await page.Keyboard.PressAsync("Enter");
            await Expect(page.Button("Use mine")).ToBeFocusedAsync();
            await page.PressOnAsync(page.Button(choice));
            await Expect(page.Button("Edit alice")).ToBeFocusedAsync();
            Assert.Equal(expected, (await penstock.ApiAsync("clients/alice")).GetProperty("capacity").GetInt64());
        }
    }

    [Fact]
    public async Task Clients_are_searched_and_saved()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("flow"));
        await page.GoToAsync("Clients");
        ILocator rows = page.Locator("tr[data-client]");
        await page.TypeIntoAsync(page.GetByLabel("Search"), "al");
        await Expect(rows).ToHaveCountAsync(await CountAsync(penstock, "al"));
        await Expect(page.GetByLabel("Search")).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Escape");
        await Expect(rows).ToHaveCountAsync(await CountAsync(penstock, ""));
        await page.PressOnAsync(page.Button("Read again"));
        await Expect(page.Button("Read again")).ToBeFocusedAsync();

        await page.TabToAsync(page.Button("Save all as CSV"));
        IDownload saved = await page.RunAndWaitForDownloadAsync(() => page.Keyboard.PressAsync("Enter"));
        string[] lines = await File.ReadAllLinesAsync(await saved.PathAsync());
        Assert.Equal(1 + await CountAsync(penstock, ""), lines.Length);
        Assert.Contains(lines, static line => line.StartsWith("alice,1000,", StringComparison.Ordinal));
        await Expect(page.Button("Save all as CSV")).ToBeFocusedAsync();
    }

    [Fact]
    public async Task More_clients_are_read_and_the_focus_goes_to_them()
    {
        DashboardScenario penstock = await StartAsync();
        for (int i = 0; i < 60; i++)
        {
            await penstock.RegisterAsync($"z{i:00}", 10, 1);
        }
        IPage page = await OpenAsync(penstock.View("flow"));
        await page.GoToAsync("Clients");
        await Expect(page.Locator("tr[data-client]")).ToHaveCountAsync(50);
        await page.PressOnAsync(page.Button("More"));
        await Expect(page.Locator("tr[data-client]")).ToHaveCountAsync(await CountAsync(penstock, ""));
        await Expect(page.Locator("tr[data-client]").Nth(50).GetByText("Edit")).ToBeFocusedAsync();
    }

    [Fact]
    public async Task File_is_tried_left_and_imported()
    {
        DashboardScenario penstock = await StartAsync();
        IPage page = await OpenAsync(penstock.View("flow"));
        ChannelReader<IFileChooser> choosers = page.Choosers();
        await page.GoToAsync("Clients");
        ILocator file = page.GetByLabel("Drop a file of clients");
        await page.PressOnAsync(page.Summary("Import a file"));
        await page.TabToAsync(file);
        Allow("400 (Bad Request)");
        await page.ChooseFileAsync(choosers, "Enter", "bad.csv", "client_id,capacity,rate_per_sec\nfrank,0,1\n");
        await Expect(page.GetByText("bad.csv changes nothing")).ToBeVisibleAsync();
        await Expect(file).ToBeFocusedAsync();

        await page.ChooseFileAsync(choosers, "Space", "good.csv", "client_id,capacity,rate_per_sec\nfrank,5,1\n");
        await Expect(page.GetByText("good.csv would give: 1 new client")).ToBeVisibleAsync();
        await Expect(page.Button("Import")).ToBeFocusedAsync();
        await page.PressOnAsync(page.Button("Cancel"));
        await Expect(page.GetByText("good.csv would give")).ToHaveCountAsync(0);
        await Expect(file).ToBeFocusedAsync();
        Assert.Equal(HttpStatusCode.NotFound, await StatusAsync(penstock, "frank"));

        await page.ChooseFileAsync(choosers, "Enter", "good.csv", "client_id,capacity,rate_per_sec\nfrank,5,1\n");
        await Expect(page.Button("Import")).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.Client("frank")).ToBeVisibleAsync();
        await Expect(file).ToBeFocusedAsync();
        Assert.Equal(5, (await penstock.ApiAsync("clients/frank")).GetProperty("capacity").GetInt64());
    }

    private static async Task<int> CountAsync(DashboardScenario penstock, string part) =>
        (await penstock.ApiAsync($"clients?limit=500&q={part}")).GetProperty("items").GetArrayLength();

    private static async Task<HttpStatusCode> StatusAsync(DashboardScenario penstock, string client)
    {
        using HttpResponseMessage answer = await penstock.Api.GetAsync($"clients/{client}");
        return answer.StatusCode;
    }

    /// <summary>Sends a request of the client <c>kim</c>.</summary>
    private async Task<HttpStatusCode> GetAsync(DashboardScenario penstock)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, penstock.Proxy);
        request.Headers.TryAddWithoutValidation("X-API-Key", "kim");
        using HttpResponseMessage response = await _http.SendAsync(request);
        return response.StatusCode;
    }
}
