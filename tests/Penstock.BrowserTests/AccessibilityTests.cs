using Microsoft.Playwright;
using Xunit;
using Xunit.Sdk;

namespace Penstock.BrowserTests;

/// <summary>What is not accessible is found, also on a page with a strict policy.</summary>
public sealed class AccessibilityTests(Browser browser) : BrowserScenarios(browser)
{
    [Theory]
    [InlineData("<main><h1>Picture</h1><img id=it src='/dot'></main>",
        "image-alt", "Images must have alternative text")]
    [InlineData("<main><h1>Field</h1><input id=it></main>", "label", "Form elements must have labels")]
    [InlineData("<main><h1>Colours</h1><p><font id=it color='#bbbbbb'>Pale</font></main>",
        "color-contrast", "contrast")]
    [InlineData("<main><h1>Levels</h1><h4 id=it>Far below</h4></main>", // against a best practice
        "heading-order", "Heading levels")]
    public async Task Violation_is_found_with_rule_selector_and_help(string body, string rule, string help)
    {
        IPage page = await OpenAsync(Keep(SmallPage.Serve(body)).Url());
        TrueException failure = await Assert.ThrowsAsync<TrueException>(() => Accessibility.CheckAsync(page));
        Assert.Contains($"{rule} (", failure.Message, StringComparison.Ordinal);
        Assert.Contains("#it", failure.Message, StringComparison.Ordinal);
        Assert.Contains(help, failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Accessible_page_passes() => await Accessibility.CheckAsync(await OpenAsync(
        Keep(SmallPage.Serve("<main><h1>Good</h1><img alt='A dot' src='/dot'><p>Text</p></main>")).Url()));
}
