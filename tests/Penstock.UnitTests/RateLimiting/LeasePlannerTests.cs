using Penstock.Proxy.RateLimiting;
using Xunit;

namespace Penstock.UnitTests.RateLimiting;

/// <summary>How many tokens a node requests from the shared bucket.</summary>
public sealed class LeasePlannerTests
{
    private const long Ms = 1_000_000;

    [Theory]
    [InlineData(100, 0, 3, 3, 3)] // those that wait, and as many as the traffic of a second when it is known
    [InlineData(100, 2, 3, 1, 1)] // what is here already counts
    [InlineData(2, 0, 5, 5, 5)] // requests that came before the capacity was lowered
    [InlineData(100, 5, 3, 0, 0)]
    public void First_requests_get_what_they_wait_for(
        long capacity, long balance, long waiting, long need, long want) =>
        Assert.Equal(new LeaseAmounts(need, want, 0), Ask(new() { Capacity = capacity, Balance = balance }, waiting));

    [Fact]
    public void Busy_client_asks_for_a_second_ahead_up_to_the_capacity()
    {
        LeaseTraffic traffic = Steady(perTick: 5); // 100 a second

        Assert.Equal(new LeaseAmounts(1, 100, 0),
            Ask(new() { Capacity = 1000, Left = 500, Traffic = traffic }, 0, used: 5));
        Assert.Equal(new LeaseAmounts(1, 40, 0),
            Ask(new() { Capacity = 40, Left = 40, Traffic = traffic }, 0, used: 5));
        Assert.Equal(default, Ask(new() { Capacity = 1000, Balance = 20, Left = 500, Traffic = traffic }, 0, used: 5));
        Assert.Equal(7, LeasePlanner.LowWater(traffic));
    }

    [Fact]
    public void Empty_bucket_is_asked_by_those_who_wait_only()
    {
        LeaseTraffic traffic = Steady(perTick: 5);

        Assert.Equal(default, Ask(new() { Capacity = 1000, Left = 500, Traffic = traffic }, 0, used: 5, mayAsk: false));
        Assert.Equal(2, Ask(new() { Capacity = 1000, Left = 500, Traffic = traffic }, 2, used: 5, mayAsk: false).Need);
    }

    [Fact]
    public void Last_tokens_are_for_those_who_wait()
    {
        LeaseTraffic traffic = Steady(perTick: 5);

        Assert.Equal(default, Ask(new() { Capacity = 1000, Left = 1.9, Traffic = traffic }, 0, used: 5));
        Assert.Equal(1, Ask(new() { Capacity = 1000, Left = 2, Traffic = traffic }, 0, used: 5).Need);
        Assert.Equal(3, Ask(new() { Capacity = 1000, Left = 0, Traffic = traffic }, 3, used: 5).Need);
    }

    [Fact]
    public void Need_is_what_will_be_used_soon_where_requests_do_not_wait()
    {
        LeaseTraffic traffic = Steady(perTick: 5);

        Assert.Equal(new LeaseAmounts(20, 100, 0),
            Ask(new() { Capacity = 1000, Traffic = traffic }, 0, used: 5, requestsWait: false));
    }

    [Fact]
    public void Idle_client_gives_back_and_a_debt_is_paid_by_a_lease()
    {
        Assert.Equal(new LeaseAmounts(0, 0, 3), Ask(new() { Capacity = 10, Idle = true }, 0, back: 3));
        Assert.Equal(4, Ask(new() { Capacity = 10, Balance = -3, Idle = true }, 0).Need);
    }

    [Fact]
    public void Traffic_is_idle_a_second_after_the_last_request_and_forgets_that_some_came_in_a_row()
    {
        var traffic = new LeaseTraffic(0);
        traffic.Measure(new BucketUse(3, 0, 0), 50 * Ms);
        traffic.Measure(default, 1050 * Ms);
        Assert.Equal((3, false), (traffic.UsedInARow, traffic.IsIdle(1050 * Ms)));
        traffic.Measure(default, 1051 * Ms);
        Assert.Equal((0, true), (traffic.UsedInARow, traffic.IsIdle(1051 * Ms)));
    }

    /// <summary>A client that used this many tokens in each tick of 50 ms, for ten seconds.</summary>
    private static LeaseTraffic Steady(long perTick)
    {
        var traffic = new LeaseTraffic(0);
        for (int tick = 1; tick <= 200; tick++)
        {
            traffic.Measure(new BucketUse(perTick, 0, 0), tick * 50 * Ms);
        }
        return traffic;
    }

    private static LeaseAmounts Ask(LeaseSituation now, long waiting, long used = 0, bool mayAsk = true,
        bool requestsWait = true, double back = 0) =>
        LeasePlanner.Ask(now with { Use = new(used, 0, waiting), MayAsk = mayAsk, RequestsWait = requestsWait }, back);
}
