using System.Text;
using System.Text.Json;
using Penstock.Control.Simulation;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Xunit;

namespace Penstock.UnitTests.Simulation;

/// <summary>A cell of the grid is what a simulation of its own limit says. <c>PENSTOCK_GRID_SEED</c> repeats a run.
/// </summary>
public sealed class ReplayGridTests(ITestOutputHelper output)
{
    private const int Logs = 12;

    [Fact]
    public void Cell_and_smallest_capacity_are_those_of_a_simulation_of_their_limit()
    {
        Random random = Seeded();
        for (int i = 0; i < Logs; i++)
        {
            byte[] log = AnyLog(random);
            var asked = new LimitConfig(random.Next(1, 40), Of(random, 0.01, 1.0 / 60, 0.3, 1, 4.2, 10, 250));
            double share = Of(random, 0, 0.001, 0.05, 0.5, 1);
            SimulationGrid grid = GridOf(log, asked, share, out _);

            for (int row = 0; row < grid.Rates.Count; row++)
            {
                for (int column = 0; column < grid.Capacities.Count; column++)
                {
                    LimitSimulation alone = Run(log, new(grid.Capacities[column], grid.Rates[row]));
                    string cell = $"capacity {grid.Capacities[column]}, rate {grid.Rates[row]}";
                    Assert.Equal((cell, alone.Rejected), (cell, grid.Rejected[row][column]));
                    Assert.Equal((cell, alone.Worst.FirstOrDefault().Rejected), (cell, grid.WorstSecond[row][column]));
                }

                LimitSimulation any = Run(log, new(1, grid.Rates[row]));
                Assert.Equal(any.SmallestCapacity(share, () => new MemoryStream(log)), grid.SmallestCapacity[row]);
            }
        }
    }

    [Fact]
    public void Cell_of_the_asked_limit_has_the_numbers_of_the_report()
    {
        Random random = Seeded();
        for (int i = 0; i < Logs; i++)
        {
            byte[] log = AnyLog(random);
            var asked = new LimitConfig(random.Next(1, 2000), Math.Pow(10, (random.NextDouble() * 6) - 3));
            SimulationGrid grid = GridOf(log, asked, 0, out LimitSimulation simulation);

            (int row, int column) = (Array.IndexOf([.. grid.Rates], asked.RatePerSecond),
                Array.IndexOf([.. grid.Capacities], asked.Capacity));
            Assert.Equal(simulation.Rejected, grid.Rejected[row][column]);
            Assert.Equal(simulation.Worst.FirstOrDefault().Rejected, grid.WorstSecond[row][column]);
        }
    }

    [Fact]
    public void Grid_ends_with_the_first_capacity_that_rejects_nothing_at_the_lowest_rate()
    {
        byte[] log = Log(Enumerable.Range(0, 100).Select(static i => (0L, "a")));

        SimulationGrid grid = GridOf(log, new(4, 2), 0, out _);

        Assert.Equal([0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 15, 20], grid.Rates.Skip(1));
        Assert.Equal([1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 70, 100], grid.Capacities);
        Assert.Equal([99, 98, 97, 96, 95, 93, 90, 85, 80, 70, 50, 30, 0], grid.Rejected[0]);
        Assert.All(grid.SmallestCapacity, static smallest => Assert.Equal(100, smallest));
    }

    [Fact]
    public void Grid_of_the_largest_log_of_one_client_has_at_most_40_capacities()
    {
        Assert.Equal(36, Steps.Capacities(1_000_000, 1_000_000_000).Length);
        Assert.Equal(1_000_000, Steps.Capacities(1_000_000, 1_000_000_000)[^1]);
        Assert.Equal([1], Steps.Capacities(1, 1_000_000_000));
    }

    [Theory]
    [InlineData(1e-7 * 1.2, 1)] // one in 100 days is the smallest rate
    [InlineData(1_000_000, 1)]
    [InlineData(1, 1_000_000_000)]
    [InlineData(1.0 / 86_400, 36_525)]
    [InlineData(0.1, 7)]
    public void Rates_are_ascending_contain_the_asked_one_and_are_allowed(double rate, long capacity)
    {
        double[] rates = Steps.Rates(rate, capacity);

        Assert.Contains(rate, rates);
        Assert.Equal(rates.Order().Distinct(), rates);
        Assert.InRange(rates.Length, 1, 13);
        Assert.All(rates, other => Assert.Null(Limiter.Fault(capacity, other)));
        Assert.All(rates.Zip(rates.Skip(1)), static two => Assert.True(two.Second > two.First * 1.01));
    }

    [Fact]
    public void Smallest_capacity_is_null_if_the_rate_allows_no_such_capacity()
    {
        const double Slowest = 1.0 / (100 * 24 * 3600); // at most 365 tokens refill within 100 years
        byte[] log = Log(Enumerable.Range(0, 400).Select(static i => (0L, "a")));

        SimulationGrid grid = GridOf(log, new(1, Slowest), 0, out LimitSimulation simulation);
        Assert.Null(grid.SmallestCapacity[0]);
        Assert.Equal(400, grid.SmallestCapacity[^1]);
        Assert.Equal(300, grid.Capacities[^1]);
        Assert.Null(simulation.SmallestCapacity(0, () => new MemoryStream(log)));
        Assert.Equal(365, LimitSimulation.LargestCapacity(Slowest));

        // A capacity above half of the largest allowed one is found, too.
        Assert.Equal(320, GridOf(log, new(1, Slowest), 0.2, out _).SmallestCapacity[0]);
        Assert.Equal(320, simulation.SmallestCapacity(0.2, () => new MemoryStream(log)));
    }

    [Fact]
    public void Grid_stops_when_it_is_cancelled()
    {
        byte[] log = Log([(0, "a")]);
        var recorded = new RecordedRequests(10);
        Run(log, new(1, 1), recorded);

        Assert.Throws<OperationCanceledException>(() =>
            ReplayGrid.Of(recorded.ByClient(), new(1, 1), 0, new(canceled: true)));
    }

    [Fact]
    public void Requests_beyond_the_bound_are_noticed()
    {
        byte[] log = Log(Enumerable.Range(0, 11).Select(static i => ((long)i, "a")));
        (RecordedRequests whole, RecordedRequests cut) = (new RecordedRequests(11), new RecordedRequests(10));
        Run(log, new(1, 1), whole);
        Run(log, new(1, 1), cut);

        Assert.Equal((11, false, 10, true), (whole.Count, whole.IsOver, cut.Count, cut.IsOver));
    }

    [Fact]
    public void Simulation_of_pieces_of_any_length_is_that_of_the_whole_log()
    {
        Random random = Seeded();
        byte[] log = [.. AnyLog(random), .. "\n\nbad\r\n"u8, .. new byte[LineReader.MaxLineBytes + 5], .. "\n{"u8];
        LimitSimulation whole = Run(log, new(3, 1));
        var pieces = new LimitSimulation(new(3, 1), new(LogFormat.Auto, "client"));
        for (int at = 0, length; at < log.Length; at += length)
        {
            length = Math.Min(random.Next(1, random.Next(2) == 0 ? 20 : 300_000), log.Length - at);
            pieces.Add(log.AsSpan(at, length));
        }
        pieces.End();

        Assert.Equal((whole.Requests, whole.Rejected), (pieces.Requests, pieces.Rejected));
        Assert.Equal(whole.Faults, pieces.Faults);
        Assert.Equal(["is neither JSON nor in the common or combined format",
            $"is longer than {LineReader.MaxLineBytes} bytes", "is not valid JSON"],
            whole.Faults.Select(static bad => bad.Fault));
    }

    private Random Seeded()
    {
        int seed = int.TryParse(Environment.GetEnvironmentVariable("PENSTOCK_GRID_SEED"), out int given) ? given
            : Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        return new(seed);
    }

    private static SimulationGrid GridOf(byte[] log, LimitConfig asked, double share, out LimitSimulation simulation)
    {
        var recorded = new RecordedRequests(1_000_000);
        simulation = Run(log, asked, recorded);
        return ReplayGrid.Of(recorded.ByClient(), asked, share, TestContext.Current.CancellationToken);
    }

    private static LimitSimulation Run(byte[] log, LimitConfig limit, RecordedRequests? recorded = null)
    {
        var simulation = new LimitSimulation(limit, new(LogFormat.Auto, "client")) { Recorded = recorded };
        simulation.Run(new MemoryStream(log));
        return simulation;
    }

    /// <summary>Bursts and pauses of a few clients, some of whose lines are not in order.</summary>
    private static byte[] AnyLog(Random random)
    {
        (long ms, int clients, int pause) = (random.Next(1000), random.Next(1, 6), Of(random, 2, 50, 2000));
        return Log(Enumerable.Range(0, random.Next(1, 250)).Select(_ =>
        {
            ms += random.Next(3) == 0 ? random.Next(pause) : 0;
            return (ms - (random.Next(10) == 0 ? random.Next(3000) : 0), "c" + random.Next(clients));
        }));
    }

    private static byte[] Log(IEnumerable<(long Ms, string Client)> requests) =>
        Encoding.UTF8.GetBytes(string.Join('\n', requests.Select(static r => JsonSerializer.Serialize(new
        {
            time = DateTimeOffset.UnixEpoch.AddDays(20_000).AddMilliseconds(r.Ms), client = r.Client,
        }))));

    private static T Of<T>(Random random, params T[] all) => all[random.Next(all.Length)];
}
