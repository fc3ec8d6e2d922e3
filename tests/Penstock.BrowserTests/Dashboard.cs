using System.Globalization;
using Microsoft.Playwright;
using Penstock.TestKit;
using static Microsoft.Playwright.Assertions;

namespace Penstock.BrowserTests;

/// <summary>Finds things on the dashboard's pages, as a user names them.</summary>
internal static class Dashboard
{
    public static Uri View(this DashboardScenario scenario, string name) => new(scenario.Admin, $"#/{name}");

    /// <summary>A card of the flow, such as <c>backend web 127.0.0.1:9001</c>.</summary>
    public static ILocator Card(this IPage page, string key) => page.Locator($"[data-card='{key}']");

    /// <summary>A figure by its name.</summary>
    public static ILocator Figure(this IPage page, string name) => page.Locator($"[data-figure='{name}'] data");

    /// <summary>The exact number behind what an element shows.</summary>
    public static async Task<double> NumberAsync(this ILocator element) =>
        double.Parse(await element.GetAttributeAsync("value") ?? "", CultureInfo.InvariantCulture);

    /// <summary>The row of a client in the table.</summary>
    public static ILocator Client(this IPage page, string id) => page.Locator($"tr[data-client='{id}']");

    /// <summary>Waits until the page has got a state.</summary>
    public static Task IsLiveAsync(this IPage page) =>
        Expect(page.Locator("#link")).ToHaveAttributeAsync("data-level", "good");

    /// <summary>Waits until a number on the page is as the API says at the same time: read before, shown, read after.
    /// </summary>
    public static Task EqualsApiAsync(this ILocator shown, Func<Task<double>> api, string what) =>
        Eventually.TrueAsync(async () =>
        {
            double before = await api();
            double number = await shown.NumberAsync();
            double after = await api();
            return number >= Math.Min(before, after) && number <= Math.Max(before, after);
        }, $"{what} is what the API says");
}
