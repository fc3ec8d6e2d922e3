using Penstock.Proxy.Configuration;
using Penstock.Proxy.Exchanges;
using Xunit;

namespace Penstock.UnitTests.Exchanges;

public sealed class AccessFilterTests
{
    private const long Fast = 1;
    private const long Slow = 500_000_000;

    private static readonly StatusRange ClientErrors = new(400, 499);

    [Fact]
    public void Without_keys_every_request_gets_a_line() =>
        Assert.Equal([1, 1, 1], Selected(new(), (200, Fast), (0, Fast), (599, Slow)));

    [Fact]
    public void Status_or_duration_selects()
    {
        AccessLogConfig statuses = new() { Statuses = [ClientErrors, new(503, 503)] };

        Assert.Equal([0, 1, 1, 0, 1],
            Selected(statuses, (200, Slow), (404, Fast), (503, Fast), (502, Fast), (0, Fast)));
        Assert.Equal([0, 1, 1], Selected(statuses with { MinDuration = TimeSpan.FromMilliseconds(500) },
            (200, Slow - 1), (200, Slow), (404, Fast)));
        Assert.Equal([0, 1, 0], Selected(new() { MinDuration = TimeSpan.FromMilliseconds(500) },
            (404, Fast), (200, Slow), (0, Fast)));
    }

    [Fact]
    public void First_of_each_sample_gets_a_line_that_stands_for_all_of_it() => Assert.Equal(
        [3, 1, 0, 0, 3, 0, 1, 0, 3],
        Selected(new() { Samples = [new(new(429, 429), 3)] }, (429, Fast), (200, Fast), (429, Fast), (429, Fast),
            (429, Fast), (429, Fast), (428, Fast), (429, Fast), (429, Fast)));

    [Fact]
    public void Narrowest_sample_of_a_status_counts() => Assert.Equal(
        [5, 2, 0, 0, 0],
        Selected(new() { Samples = [new(ClientErrors, 5), new(new(429, 429), 2)] },
            (499, Fast), (429, Fast), (429, Fast), (0, Fast), (404, Fast)));

    [Fact]
    public void Sample_counts_only_selected_requests() => Assert.Equal(
        [0, 2, 0, 0, 2],
        Selected(new() { Statuses = [new(429, 429)], Samples = [new(new(200, 599), 2)] },
            (200, Fast), (429, Fast), (200, Fast), (429, Fast), (429, Fast)));

    private static int[] Selected(AccessLogConfig config, params (int Status, long DurationNs)[] requests)
    {
        var filter = new AccessFilter(config);
        int[] counts = filter.NewCounts();
        return [.. requests.Select(request => filter.Select(request.Status, request.DurationNs, counts))];
    }
}
