using Penstock.TestKit;
using Xunit;
using Xunit.Sdk;

namespace Penstock.BrowserTests;

/// <summary>Every fault of a page is noticed.</summary>
public sealed class WatchedPageTests(Browser browser)
{
    private const string Good = "<main><h1>Good</h1></main>";

    [Theory]
    [InlineData("<script>console.error('spilled')</script>", "console error: spilled")]
    [InlineData("<script>console.warn('leaks')</script>", "console warning: leaks")]
    [InlineData("<script>null.drop()</script>", "exception: TypeError")]
    [InlineData("<script>Promise.reject(new Error('dry'))</script>", "exception: Error: dry")]
    [InlineData("<h1 style='color:red'>Red</h1>", "style-src")] // violates the page's policy
    [InlineData("<script src='data:text/javascript,1'></script>", "script-src")]
    [InlineData("<img alt='' src='http://images.test/x.png'>", "another server: http://images.test/x.png")]
    [InlineData("<img alt='' src='http://192.0.2.1/x.png'>", "another server: http://192.0.2.1/x.png")]
    [InlineData("<script>new WebSocket('ws://sockets.test/')</script>", "another server: ws://sockets.test/")]
    [InlineData("<script>open('http://pages.test/')</script>", "another server: http://pages.test/")]
    public async Task Fault_of_a_page_is_noticed(string body, string fault)
    {
        await using ScriptedBackend server = SmallPage.Serve(Good + body);
        await using WatchedPage page = await browser.NewPageAsync(server.Url());
        await Eventually.TrueAsync(() => page.Faults.Any(f => f.Contains(fault, StringComparison.Ordinal)), fault);

        TrueException failure = await Assert.ThrowsAsync<TrueException>(page.AssertCleanAsync);
        Assert.Contains(fault, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Fault_of_the_last_moment_is_noticed()
    {
        await using ScriptedBackend server = SmallPage.Serve(Good);
        await using WatchedPage page = await browser.NewPageAsync(server.Url());
        await page.Page.EvaluateAsync("console.error('late')");
        await Assert.ThrowsAsync<TrueException>(page.AssertCleanAsync);
    }

    [Fact]
    public async Task Good_page_and_allowed_faults_are_clean()
    {
        await using ScriptedBackend server = SmallPage.Serve(Good + "<script>console.info('flows')</script>");
        await using WatchedPage page = await browser.NewPageAsync(server.Url());
        await page.AssertCleanAsync();

        await page.Page.EvaluateAsync("console.error('expected')");
        page.Allow("expected");
        await page.AssertCleanAsync();

        await page.Page.EvaluateAsync("console.error('another')");
        await Assert.ThrowsAsync<TrueException>(page.AssertCleanAsync);
    }
}
