using System.Threading.Channels;
using Microsoft.Playwright;
using Xunit;
using static Microsoft.Playwright.Assertions;

namespace Penstock.BrowserTests;

/// <summary>Uses a page as somebody without a pointer does: keys are all that it gets.</summary>
internal static class ByKeyboard
{
    private const int MaxPresses = 300;
    private const string Focused = """
        () => {
            const one = document.activeElement;
            const words = one.ariaLabel ?? one.labels?.[0]?.textContent ?? one.textContent;
            return one === document.body ? 'the end' : `${one.localName} “${words.trim().slice(0, 40)}”`;
        }
        """;

    /// <summary>Presses Tab until an element has the focus. Fails with all that had it instead.</summary>
    /// <param name="key">Tab, or Shift+Tab for the way back.</param>
    public static async Task TabToAsync(this IPage page, ILocator target, string key = "Tab")
    {
        await Expect(target).ToBeVisibleAsync();
        var passed = new List<string>();
        while (!await target.EvaluateAsync<bool>("one => one === document.activeElement"))
        {
            Assert.True(passed.Count < MaxPresses, $"{target} was not reached, but {string.Join(", ", passed)}");
            await page.Keyboard.PressAsync(key);
            passed.Add(await page.EvaluateAsync<string>(Focused));
        }
    }

    /// <summary>Goes to an element, and presses a key on it.</summary>
    public static async Task PressOnAsync(this IPage page, ILocator target, string key = "Enter")
    {
        await page.TabToAsync(target);
        await page.Keyboard.PressAsync(key);
    }

    /// <summary>Goes to a field, and types over what it has.</summary>
    public static async Task TypeIntoAsync(this IPage page, ILocator field, string text)
    {
        await page.TabToAsync(field);
        await page.Keyboard.PressAsync("Control+A");
        await page.Keyboard.TypeAsync(text);
    }

    /// <summary>Opens a view by its link.</summary>
    public static async Task GoToAsync(this IPage page, string title)
    {
        await page.PressOnAsync(page.GetByRole(AriaRole.Link, new() { Name = title, Exact = true }));
        await Expect(page.GetByRole(AriaRole.Heading, new() { Name = title, Exact = true, Level = 1 }))
            .ToBeVisibleAsync();
        await Expect(page.Locator("#main")).ToBeFocusedAsync();
    }

    /// <summary>The file choosers that open from now on. Ask for them when the page is opened: the browser learns later
    /// that a test wants them, and one that is opened with a key at once may be missed.</summary>
    public static ChannelReader<IFileChooser> Choosers(this IPage page)
    {
        var opened = Channel.CreateUnbounded<IFileChooser>();
        page.FileChooser += (_, chooser) => opened.Writer.TryWrite(chooser);
        return opened.Reader;
    }

    /// <summary>Chooses a file for the field that has the focus.</summary>
    /// <param name="key">Enter or Space.</param>
    public static async Task ChooseFileAsync(this IPage page, ChannelReader<IFileChooser> choosers, string key,
        string name, string text)
    {
        await page.Keyboard.PressAsync(key);
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        IFileChooser chooser = await choosers.ReadAsync(patience.Token);
        await chooser.SetFilesAsync(new FilePayload
        {
            Name = name, MimeType = "text/plain", Buffer = System.Text.Encoding.UTF8.GetBytes(text),
        });
    }

    /// <summary>Answers a question: it has the focus, keeps it whatever is pressed, and gives it back.</summary>
    /// <param name="opener">What has the focus afterwards; null: nothing is asserted.</param>
    /// <param name="answer">The button that is pressed; null: Escape.</param>
    public static async Task AnswerAsync(this IPage page, ILocator? opener, string? answer)
    {
        ILocator dialog = page.GetByRole(AriaRole.Dialog);
        await Expect(dialog.GetByRole(AriaRole.Button, new() { Name = "Cancel" })).ToBeFocusedAsync();
        foreach (string key in new[] { "Tab", "Tab", "Tab", "Tab", "Shift+Tab", "Shift+Tab", "Shift+Tab" })
        {
            await page.Keyboard.PressAsync(key);
            Assert.True(await dialog.EvaluateAsync<bool>(
                "it => document.activeElement === document.body || it.contains(document.activeElement)"),
                "the focus leaves the dialog for the page below it");
        }
        if (answer is null)
        {
            await page.Keyboard.PressAsync("Escape");
        }
        else
        {
            await page.PressOnAsync(dialog.GetByRole(AriaRole.Button, new() { Name = answer, Exact = true }));
        }
        await Expect(dialog).ToHaveCountAsync(0);
        if (opener is not null)
        {
            await Expect(opener).ToBeFocusedAsync();
        }
    }

    public static ILocator Button(this IPage page, string name) =>
        page.GetByRole(AriaRole.Button, new() { Name = name, Exact = true });

    /// <summary>What opens and closes details.</summary>
    public static ILocator Summary(this IPage page, string text) =>
        page.Locator("summary", new() { HasText = text });
}
