using System.Diagnostics;

namespace Penstock.TestKit;

/// <summary>Waits for a condition instead of for a time.</summary>
public static class Eventually
{
    /// <exception cref="TimeoutException">It did not come true within 10 seconds.</exception>
    public static async Task TrueAsync(Func<bool> condition, string what)
    {
        var watch = Stopwatch.StartNew();
        while (!condition())
        {
            if (watch.Elapsed > TimeSpan.FromSeconds(10))
            {
                throw new TimeoutException($"still not so after 10 s: {what}");
            }
            await Task.Delay(5);
        }
    }
}
