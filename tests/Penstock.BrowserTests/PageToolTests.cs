using System.Buffers.Binary;
using Microsoft.Playwright;
using Xunit;

namespace Penstock.BrowserTests;

/// <summary>Looks, pictures and memory of a page are what they say.</summary>
public sealed class PageToolTests(Browser browser) : BrowserScenarios(browser)
{
    private const int Added = 1000;

    [Theory]
    [MemberData(nameof(Looks))]
    public async Task Page_sees_its_look_and_its_picture_has_the_size(Theme theme, Viewport viewport)
    {
        IPage page = await OpenAsync(Keep(SmallPage.Serve("<h1>Looks</h1>")).Url(), theme, viewport);
        string seen = await page.EvaluateAsync<string>(
            "[matchMedia('(prefers-color-scheme: dark)').matches, innerWidth, innerHeight].join(' ')");
        (int width, int height, int scale) = viewport == Viewport.Phone ? (390, 844, 2) : (1440, 900, 1);
        Assert.Equal($"{(theme == Theme.Dark ? "true" : "false")} {width} {height}", seen);

        string file = await Screenshots.TakeAsync(page, "looks");
        Assert.Equal($"looks-{theme}-{viewport}.png", Path.GetFileName(file), ignoreCase: true);
        byte[] png = await File.ReadAllBytesAsync(file);
        Assert.Equal(width * scale, BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(16))); // IHDR
        Assert.Equal(height * scale, BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(20)));
    }

    [Fact]
    public async Task Memory_that_a_page_keeps_is_measured_and_garbage_is_not()
    {
        IPage page = await OpenAsync(Keep(SmallPage.Serve("<h1>Memory</h1>")).Url());
        await page.EvaluateAsync("0"); // so that the driver's own scripts are there before
        Memory before = await Memory.MeasureAsync(page);
        await page.EvaluateAsync("""
            count => {
                window.kept = Array.from({ length: count }, () => document.createElement('p'))
                window.kept.forEach(p => p.addEventListener('click', () => p.remove()))
                window.text = Array.from({ length: count }, (_, i) => 'x'.repeat(1000) + i).map(s => s.split(''))
            }
            """, Added);
        Memory kept = await Memory.MeasureAsync(page);
        await page.EvaluateAsync("delete window.kept, delete window.text");
        Memory after = await Memory.MeasureAsync(page);

        Assert.InRange(kept.Nodes - before.Nodes, Added, Added * 2);
        Assert.InRange(kept.Listeners - before.Listeners, Added, Added * 2);
        Assert.InRange(kept.HeapBytes - before.HeapBytes, 1000 * Added, long.MaxValue);
        Assert.InRange(after.Nodes, 0, before.Nodes + (Added / 10));
        Assert.InRange(after.Listeners, 0, before.Listeners + (Added / 10));
        Assert.InRange(after.HeapBytes, 0, (before.HeapBytes + kept.HeapBytes) / 2);
    }
}
