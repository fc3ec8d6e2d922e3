using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Xunit;

namespace Penstock.UnitTests.RateLimiting;

/// <summary>Clients that have the numbers of a plan.</summary>
public sealed class PlanTests
{
    private readonly ManualTime _time = new();
    private readonly MonotonicClock _clock;
    private readonly Limiter _limiter;

    public PlanTests()
    {
        _clock = new MonotonicClock(_time);
        _limiter = new Limiter(new ProxyConfig { Listeners = [], Upstreams = [], Routes = [] }, _clock);
        _limiter.Clients.SetPlan(new PlanNumbers("gold", new LimitConfig(100, 5)));
    }

    [Fact]
    public void Edit_of_a_plan_changes_its_clients_and_keeps_their_tokens_clamped()
    {
        Register("a", 40);
        Register("b", null);
        _limiter.Clients.Register("own", new LimitConfig(100, 5), 40);

        _limiter.Clients.SetPlan(new PlanNumbers("gold", new LimitConfig(200, 1)));
        Assert.Equal((200, 1, 40), Look("a"));
        Assert.Equal((200, 1, 100), Look("b"));
        Assert.Equal((100, 5, 40), Look("own"));

        _time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal((200, 1, 50), Look("a"));
        _limiter.Clients.SetPlan(new PlanNumbers("gold", new LimitConfig(20, 3)));
        Assert.Equal((20, 3, 20), Look("a"));
    }

    [Fact]
    public void Edit_of_a_plan_that_is_older_than_the_known_changes_nothing()
    {
        _limiter.Clients.SetPlan(new PlanNumbers("gold", new LimitConfig(200, 1), 7));
        _limiter.Clients.SetPlan(new PlanNumbers("gold", new LimitConfig(300, 1), 6));
        _limiter.Clients.Register("a", new LimitConfig(200, 1), null, new ClientTerms { Plan = "gold" });

        Assert.Equal((200, 1, 200), Look("a"));
    }

    [Fact]
    public void Clients_of_a_plan_share_its_compiled_limit_and_their_terms()
    {
        Register("a", 1);
        Register("b", 1);

        Assert.Same(Find("a").Bucket.Limit, Find("b").Bucket.Limit);
        Assert.Same(Find("a").Terms, Find("b").Terms);
    }

    [Fact]
    public async Task Edits_of_a_plan_under_load_neither_lose_nor_give_tokens()
    {
        const int Clients = 20;
        const int Tokens = 500;
        for (int i = 0; i < Clients; i++)
        {
            _limiter.Clients.Register($"c{i}", new LimitConfig(100, 5), null, new ClientTerms { Plan = "gold" });
        }
        _limiter.Clients.SetPlan(new PlanNumbers("gold", new LimitConfig(Tokens, 0.0001)));
        for (int i = 0; i < Clients; i++)
        {
            _limiter.Clients.Register($"c{i}", new LimitConfig(Tokens, 0.0001), Tokens,
                new ClientTerms { Plan = "gold" });
        }
        int[] admitted = new int[Clients];
        using var stop = new CancellationTokenSource();
        Task editor = Task.Run(() =>
        {
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                _limiter.Clients.SetPlan(new PlanNumbers("gold", new LimitConfig(Tokens + (i % 7), 0.0001)));
            }
        });
        await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            for (int i = 0; i < 100_000; i++)
            {
                int client = i % Clients;
                if (Find($"c{client}").Bucket.TryTake(_clock.NowNs, 1, out Limit _, out long _))
                {
                    Interlocked.Increment(ref admitted[client]);
                }
            }
        })));
        await stop.CancelAsync();
        await editor;

        Assert.All(admitted, static count => Assert.Equal(Tokens, count));
    }

    [Fact]
    public void Bucket_of_a_named_limit_keeps_its_tokens_over_edits_of_other_things()
    {
        var numbers = new LimitConfig(9, 9);
        var search = new LimitRule("search", numbers, new Limit("search", numbers), null, 0);
        ClientTerms Terms(long capacity, ClientAccess access = ClientAccess.Limited) =>
            new() { Access = access, Limits = [new("search", new LimitConfig(capacity, 0.001))] };
        _limiter.Clients.Register("a", new LimitConfig(10, 1), null, Terms(5));
        Assert.Null(Find("a").Terms!.BucketOf(new LimitRule("other", numbers, search.Tracked, null, 0)));
        Assert.Null(Find("a").Terms!.BucketOf(
            new LimitRule("search", numbers with { By = LimitKey.Address }, search.Tracked, null, 0)));
        Assert.True(Find("a").Terms!.BucketOf(search)!.TryTake(_clock.NowNs, 3, out Limit _, out long _));

        _limiter.Clients.Register("a", new LimitConfig(20, 1), null, Terms(5, ClientAccess.Exempt));
        Assert.Equal(2, Find("a").Terms!.BucketOf(search)!.TokensAt(_clock.NowNs), 3);
        _limiter.Clients.Register("a", new LimitConfig(20, 1), null, Terms(1));
        Assert.Equal(1, Find("a").Terms!.BucketOf(search)!.TokensAt(_clock.NowNs), 3);
        _limiter.Clients.Register("a", new LimitConfig(20, 1));
        Assert.Null(Find("a").Terms);
    }

    private void Register(string id, double? tokens) =>
        _limiter.Clients.Register(id, new LimitConfig(100, 5), tokens, new ClientTerms { Plan = "gold" });

    private RegisteredClient Find(string id) => _limiter.Clients.Find(id)!;

    private (long, double, double) Look(string id)
    {
        Assert.True(_limiter.Clients.TryGet(id, out ClientState client));
        return (client.Limit.Capacity, client.Limit.RatePerSecond, Math.Round(client.Tokens, 3));
    }
}
