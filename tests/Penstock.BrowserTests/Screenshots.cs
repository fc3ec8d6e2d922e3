using Microsoft.Playwright;
using Penstock.TestKit;

namespace Penstock.BrowserTests;

/// <summary>Pictures of pages: in the folder that PENSTOCK_SCREENSHOTS names, relative to the repository, or in one
/// that is deleted when the tests end.</summary>
internal static class Screenshots
{
    private static readonly string? Asked = Environment.GetEnvironmentVariable("PENSTOCK_SCREENSHOTS");
    private static readonly Lazy<string> Folder = new(static () => string.IsNullOrEmpty(Asked)
        ? Directory.CreateTempSubdirectory("penstock-screenshots-").FullName
        : Directory.CreateDirectory(Path.Combine(Repository.Root, Asked)).FullName);

    /// <summary>Takes a picture of what is visible, without running animations and the text cursor.</summary>
    /// <returns>The file, such as <c>flow-dark-phone.png</c>.</returns>
    public static async Task<string> TakeAsync(IPage page, string name)
    {
        bool isDark = await page.EvaluateAsync<bool>("matchMedia('(prefers-color-scheme: dark)').matches");
        string theme = isDark ? "dark" : "light", viewport = page.ViewportSize!.Width < 600 ? "phone" : "desktop";
        string file = Path.Combine(Folder.Value, $"{name}-{theme}-{viewport}.png");
        await page.ScreenshotAsync(new()
        {
            Path = file, Animations = ScreenshotAnimations.Disabled, Caret = ScreenshotCaret.Hide,
        });
        return file;
    }

    public static void DeleteTemporary()
    {
        if (string.IsNullOrEmpty(Asked) && Folder.IsValueCreated)
        {
            Directory.Delete(Folder.Value, recursive: true);
        }
    }
}
