using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.RateLimiting;

/// <summary>One node's leases; the test plays the shared bucket.</summary>
public sealed partial class LeasesTests
{
    private readonly ManualTime _time = new();
    private readonly MonotonicClock _clock;
    private readonly Limiter _limiter;
    private readonly Leases _leases;
    private readonly List<LeaseAsk> _asks = [];
    private readonly List<int> _answered = [];

    public LeasesTests()
    {
        _clock = new MonotonicClock(_time);
        _limiter = new Limiter(new() { Listeners = [], Upstreams = [], Routes = [] }, _clock, sharesTokens: true);
        _leases = _limiter.Leases!;
    }

    [Fact]
    public void Who_waits_is_served_in_order_as_far_as_the_lease_goes_and_rejected_at_once_beyond()
    {
        LeasedBucket client = Register(capacity: 10);
        Waiter[] waiters = [.. Enumerable.Range(0, 4).Select(i => Wait(client, i))];

        LeaseAsk ask = Plan();
        Answer(ask, granted: 2, left: 0.5);

        Assert.Equal((4, 4), (ask.Need, ask.Want));
        Assert.Equal([0, 1, 2, 3], _answered);
        Assert.Equal([true, true, false, false], waiters.Select(static w => w.Granted));
        Assert.Equal((0, 0), (client.Balance, _leases.Waiting));
    }

    [Fact]
    public void No_more_wait_than_the_shared_bucket_can_have_tokens_for()
    {
        LeasedBucket client = Register(capacity: 3);
        for (int i = 0; i < 3; i++)
        {
            Wait(client, i);
        }

        Assert.Null(client.Awaitable(_clock.NowNs, 1));
        Assert.False(client.Enter(new Waiter(this, 3), 1, _clock.NowNs));
        Assert.Equal(3, _leases.Waiting);
    }

    [Fact]
    public void Request_does_not_wait_while_the_bucket_is_known_to_be_empty()
    {
        LeasedBucket client = Register(capacity: 10, rate: 2);
        Wait(client, 0);
        Answer(Plan(), granted: 0, left: 0.25);

        Assert.False(TryTake(client));
        Assert.Null(client.Awaitable(_clock.NowNs, 1));
        _time.Advance(TimeSpan.FromMilliseconds(370));
        Assert.Null(client.Awaitable(_clock.NowNs, 1));
        _time.Advance(TimeSpan.FromMilliseconds(10));
        Assert.NotNull(client.Awaitable(_clock.NowNs, 1)); // 0.25 + 0.38 · 2
        Assert.Null(client.Awaitable(_clock.NowNs, 2));
    }

    [Fact]
    public void What_a_bucket_told_goes_stale()
    {
        LeasedBucket client = Register(capacity: 10, rate: 0.000_1);
        Wait(client, 0);
        Answer(Plan(), granted: 0, left: 0);
        Assert.Null(client.Awaitable(_clock.NowNs, 1));

        _time.Advance(TimeSpan.FromSeconds(2.1)); // others may have given tokens back

        Assert.NotNull(client.Awaitable(_clock.NowNs, 1));
    }

    [Fact]
    public void Request_that_came_alone_leases_one_token_and_leaves_nothing_behind()
    {
        LeasedBucket client = Register(capacity: 1000);
        Wait(client, 0);
        LeaseAsk ask = Plan();
        Answer(ask, granted: 1, left: 999);

        for (int tick = 0; tick < 50; tick++)
        {
            _time.Advance(TimeSpan.FromMilliseconds(50));
            _asks.Clear();
            _leases.Plan(_asks);
            Assert.Empty(_asks);
        }
        Assert.Equal((1, 1), (ask.Need, ask.Want));
        Assert.Equal((0, 0), (client.Balance, _leases.ActiveClients));
    }

    [Fact]
    public void Each_client_is_looked_at_once_in_a_round_also_when_another_one_is_let_go()
    {
        Wait(Register(capacity: 10, id: "idle"), 0);
        LeasedBucket second = Register(capacity: 10, id: "second");
        Wait(second, 1);
        _leases.Plan(_asks);
        _leases.Grant([.. _asks.Select(static ask => new LeaseGrant(ask.ClientId, ask.Epoch, 1, 9, 10, 1))]);
        _leases.Plan(_asks); // counts what was used
        _time.Advance(TimeSpan.FromSeconds(1.1));

        Wait(second, 2);
        Wait(Register(capacity: 10, id: "third"), 3);
        _asks.Clear();
        _leases.Plan(_asks);

        Assert.Equal(["second", "third"], _asks.Select(static ask => ask.ClientId).Order());
        Assert.Equal(2, _leases.ActiveClients);
    }

    [Fact]
    public void Waiting_requests_are_not_overtaken_and_get_the_refilled_tokens()
    {
        LeasedBucket client = Register(capacity: 10);
        Waiter first = Wait(client, 0);
        Answer(Plan(), granted: 1, left: 9);
        Waiter second = Wait(client, 1);

        client.Debit(_clock.NowNs, -1); // the first one's, whom another limit rejected

        Assert.True(first.Granted);
        Assert.True(second.Granted);
        Assert.Equal(0, client.Balance);
    }

    [Fact]
    public void Who_leaves_the_line_costs_nothing()
    {
        LeasedBucket client = Register(capacity: 10);
        Waiter gone = Wait(client, 0);
        Waiter stays = Wait(client, 1);

        Assert.True(client.Leave(gone));
        Assert.False(client.Leave(gone));
        LeaseAsk ask = Plan();
        Answer(ask, granted: 1, left: 9);

        Assert.Equal(1, ask.Need);
        Assert.Equal([1], _answered);
        Assert.True(stays.Granted);
        Assert.Equal((0, 0L), (_leases.Waiting, client.WaitingCost));
    }

    [Fact]
    public void Deleted_client_sends_who_waits_away()
    {
        LeasedBucket client = Register(capacity: 10);
        Waiter waiter = Wait(client, 0);

        _limiter.Clients.Remove("c", version: 5);

        Assert.Equal([0], _answered);
        Assert.False(waiter.Granted);
    }

    [Fact]
    public void Node_that_cannot_ask_decides_by_its_share_from_the_first_request_on()
    {
        LeasedBucket client = Register(capacity: 100);
        LeasedBucket another = Register(capacity: 10, id: "waiting");
        Waiter waiter = Wait(another, 0);

        _leases.GrantShare(nodes: 2);

        Assert.True(waiter.Granted);
        Assert.Equal(42, Enumerable.Range(0, 100).Count(_ => TryTake(client))); // 85 % of a half
        Assert.Null(client.Awaitable(_clock.NowNs, 1));
        Assert.False(client.Enter(new Waiter(this, 0), 1, _clock.NowNs));
        Assert.Equal(42, client.Account.Debt);
    }

    [Fact]
    public void Nobody_waits_any_more_when_the_shared_buckets_are_silent_for_long()
    {
        LeasedBucket client = Register(capacity: 10);
        Waiter waiter = Wait(client, 0);
        LeaseAsk ask = Plan();

        _time.Advance(TimeSpan.FromMilliseconds(100));
        Assert.True(client.Leave(waiter));
        _limiter.NoteWaitedInVain();
        Assert.NotNull(client.Awaitable(_clock.NowNs, 1));
        _time.Advance(TimeSpan.FromSeconds(1));
        _limiter.NoteWaitedInVain();
        Assert.Null(client.Awaitable(_clock.NowNs, 1));
        Answer(ask, granted: 0, left: 10);

        Assert.NotNull(client.Awaitable(_clock.NowNs, 1));
        Assert.Equal((1, 2), (_leases.Waited, _leases.WaitedInVain));
    }

    private LeasedBucket Register(long capacity, double rate = 0.001, string id = "c")
    {
        _limiter.Clients.Put(new(id, new(capacity, rate), capacity, Version: 1, Epoch: 1));
        return (LeasedBucket)_limiter.Clients.Find(id)!.Bucket;
    }

    private LeasedBucket RegisterPlanned(long capacity)
    {
        _limiter.Clients.Put(new("c", new(capacity, 0.001), capacity, Version: 1, Epoch: 1)
        {
            Terms = new() { Plan = "gold" },
            PlanVersion = 1,
        });
        return (LeasedBucket)_limiter.Clients.Find("c")!.Bucket;
    }

    private void Lower(long capacity, double tokens) =>
        _limiter.Clients.Put(new("c", new(capacity, 0.001), tokens, Version: 2, Epoch: 1));

    private void SetPlan(long capacity, long version) =>
        _limiter.Clients.SetPlan(new PlanNumbers("gold", new(capacity, 0.001), version));

    private bool TryTake(LeasedBucket client) => client.TryTake(_clock.NowNs, 1, out _, out _);

    private Waiter Wait(LeasedBucket client, int number)
    {
        Assert.False(TryTake(client));
        Assert.NotNull(client.Awaitable(_clock.NowNs, 1));
        var waiter = new Waiter(this, number);
        Assert.Null(client.Enter(waiter, 1, _clock.NowNs));
        return waiter;
    }

    private LeaseAsk Plan()
    {
        _asks.Clear();
        _leases.Plan(_asks);
        return Assert.Single(_asks);
    }

    /// <param name="capacity">The shared bucket's capacity then; null: as the node knows it.</param>
    private void Answer(LeaseAsk ask, long granted, double left, long? capacity = null)
    {
        capacity ??= _limiter.Clients.Find(ask.ClientId)!.Bucket.Config.Capacity;
        _leases.Grant([new LeaseGrant(ask.ClientId, ask.Epoch, granted, left, capacity.Value, LeasedByAll: 0)]);
    }

    private sealed class Waiter(LeasesTests test, int number) : TokenWaiter
    {
        public bool Granted { get; private set; }

        public override void Answer(bool granted)
        {
            Granted = granted;
            test._answered.Add(number);
        }
    }
}
