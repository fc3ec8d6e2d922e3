using System.Globalization;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Simulation;

/// <summary>The series 1, 1.5, 2, 3, 5, 7, 10, 15 and so on, in which a slider moves.</summary>
internal static class Steps
{
    /// <summary>How many rates there are below the asked one, and above it.</summary>
    private const int RatesOnOneSide = 6;

    private static readonly string[] Mantissas = ["1", "1.5", "2", "3", "5", "7"];

    /// <summary>Powers of ten, from below the smallest allowed rate to the largest capacity.</summary>
    private static readonly double[] All = [.. Enumerable.Range(-7, 17).SelectMany(static power =>
        Mantissas.Select(mantissa => double.Parse($"{mantissa}e{power}", CultureInfo.InvariantCulture)))];

    /// <summary>Up to 13 rates around one, which is among them: the next smaller and larger ones of the series that a
    /// limit may have together with this capacity.</summary>
    /// <param name="rate">An allowed rate, in tokens per second.</param>
    public static double[] Rates(double rate, long capacity)
    {
        const double Equal = 1e-9; // so that 0.1 does not get a neighbour that differs in the last bit
        double[] allowed = [.. All.Where(step => Limiter.Fault(capacity, step) is null)];
        return
        [
            .. allowed.Where(step => step < rate * (1 - Equal)).TakeLast(RatesOnOneSide),
            rate,
            .. allowed.Where(step => step > rate * (1 + Equal)).Take(RatesOnOneSide),
        ];
    }

    /// <summary>Whole numbers of the series from 1, up to the first that is enough.</summary>
    /// <param name="max">None is larger.</param>
    public static long[] Capacities(long enough, long max)
    {
        long[] whole = [.. All.Where(static step => step >= 1 && double.IsInteger(step)).Select(static step =>
            (long)step)];
        long last = whole.FirstOrDefault(step => step >= enough, long.MaxValue);
        return [.. whole.TakeWhile(step => step <= last && step <= max)];
    }
}
