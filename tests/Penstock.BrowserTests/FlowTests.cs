using System.Text.Json;
using Microsoft.Playwright;
using Penstock.TestKit;
using Xunit;
using static Microsoft.Playwright.Assertions;

namespace Penstock.BrowserTests;

/// <summary>Where traffic flows.</summary>
public sealed class FlowTests(Browser browser, SharedDashboard shared) : BrowserScenarios(browser)
{
    [Fact]
    public async Task Numbers_are_those_of_the_api()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("flow"));
        await page.IsLiveAsync();

        await page.Figure("Since the start").EqualsApiAsync(
            async () => (await penstock.ApiAsync("status")).GetProperty("requests").GetProperty("total").GetDouble(),
            "the number of requests");
        foreach (string card in new[] { "listener", "route", "upstream", "backend" })
        {
            await Expect(page.Locator($"[data-card^='{card} ']").First).ToBeVisibleAsync();
        }
        JsonElement upstreams = (await penstock.ApiAsync("upstreams")).GetProperty("items");
        foreach (JsonElement upstream in upstreams.EnumerateArray())
        {
            string name = upstream.GetProperty("name").GetString()!;
            foreach (JsonElement backend in upstream.GetProperty("backends").EnumerateArray())
            {
                string address = backend.GetProperty("address").GetString()!;
                await Expect(page.Card($"backend {name} {address}").Locator(".pill")).ToHaveTextAsync("up");
            }
        }
        // The rates are sums: what clients ask for is what listeners, routes and limits pass on.
        await Eventually.TrueAsync(async () => await page.EvaluateAsync<bool>("""
            () => {
              const rate = start => [...document.querySelectorAll(`[data-card^="${start} "] .rate`)]
                .reduce((sum, one) => sum + Number(one.value), 0);
              const close = (a, b) => Math.abs(a - b) <= 0.5;
              return rate('listener') > 5 && close(rate('listener'), rate('route'))
                && close(rate('upstream'), rate('backend'));
            }
            """), "the rates of the columns fit to each other");
    }

    [Fact]
    public async Task Killed_backend_turns_red_with_its_cause()
    {
        DashboardScenario penstock = await StartAsync();
        IPage page = await OpenAsync(penstock.View("flow"));
        ILocator card = page.Card($"backend web {penstock.Address(1)}");
        await Expect(card).ToHaveAttributeAsync("data-level", "good");

        Task<double> red = card.EvaluateAsync<double>("""
            card => new Promise(done => new MutationObserver(() => card.dataset.level === 'bad' && done(Date.now()))
                .observe(card, { attributes: true }))
            """);
        DateTimeOffset killed = DateTimeOffset.UtcNow;
        await penstock.KillBackendAsync(1);
        await Expect(card).ToHaveAttributeAsync("data-level", "bad");
        double took = await red - killed.ToUnixTimeMilliseconds();

        await Expect(card.Locator(".why")).Not.ToBeEmptyAsync();
        JsonElement status = await penstock.ApiAsync($"upstreams/web/backends/{penstock.Address(1)}");
        string cause = status.GetProperty("cause").GetString() ?? status.GetProperty("ejected").GetString()!;
        await Expect(card.Locator(".why")).ToContainTextAsync(cause);
        Output($"red on the page {took:0} ms after the kill; the interval of checks is 2 s");
        await Expect(page.Card("upstream web")).ToContainTextAsync("2 of 3 backends");
        await Expect(page.Locator(".marks").GetByText("backend_down").First).ToBeVisibleAsync();

        await penstock.StartBackendAsync(1);
        await Expect(card).Not.ToHaveAttributeAsync("data-level", "bad");
    }

    [Fact]
    public async Task Page_connects_again_after_a_restart()
    {
        DashboardScenario penstock = await StartAsync();
        IPage page = await OpenAsync(penstock.View("flow"));
        await page.IsLiveAsync();
        Allow("ERR_"); // the browser writes one line for each try that fails

        await penstock.StopAsync();
        await Expect(page.Locator("#link")).ToHaveAttributeAsync("data-level", "bad");
        await penstock.StartAgainAsync();

        await page.IsLiveAsync();
        await page.Figure("Since the start").EqualsApiAsync(
            async () => (await penstock.ApiAsync("status")).GetProperty("requests").GetProperty("total").GetDouble(),
            "the number of requests");
    }

    [Fact]
    public async Task Page_that_stays_open_does_not_grow()
    {
        DashboardScenario penstock = await shared.StartedAsync();
        IPage page = await OpenAsync(penstock.View("flow"));
        await page.IsLiveAsync();
        await Memory.MeasureAsync(page); // the driver's own scripts come with the first
        TimeSpan wait = TimeSpan.FromSeconds(double.Parse(
            Environment.GetEnvironmentVariable("PENSTOCK_OPEN_SECONDS") ?? "5"));
        await StatesAsync(page, 5);
        Memory before = await Memory.MeasureAsync(page);

        await StatesAsync(page, (int)wait.TotalSeconds);

        Memory after = await Memory.MeasureAsync(page);
        Output($"{wait.TotalSeconds} s open: {before} -> {after}");
        // The list of what happened may gain lines, up to its bound; the charts gain points.
        Assert.InRange(after.HeapBytes, 0, before.HeapBytes + 600_000);
        Assert.InRange(after.Nodes, 0, before.Nodes + 250);
        Assert.InRange(after.Listeners, 0, before.Listeners + 5);
    }

    /// <summary>Waits until the page has shown so many states more.</summary>
    private static Task StatesAsync(IPage page, int count) => page.EvaluateAsync("""
        count => new Promise(done => {
          const uptime = document.querySelector("[data-figure='Since the start'] data");
          const observer = new MutationObserver(() => { if (--count <= 0) { observer.disconnect(); done(); } });
          observer.observe(uptime, { attributes: true, attributeFilter: ['value'] });
        })
        """, count);

    private static void Output(string text) => TestContext.Current.TestOutputHelper?.WriteLine(text);
}
