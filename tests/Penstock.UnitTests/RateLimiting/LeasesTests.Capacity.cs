using Penstock.Proxy.RateLimiting;
using Xunit;

namespace Penstock.UnitTests.RateLimiting;

/// <content>Edits of the capacity while the node holds tokens or waits for some.</content>
public sealed partial class LeasesTests
{
    [Fact]
    public void Lowered_capacity_with_requests_waiting_is_no_fault_of_the_plan()
    {
        LeasedBucket client = Register(capacity: 10);
        for (int i = 0; i < 5; i++)
        {
            Wait(client, i);
        }
        _limiter.Clients.Put(new("c", new(2, 0.001), 2, Version: 2, Epoch: 1));

        Assert.Equal(5, Plan().Need);
    }

    /// <summary>The rest is void.</summary>
    [Theory]
    [InlineData(20, 0)]
    [InlineData(15.5, 4.5)]
    [InlineData(-3, 20)]
    public void Lowered_capacity_gives_back_what_the_shared_bucket_has_room_for(double tokens, double back)
    {
        LeasedBucket client = Register(capacity: 100);
        Wait(client, 0);
        Answer(Plan(), granted: 50, left: 50);
        Assert.Equal(49, client.Balance);

        Lower(20, tokens);
        Wait(client, 1);

        Assert.Equal(0, client.Balance);
        Assert.Equal(back, Plan().Back);
    }

    /// <summary>The shared bucket granted them before the edit, and the node got them after it.</summary>
    [Theory]
    [InlineData(20, 0)]
    [InlineData(15.5, 4.5)]
    [InlineData(3, 10)]
    public void Tokens_on_their_way_when_the_capacity_is_lowered_are_old_too(double tokens, double back)
    {
        LeasedBucket client = Register(capacity: 100);
        Wait(client, 0);
        LeaseAsk ask = Plan();

        Lower(20, tokens);
        Answer(ask, granted: 10, left: 40, capacity: 100);

        Assert.Empty(_answered);
        LeaseAsk next = Plan();
        Assert.Equal((1, back), (next.Need, next.Back));
    }

    /// <summary>The shared bucket granted them after the edit, and the node got them before it knew of the edit.
    /// </summary>
    [Fact]
    public void Tokens_that_the_lowered_bucket_has_granted_stay()
    {
        LeasedBucket client = Register(capacity: 100);
        Wait(client, 0);
        Answer(Plan(), granted: 9, left: 15, capacity: 20);
        Assert.Equal(8, client.Balance);

        Lower(20, tokens: 20);
        Wait(client, 1);

        Assert.Equal(5, Plan().Back); // the old ones are void
    }

    [Fact]
    public void Edits_of_a_plan_bring_no_token_and_a_lowered_capacity_voids_what_is_at_hand()
    {
        LeasedBucket client = RegisterPlanned(100);
        Wait(client, 0);
        Answer(Plan(), granted: 50, left: 30);

        SetPlan(1000, version: 2);
        Assert.Equal((1000, 49), (client.Config.Capacity, client.Balance));
        Assert.Equal((49, 30), (client.Balance, Math.Round(client.TokensAt(_clock.NowNs) - client.Balance)));

        SetPlan(20, version: 3);
        SetPlan(1000, version: 2); // came late
        Assert.Equal((20, 0), (client.Config.Capacity, client.Balance));
        Assert.Equal(20, Math.Round(client.TokensAt(_clock.NowNs)));
        Assert.Equal(0, client.Account.Returned); // the shared bucket has no room

        SetPlan(1000, version: 4);
        Assert.Equal((1000, 0), (client.Config.Capacity, client.Balance));
        Assert.Equal(20, Math.Round(client.TokensAt(_clock.NowNs)));
    }

    /// <summary>The node hears of the edit after the answer, or never, if it ignores numbers that SQL has set.
    /// </summary>
    [Fact]
    public void Raised_capacity_that_the_node_does_not_know_yet_voids_nothing()
    {
        LeasedBucket client = Register(capacity: 100);
        Waiter waiter = Wait(client, 0);

        Answer(Plan(), granted: 3, left: 97, capacity: 1000);

        Assert.True(waiter.Granted);
        Assert.Equal(2, client.Balance);
    }

    [Fact]
    public void Second_lowering_gives_back_no_more_than_there_is_room_for()
    {
        LeasedBucket client = Register(capacity: 100);
        Wait(client, 0);
        Answer(Plan(), granted: 50, left: 10);

        Lower(50, tokens: 10);
        Assert.Equal(40, client.Account.Returned);
        _limiter.Clients.Put(new("c", new(25, 0.001), 10, Version: 3, Epoch: 1));

        Assert.Equal(15, client.Account.Returned);
    }

    [Fact]
    public void Unused_tokens_of_an_outage_cancel_their_debt_when_the_capacity_is_lowered()
    {
        LeasedBucket client = Register(capacity: 100);
        Waiter waiter = Wait(client, 0);
        _leases.GrantShare(nodes: 1);
        Assert.True(waiter.Granted);
        long unused = client.Balance;
        Assert.Equal(client.Account.Debt, unused + 1);

        Lower(80, tokens: 80);

        Assert.Equal(unused, client.Account.Returned);
    }

    [Fact]
    public void Lowered_capacity_forgives_no_debt()
    {
        LeasedBucket client = RegisterPlanned(100);
        client.Debit(_clock.NowNs, 3); // such as for a status that counts

        SetPlan(20, version: 2);
        Assert.Equal(-3, client.Balance);
        _limiter.Clients.Put(new("c", new(10, 0.001), 10, Version: 2, Epoch: 1));

        Assert.Equal(-3, client.Balance);
        Assert.Equal(0, client.Account.Returned);
    }
}
