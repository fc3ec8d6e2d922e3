using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Playwright;
using Penstock.TestKit;
using Xunit;
using static Microsoft.Playwright.Assertions;

namespace Penstock.BrowserTests;

/// <summary>Clients: seen, searched and edited in the page.</summary>
public sealed class ClientsTests(Browser browser, SharedDashboard shared) : BrowserScenarios(browser)
{
    private readonly HttpClient _http = new();

    [Fact]
    public async Task Vessels_have_the_tokens_of_the_api()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("clients"));

        ILocator bob = page.Locator(".vessel[data-client='bob']").First;
        await Expect(bob).ToContainTextAsync("of 5");
        await Expect(bob).ToContainTextAsync("5 at once, then 1/s");
        JsonElement all = (await penstock.ApiAsync("clients")).GetProperty("items");
        await Expect(page.Locator("tr[data-client]")).ToHaveCountAsync(all.GetArrayLength());
        await Expect(page.Client("carol")).ToContainTextAsync("gold");
        await Expect(page.Client("mallory")).ToContainTextAsync("blocked");
        await page.GetByLabel("Search").FillAsync("ali");
        await Expect(page.Locator("tr[data-client]")).ToHaveCountAsync(1);
        await page.GetByLabel("Search").FillAsync("nobody has this");
        await Expect(page.GetByText("No client has this in its id.")).ToBeVisibleAsync();
    }

    [Fact]
    public async Task Edit_by_keyboard_decides_about_the_next_request()
    {
        DashboardScenario penstock = await StartAsync();
        await penstock.RegisterAsync("dave", 1, 0.001);
        Assert.Equal([HttpStatusCode.OK, HttpStatusCode.TooManyRequests],
            [await GetAsync(penstock, "dave"), await GetAsync(penstock, "dave")]);
        IPage page = await OpenAsync(penstock.View("clients"));

        await page.GetByRole(AriaRole.Button, new() { Name = "Edit dave" }).FocusAsync();
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByLabel("Capacity of dave")).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Control+A");
        await page.Keyboard.TypeAsync("50");
        await page.Keyboard.PressAsync("Tab");
        await page.Keyboard.PressAsync("Control+A");
        await page.Keyboard.TypeAsync("0.5");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByText("dave: 50 at once, then 30/min.")).ToBeVisibleAsync();
        await Expect(page.GetByRole(AriaRole.Button, new() { Name = "Edit dave" })).ToBeFocusedAsync();
        await page.Keyboard.PressAsync("Tab");
        await page.Keyboard.PressAsync("Enter");
        await Expect(page.GetByText("The bucket of dave is full.")).ToBeVisibleAsync();

        Assert.Equal(HttpStatusCode.OK, await GetAsync(penstock, "dave"));
        JsonElement dave = await penstock.ApiAsync("clients/dave");
        Assert.Equal(50, dave.GetProperty("capacity").GetInt64());
        Assert.Equal(0.5, dave.GetProperty("rate_per_sec").GetDouble());
    }

    [Fact]
    public async Task Second_of_two_editors_sees_both_values()
    {
        DashboardScenario penstock = await StartAsync();
        await penstock.RegisterAsync("erin", 10, 1);
        IPage first = await OpenAsync(penstock.View("clients")), second = await OpenAsync(penstock.View("clients"));
        Allow("412 (Precondition Failed)");
        await first.GetByRole(AriaRole.Button, new() { Name = "Edit erin" }).ClickAsync();
        await second.GetByRole(AriaRole.Button, new() { Name = "Edit erin" }).ClickAsync();
        await second.GetByLabel("Capacity of erin").FillAsync("30");
        await first.GetByLabel("Capacity of erin").FillAsync("20");
        await first.GetByRole(AriaRole.Button, new() { Name = "Save", Exact = true }).ClickAsync();
        await Expect(first.GetByText("erin: 20 at once, then 1/s.")).ToBeVisibleAsync();

        await second.GetByRole(AriaRole.Button, new() { Name = "Save", Exact = true }).ClickAsync();

        ILocator conflict = second.Client("erin").GetByRole(AriaRole.Alert).First;
        await Expect(conflict).ToContainTextAsync("now 20 at once, then 1/s");
        await Expect(conflict).ToContainTextAsync("You wanted 30 at once, then 1/s");
        Assert.Equal(20, (await penstock.ApiAsync("clients/erin")).GetProperty("capacity").GetInt64());
        await second.GetByRole(AriaRole.Button, new() { Name = "Use mine" }).ClickAsync();
        await Expect(second.GetByText("erin: 30 at once, then 1/s.")).ToBeVisibleAsync();
        Assert.Equal(30, (await penstock.ApiAsync("clients/erin")).GetProperty("capacity").GetInt64());
    }

    [Fact]
    public async Task Client_is_registered_and_deleted()
    {
        DashboardScenario penstock = await StartAsync();
        IPage page = await OpenAsync(penstock.View("clients"));
        await page.GetByText("Register a client").ClickAsync();
        await page.GetByLabel("Client", new() { Exact = true }).FillAsync("export");
        await page.GetByLabel("Capacity", new() { Exact = true }).FillAsync("7");
        await page.GetByRole(AriaRole.Button, new() { Name = "Register", Exact = true }).ClickAsync();
        await Expect(page.Client("export")).ToContainTextAsync("7");

        await page.GetByRole(AriaRole.Button, new() { Name = "Delete export" }).ClickAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Cancel" }).ClickAsync();
        await Expect(page.Client("export")).ToBeVisibleAsync();
        await page.GetByRole(AriaRole.Button, new() { Name = "Delete export" }).ClickAsync();
        await page.GetByRole(AriaRole.Dialog).GetByRole(AriaRole.Button, new() { Name = "Delete" }).ClickAsync();

        await Expect(page.Client("export")).ToHaveCountAsync(0);
        Assert.Equal(0, (await penstock.ApiAsync("clients?q=export")).GetProperty("items").GetArrayLength());
    }

    [Fact]
    public async Task File_is_tried_before_it_is_imported()
    {
        DashboardScenario penstock = await StartAsync();
        IPage page = await OpenAsync(penstock.View("clients"));
        await page.GetByText("Import a file").ClickAsync();

        Allow("400 (Bad Request)");
        await ChooseAsync(page, "bad.csv", "client_id,capacity,rate_per_sec\nfrank,0,1\n");
        await Expect(page.GetByText("bad.csv changes nothing")).ToContainTextAsync("capacity");

        await ChooseAsync(page, "good.csv", "client_id,capacity,rate_per_sec\nfrank,5,1\nalice,1000,500\n");
        await Expect(page.GetByText("good.csv would give: 1 new client, 0 changed ones, 1 unchanged one."))
            .ToBeVisibleAsync();
        Assert.False((await penstock.Api.GetAsync("clients/frank")).IsSuccessStatusCode);
        await page.GetByRole(AriaRole.Button, new() { Name = "Import", Exact = true }).ClickAsync();

        await Expect(page.Client("frank")).ToBeVisibleAsync();
        Assert.Equal(5, (await penstock.ApiAsync("clients/frank")).GetProperty("capacity").GetInt64());
    }

    [Fact]
    public async Task Hostile_texts_do_nothing()
    {
        DashboardScenario penstock = await StartAsync();
        string[] hostile =
        [
            "<img src=x onerror=alert(1)>", "\"><script>alert(1)</script>", "javascript:alert(1)",
            "' onclick='alert(1)", "{{7*7}}${7*7}", "</td></tr></table><h1>gone</h1>",
        ];
        foreach (string id in hostile)
        {
            await penstock.RegisterAsync(id, 2, 0.001);
            for (int i = 0; i < 4; i++)
            {
                await GetAsync(penstock, id);
            }
        }
        IPage page = await OpenAsync(penstock.View("clients"));
        page.Dialog += (_, dialog) => throw new InvalidOperationException($"a script ran: {dialog.Message}");

        static LocatorGetByTextOptions Exactly() => new() { Exact = true };
        foreach (string id in hostile)
        {
            await Expect(page.Locator(".vessel strong").GetByText(id, Exactly()).First).ToBeVisibleAsync();
            await Expect(page.Locator("td").GetByText(id, Exactly()).First).ToBeVisibleAsync();
        }
        await page.Locator("nav a[data-view='rejections']").ClickAsync();
        foreach (string id in hostile)
        {
            await Expect(page.Locator("td").GetByText(id, Exactly()).First).ToBeVisibleAsync();
        }
        await page.GetByLabel("Path").FillAsync("/<script>alert(1)</script>");
        await page.GetByLabel("Header fields").FillAsync($"X-API-Key: {hostile[0]}");
        await page.GetByRole(AriaRole.Button, new() { Name = "Explain" }).ClickAsync();
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = $"Client: {hostile[0]}" })).ToBeVisibleAsync();
        Assert.Equal(0, await page.Locator("img, main script").CountAsync());
    }

    private static Task ChooseAsync(IPage page, string name, string text) =>
        page.Locator("#import").SetInputFilesAsync(new FilePayload
        {
            Name = name, MimeType = "text/csv", Buffer = System.Text.Encoding.UTF8.GetBytes(text),
        });

    private async Task<HttpStatusCode> GetAsync(DashboardScenario penstock, string client)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, penstock.Proxy);
        request.Headers.TryAddWithoutValidation("X-API-Key", client);
        using HttpResponseMessage response = await _http.SendAsync(request);
        return response.StatusCode;
    }
}
