using System.Text.Json;
using Microsoft.Playwright;
using Xunit;

namespace Penstock.BrowserTests;

/// <summary>Whether Tab reaches all that can be clicked, and shows where it is.</summary>
internal static class Reach
{
    /// <summary>So many presses, over several rounds: a list that changes its order meanwhile may hide an element from
    /// one round.</summary>
    private const int MaxPresses = 1500;

    /// <summary>Notes what gets a listener for clicks, what had the focus, and how it looked then.</summary>
    private const string Script = """
        (() => {
            const listening = new Set();
            const reached = new WeakSet();
            let before = null;
            const listen = EventTarget.prototype.addEventListener;
            EventTarget.prototype.addEventListener = function (type, ...rest) {
                if (this instanceof Element && /^(dbl)?click$|^(mouse|pointer|touch)(down|up|start|end)$/.test(type)) {
                    listening.add(this);
                }
                return listen.call(this, type, ...rest);
            };
            const wanted = 'button, a[href], input, select, textarea, summary, [role=button], [tabindex]';
            const seen = one => one.isConnected && !one.disabled && !one.matches('[tabindex^="-"]')
                && one.checkVisibility({ visibilityProperty: true });
            const name = one => one.outerHTML.slice(0, 120);
            const look = one => {
                const style = getComputedStyle(one);
                return [style.outlineStyle, style.outlineWidth, style.boxShadow].join(' ');
            };
            const covered = one => {
                const box = one.getBoundingClientRect();
                const shares = [0.1, 0.3, 0.5, 0.7, 0.9];
                return !shares.some(x => shares.some(y => one.contains(
                    document.elementFromPoint(box.left + box.width * x, box.top + box.height * y))));
            };
            window.reach = () => {
                const now = document.activeElement;
                const faults = [];
                if (before?.one.isConnected && before.one !== now && look(before.one) === before.look) {
                    faults.push(`looks the same without the focus: ${name(before.one)}`);
                }
                before = now === document.body ? null : { one: now, look: look(now) };
                if (before) {
                    reached.add(now);
                    if (before.look.startsWith('none') && before.look.endsWith('none')) {
                        faults.push(`has nothing that shows the focus: ${name(now)}`);
                    }
                    if (covered(now)) {
                        faults.push(`has the focus and is covered: ${name(now)}`);
                    }
                }
                const missing = [...new Set([...document.querySelectorAll(wanted), ...listening])]
                    .filter(one => seen(one) && !reached.has(one)).map(name);
                return { faults, missing, closed: now.matches('details:not([open]) > summary') };
            };
        })()
        """;

    /// <summary>Loads the page again, with the script that notes what can be clicked.</summary>
    public static async Task WatchAsync(IPage page)
    {
        await page.AddInitScriptAsync(Script);
        await page.ReloadAsync();
    }

    /// <summary>Presses Tab until all that can be clicked has had the focus. Details are opened on the way.</summary>
    public static async Task AllAsync(IPage page)
    {
        JsonElement told = default;
        for (int i = 0; i < MaxPresses; i++)
        {
            await page.Keyboard.PressAsync("Tab");
            told = await page.EvaluateAsync<JsonElement>("reach()");
            Assert.True(told.GetProperty("faults").GetArrayLength() == 0, Lines(told, "faults"));
            if (told.GetProperty("closed").GetBoolean())
            {
                await page.Keyboard.PressAsync("Enter");
            }
            else if (told.GetProperty("missing").GetArrayLength() == 0)
            {
                return;
            }
        }
        Assert.Fail($"{page.Url} has what Tab does not reach:\n{Lines(told, "missing")}");
    }

    private static string Lines(JsonElement told, string what) =>
        string.Join('\n', told.GetProperty(what).EnumerateArray().Select(static one => one.GetString()));
}
