using System.Diagnostics;

namespace Penstock.TestKit;

/// <summary>Waits for a condition instead of for a time.</summary>
public static class Eventually
{
    /// <summary>Long enough for a machine that is busy elsewhere: it is only waited for where a test fails.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    /// <exception cref="TimeoutException">It did not come true within 30 seconds.</exception>
    public static async Task TrueAsync(Func<bool> condition, string what)
    {
        var watch = Stopwatch.StartNew();
        while (!condition())
        {
            if (watch.Elapsed > Patience)
            {
                throw new TimeoutException($"still not so after {Patience.TotalSeconds} s: {what}");
            }
            await Task.Delay(5);
        }
    }
}
