using System.Text.Json;
using Microsoft.Playwright;

namespace Penstock.BrowserTests;

/// <summary>What a page holds after a garbage collection.</summary>
/// <param name="HeapBytes">Used by its scripts.</param>
/// <param name="Nodes">Of the DOM, also those that are in no document but in a variable.</param>
/// <param name="Listeners">Of events.</param>
internal sealed record Memory(long HeapBytes, long Nodes, long Listeners)
{
    public static async Task<Memory> MeasureAsync(IPage page)
    {
        ICDPSession session = await page.Context.NewCDPSessionAsync(page);
        await session.SendAsync("Performance.enable");
        await session.SendAsync("HeapProfiler.collectGarbage");
        JsonElement answer = (await session.SendAsync("Performance.getMetrics"))!.Value;
        await session.DetachAsync();
        Dictionary<string, double> metrics = answer.GetProperty("metrics").EnumerateArray().ToDictionary(
            static m => m.GetProperty("name").GetString()!, static m => m.GetProperty("value").GetDouble());
        return new((long)metrics["JSHeapUsedSize"], (long)metrics["Nodes"], (long)metrics["JSEventListeners"]);
    }
}
