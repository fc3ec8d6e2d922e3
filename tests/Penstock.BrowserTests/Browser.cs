using Microsoft.Playwright;
using Penstock.BrowserTests;
using Penstock.TestKit;
using Xunit;

[assembly: AssemblyFixture(typeof(Browser))]

namespace Penstock.BrowserTests;

public enum Theme
{
    Light,
    Dark,
}

public enum Viewport
{
    Desktop,
    Phone,
}

/// <summary>One Chromium for all tests; the first of them starts it. It reaches only this machine.</summary>
public sealed class Browser : IAsyncDisposable
{
    private const int PatienceMs = 60_000; // only a failing test waits so long
    private static readonly string[] Arguments =
    [
        "--no-sandbox", "--disable-gpu", "--disable-background-networking",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
    ];

    private readonly Lazy<Task<(IPlaywright Driver, IBrowser Chromium)>> _running = new(LaunchAsync);

    /// <summary>Opens a page of its own profile, and waits until it is loaded. Skips the test where Chromium is not
    /// installed.</summary>
    /// <param name="token">Sent with every request of the page, as a proxy in front of the admin API would do.</param>
    public async Task<WatchedPage> NewPageAsync(Uri url, Theme theme = Theme.Light,
        Viewport viewport = Viewport.Desktop, string? token = null)
    {
        SkipUnlessInstalled();
        IBrowser chromium = (await _running.Value).Chromium;
        IBrowserContext context = await chromium.NewContextAsync(Options(theme, viewport, token));
        context.SetDefaultTimeout(PatienceMs);
        var page = new WatchedPage(await context.NewPageAsync(), url);
        await page.Page.GotoAsync(url.AbsoluteUri);
        return page;
    }

    public static void SkipUnlessInstalled() => Assert.SkipUnless(File.Exists(Chromium.Program),
        "Chromium is not installed: apt-get install chromium");

    public async ValueTask DisposeAsync()
    {
        Screenshots.DeleteTemporary();
        if (_running.IsValueCreated)
        {
            (IPlaywright driver, IBrowser chromium) = await _running.Value;
            await chromium.DisposeAsync();
            driver.Dispose();
        }
    }

    private static async Task<(IPlaywright, IBrowser)> LaunchAsync()
    {
        Assertions.SetDefaultExpectTimeout(PatienceMs);
        IPlaywright driver = await Playwright.CreateAsync();
        return (driver, await driver.Chromium.LaunchAsync(new()
        {
            ExecutablePath = Chromium.Program, Args = Arguments, Timeout = PatienceMs,
        }));
    }

    private static BrowserNewContextOptions Options(Theme theme, Viewport viewport, string? token)
    {
        bool isPhone = viewport == Viewport.Phone;
        return new()
        {
            ColorScheme = theme == Theme.Dark ? ColorScheme.Dark : ColorScheme.Light,
            ViewportSize = isPhone ? new() { Width = 390, Height = 844 } : new() { Width = 1440, Height = 900 },
            IsMobile = isPhone,
            HasTouch = isPhone,
            DeviceScaleFactor = isPhone ? 2 : 1,
            TimezoneId = "UTC",
            ExtraHTTPHeaders = token is null ? null : [new("Authorization", $"Bearer {token}")],
        };
    }
}
