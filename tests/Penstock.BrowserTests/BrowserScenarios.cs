using Microsoft.Playwright;
using Xunit;

namespace Penstock.BrowserTests;

/// <summary>The base of tests in a browser. When a test ends, its pages must have no faults.</summary>
public abstract class BrowserScenarios(Browser browser) : IAsyncDisposable
{
    private readonly List<WatchedPage> _pages = [];
    private readonly Stack<IAsyncDisposable> _servers = [];

    /// <summary>For tests of every look.</summary>
    public static MatrixTheoryData<Theme, Viewport> Looks { get; } =
        new(Enum.GetValues<Theme>(), Enum.GetValues<Viewport>());

    public async ValueTask DisposeAsync()
    {
        try
        {
            if (TestContext.Current.TestState?.Result == TestResult.Failed)
            {
                await PictureFailureAsync();
            }
            foreach (WatchedPage page in _pages)
            {
                await page.AssertCleanAsync();
            }
        }
        finally
        {
            await EndAsync();
        }
        GC.SuppressFinalize(this);
    }

    /// <summary>Opens a page, see <see cref="Browser.NewPageAsync"/>.</summary>
    private protected async Task<IPage> OpenAsync(Uri url, Theme theme = Theme.Light,
        Viewport viewport = Viewport.Desktop, string? token = null)
    {
        WatchedPage page = await browser.NewPageAsync(url, theme, viewport, token);
        _pages.Add(page);
        return page.Page;
    }

    /// <summary>Faults of the pages opened so far that contain this text are expected.</summary>
    private protected void Allow(string part) => _pages.ForEach(page => page.Allow(part));

    /// <summary>Keeps a server until the pages of the test are closed, so that they do not complain that it is gone.
    /// </summary>
    private protected T Keep<T>(T server) where T : IAsyncDisposable
    {
        _servers.Push(server);
        return server;
    }

    /// <summary>Starts Penstock with backends and load for this test.</summary>
    private protected async Task<DashboardScenario> StartAsync(string? token = null)
    {
        Browser.SkipUnlessInstalled();
        return Keep(await DashboardScenario.StartAsync(token));
    }

    private async Task PictureFailureAsync()
    {
        foreach ((int index, WatchedPage page) in _pages.Index())
        {
            string name = $"failed-{GetType().Name}-{TestContext.Current.TestMethod?.MethodName}-{index + 1}";
            await Screenshots.TakeAsync(page.Page, name);
        }
    }

    private async Task EndAsync()
    {
        foreach (WatchedPage page in _pages)
        {
            await page.DisposeAsync();
        }
        while (_servers.TryPop(out IAsyncDisposable? server))
        {
            await server.DisposeAsync();
        }
    }
}
