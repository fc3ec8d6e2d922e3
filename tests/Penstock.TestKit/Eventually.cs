using System.Diagnostics;

namespace Penstock.TestKit;

/// <summary>Waits for a condition instead of for a time.</summary>
public static class Eventually
{
    /// <summary>Long enough for a machine that is busy elsewhere: it is only waited for where a test fails.</summary>
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(5);

    /// <param name="condition">Looked at again and again.</param>
    /// <param name="what">What it means that the condition holds, for the failure's message.</param>
    /// <param name="every">The pause between two looks; 5 ms.</param>
    /// <exception cref="TimeoutException">It did not come true within 60 seconds.</exception>
    public static Task TrueAsync(Func<bool> condition, string what, TimeSpan? every = null) =>
        TrueAsync(() => Task.FromResult(condition()), what, every);

    /// <inheritdoc cref="TrueAsync(Func{bool}, string, TimeSpan?)"/>
    public static async Task TrueAsync(Func<Task<bool>> condition, string what, TimeSpan? every = null)
    {
        var watch = Stopwatch.StartNew();
        while (!await condition())
        {
            if (watch.Elapsed > Patience)
            {
                throw new TimeoutException($"still not so after {Patience.TotalSeconds} s: {what}");
            }
            await Task.Delay(every ?? Pause);
        }
    }
}
