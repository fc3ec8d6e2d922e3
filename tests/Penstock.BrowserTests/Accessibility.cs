using Deque.AxeCore.Commons;
using Deque.AxeCore.Playwright;
using Microsoft.Playwright;
using Xunit;

namespace Penstock.BrowserTests;

/// <summary>What axe-core says about a page. Its default is every rule of WCAG A and AA that is no experiment, and its
/// best practices.</summary>
internal static class Accessibility
{
    /// <summary>Fails if the page, as it is now, violates a rule.</summary>
    public static async Task CheckAsync(IPage page)
    {
        AxeResult result = await page.RunAxe();
        string[] violations = [.. result.Violations.SelectMany(static rule => rule.Nodes.Select(node =>
            $"{rule.Id} ({rule.Impact}): {node.Target}: {rule.Help}; {rule.HelpUrl}"))];
        Assert.True(violations.Length == 0, $"{page.Url} is not accessible:\n{string.Join('\n', violations)}");
        Assert.NotEmpty(result.Passes);
    }
}
