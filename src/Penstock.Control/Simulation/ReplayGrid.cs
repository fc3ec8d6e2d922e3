using System.ComponentModel;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Control.Simulation;

/// <summary>What limits with other numbers would have done: a row for each rate, a column for each capacity.</summary>
[Description("What limits with other numbers would have done. The matrices have a row for each rate and in it a number "
    + "for each capacity.")]
internal sealed record SimulationGrid(
    [property: Description("Tokens per second, ascending; the rate that was asked for is one of them.")]
    IReadOnlyList<double> Rates,
    [property: Description("Ascending from 1 up to a capacity that rejects nothing at the lowest rate; the capacity "
        + "that was asked for is one of them.")]
    IReadOnlyList<long> Capacities,
    [property: Description("How many requests are rejected.")] IReadOnlyList<IReadOnlyList<int>> Rejected,
    [property: Description("How many are rejected in the second with the most rejections.")]
    IReadOnlyList<IReadOnlyList<int>> WorstSecond,
    [property: Description("For each rate the smallest capacity that rejects at most the `target` share, or nothing if "
        + "no share was given; null if no allowed capacity does.")]
    IReadOnlyList<long?> SmallestCapacity);

/// <summary>Replays recorded requests against many limits, one after the other. The state of a replay is one bucket and
/// a count for each second. Not thread-safe.</summary>
internal sealed class ReplayGrid
{
    private readonly RequestsByClient _requests;
    private readonly CancellationToken _stop;
    private readonly int[] _perSecond;
    private readonly double _maxRejected;

    private ReplayGrid(RequestsByClient requests, double target, CancellationToken stop)
    {
        (_requests, _stop) = (requests, stop);
        _perSecond = new int[requests.SecondCount];
        _maxRejected = target * requests.Count;
    }

    /// <param name="requests">At least one.</param>
    /// <param name="asked">Its numbers are among those of the grid.</param>
    /// <param name="target">The share of the requests, 0 to 1, that the smallest capacities may reject.</param>
    /// <exception cref="OperationCanceledException">The token was cancelled.</exception>
    public static SimulationGrid Of(
        RequestsByClient requests, LimitConfig asked, double target, CancellationToken stop)
    {
        var grid = new ReplayGrid(requests, target, stop);
        double[] rates = Steps.Rates(asked.RatePerSecond, asked.Capacity);
        long[] capacities = grid.Capacities(rates[0], asked.Capacity);
        int[][] rejected = new int[rates.Length][];
        int[][] worst = new int[rates.Length][];
        long?[] smallest = new long?[rates.Length];
        for (int row = 0; row < rates.Length; row++)
        {
            (rejected[row], worst[row]) = grid.Row(rates[row], capacities);
            smallest[row] = grid.Smallest(rates[row], capacities, rejected[row]);
        }
        return new(rates, capacities, rejected, worst, smallest);
    }

    private long[] Capacities(double lowestRate, long asked)
    {
        // As many tokens as the client with most requests has requests are enough at any rate.
        long[] all = Steps.Capacities(_requests.MaxOfOneClient, LimitSimulation.LargestCapacity(lowestRate));
        (int tooFew, int last) = (-1, all.Length - 1);
        while (last - tooFew > 1)
        {
            int middle = (last + tooFew) / 2;
            (tooFew, last) = Replay(all[middle], lowestRate).Rejected == 0 ? (tooFew, middle) : (middle, last);
        }
        return [.. all.Take(last + 1).Append(asked).Distinct().Order()];
    }

    private (int[] Rejected, int[] Worst) Row(double rate, long[] capacities)
    {
        (int[] rejected, int[] worst) = (new int[capacities.Length], new int[capacities.Length]);
        for (int i = 0; i < capacities.Length; i++)
        {
            (rejected[i], worst[i]) = Replay(capacities[i], rate);
            if (rejected[i] == 0)
            {
                break; // larger capacities reject nothing either
            }
        }
        return (rejected, worst);
    }

    /// <param name="rejected">By each of the capacities.</param>
    private long? Smallest(double rate, long[] capacities, int[] rejected)
    {
        int found = Array.FindIndex(rejected, count => count <= _maxRejected);
        long tooLow = found < 0 ? capacities[^1] : found == 0 ? 0 : capacities[found - 1];
        long enough = found >= 0 ? capacities[found]
            : Math.Min(_requests.MaxOfOneClient, LimitSimulation.LargestCapacity(rate));
        if (found < 0 && (enough <= tooLow || Replay(enough, rate).Rejected > _maxRejected))
        {
            return null;
        }
        while (enough - tooLow > 1)
        {
            long middle = tooLow + ((enough - tooLow) / 2);
            (tooLow, enough) = Replay(middle, rate).Rejected <= _maxRejected ? (tooLow, middle) : (middle, enough);
        }
        return enough;
    }

    private (int Rejected, int Worst) Replay(long capacity, double rate)
    {
        _stop.ThrowIfCancellationRequested();
        var limit = new VirtualLimit(new(capacity, rate));
        (int[] starts, long[] ns, int[] seconds, _) = _requests;
        int rejected = 0;
        Array.Clear(_perSecond);
        for (int client = 0; client < starts.Length - 1; client++)
        {
            long bucket = 0;
            for (int i = starts[client]; i < starts[client + 1]; i++)
            {
                if (!limit.TryTake(ref bucket, ns[i]))
                {
                    rejected++;
                    _perSecond[seconds[i]]++;
                }
            }
        }
        return (rejected, _perSecond.Max());
    }
}
