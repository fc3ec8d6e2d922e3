using Penstock.Control.Dashboard;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Xunit;

namespace Penstock.UnitTests.Dashboard;

public sealed class TrafficRatesTests
{
    private const long Ms = 1_000_000;

    [Fact]
    public void Rates_are_the_differences_per_second()
    {
        var rates = TrafficRates.Between(
            Readings.At(10, requests: 100, failed: 10, rejected: 20, latencies: [(50 * Ms, 1000)]),
            Readings.At(14, requests: 180, failed: 14, rejected: 28,
                latencies: [(50 * Ms, 1000), (Ms, 98), (9 * Ms, 2)]));

        Assert.Equal((20, 1, 2), (rates.All.RequestsPerSec, rates.All.FailedPerSec, rates.All.RejectedPerSec));
        Assert.Equal((17, 2, 1), (rates.ByStatus["2xx"], rates.ByStatus["4xx"], rates.ByStatus["5xx"]));
        Assert.Equal(0, rates.ByStatus["none"]);
        Assert.InRange(rates.All.P50Ms!.Value, 0.85, 1.15); // the old latencies of 50 ms do not count
        Assert.InRange(rates.All.P99Ms!.Value, 7.8, 10.2);
        Assert.Equal(rates.All, rates.Listeners.Single().Rates);
        Assert.Equal(20, rates.Flows.Single().RequestsPerSec);
    }

    [Fact]
    public void Upstream_is_the_sum_of_its_backends()
    {
        var rates = TrafficRates.Between(
            Readings.At(0, backends: [Readings.Backend("a:1", 10, 0), Readings.Backend("b:1", 5, 5)]),
            Readings.At(2, backends:
                [Readings.Backend("a:1", 30, 0, (Ms, 20)), Readings.Backend("b:1", 15, 15, (4 * Ms, 10))]));

        UpstreamRates upstream = rates.Upstreams.Single();
        Assert.Equal([10, 10], upstream.Backends.Select(static b => b.Rates.RequestsPerSec));
        Assert.Equal([0, 5], upstream.Backends.Select(static b => b.Rates.FailedPerSec));
        Assert.Equal((20, 5), (upstream.Rates.RequestsPerSec, upstream.Rates.FailedPerSec));
        Assert.InRange(upstream.Rates.P50Ms!.Value, 0.85, 1.15);
        Assert.InRange(upstream.Rates.P99Ms!.Value, 3.4, 4.6);
    }

    [Fact]
    public void What_is_new_counts_from_its_beginning()
    {
        var rates = TrafficRates.Between(
            Readings.At(0) with { Flows = [], Listeners = [] },
            Readings.At(1, requests: 7, backends: [Readings.Backend("a:1", 7, 0, (Ms, 7))], latencies: [(Ms, 7)]));

        Assert.Equal(7, rates.All.RequestsPerSec);
        Assert.Equal(7, rates.Upstreams.Single().Rates.RequestsPerSec);
    }

    [Fact]
    public void Backend_that_was_removed_and_added_again_begins_at_zero()
    {
        var rates = TrafficRates.Between(
            Readings.At(0, backends: [Readings.Backend("a:1", 1000, 0)]),
            Readings.At(1, backends: [Readings.Backend("a:1", 3, 0)]));

        Assert.Equal(3, rates.Upstreams.Single().Rates.RequestsPerSec);
    }

    [Fact]
    public void Counts_of_a_backend_may_wrap_around()
    {
        BackendReading before = Readings.Backend("a:1", 1, 0) with { Succeeded = uint.MaxValue - 1 };
        BackendReading now = Readings.Backend("a:1", 8, 0) with { Succeeded = 8 };
        var rates = TrafficRates.Between(Readings.At(0, backends: [before]), Readings.At(1, backends: [now]));

        Assert.Equal(10, rates.Upstreams.Single().Rates.RequestsPerSec);
    }

    [Fact]
    public void Without_requests_there_are_no_times()
    {
        var rates = TrafficRates.Between(Readings.At(0), Readings.At(0));

        Assert.Equal(new Rates(0, 0, 0, null, null), rates.All);
    }
}
