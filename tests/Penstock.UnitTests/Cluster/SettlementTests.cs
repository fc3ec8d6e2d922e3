using Penstock.Control.Cluster;
using Xunit;

namespace Penstock.UnitTests.Cluster;

public sealed class SettlementTests
{
    private static readonly DateTimeOffset End = new(2026, 11, 21, 12, 0, 0, TimeSpan.Zero);

    [Fact]
    public void Is_over_some_time_after_all_nodes_of_before_are_back()
    {
        Settlement settlement = Begin("a", "b");

        Assert.False(settlement.IsOver([Seen("a", 1), Seen("b", 0), Seen("new", 1)], nowMs: 1000));
        Assert.False(settlement.IsOver([Seen("a", 2), Seen("b", 1)], nowMs: 2000));
        Assert.False(settlement.IsOver([Seen("a", 2), Seen("b", 1)], 2000 + Settlement.SettleMs - 1));
        Assert.True(settlement.IsOver([Seen("a", 2), Seen("b", 1)], 2000 + Settlement.SettleMs));
    }

    [Fact]
    public void Is_over_in_the_end_when_a_node_does_not_come_back()
    {
        Settlement settlement = Begin("a", "b");

        Assert.False(settlement.IsOver([Seen("a", 1)], Settlement.MaxSettleMs - 1));
        Assert.True(settlement.IsOver([Seen("a", 1)], Settlement.MaxSettleMs));
    }

    [Fact]
    public void Second_outage_before_the_end_begins_anew_with_the_same_nodes()
    {
        Settlement settlement = Begin("a", "b");
        Assert.False(settlement.IsOver([Seen("a", 1), Seen("b", 1)], nowMs: 10));
        settlement.Begin(End.AddSeconds(5), nowMs: 5000);

        Assert.False(settlement.IsOver([Seen("a", 6), Seen("b", 4)], nowMs: 6000));
        Assert.False(settlement.IsOver([Seen("a", 6), Seen("b", 6)], nowMs: 6200));
        Assert.True(settlement.IsOver([Seen("a", 6), Seen("b", 6)], 6200 + Settlement.SettleMs));
    }

    private static Settlement Begin(params string[] awaited)
    {
        var settlement = new Settlement(awaited.ToHashSet());
        Assert.False(settlement.IsOver([], nowMs: 0)); // the outage is not over
        settlement.Begin(End, nowMs: 0);
        return settlement;
    }

    private static ClusterNode Seen(string id, int seconds) => new(id, "1", End, End.AddSeconds(seconds), true);
}
