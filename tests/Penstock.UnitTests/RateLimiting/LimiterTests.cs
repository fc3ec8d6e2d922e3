using System.Text;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Xunit;

namespace Penstock.UnitTests.RateLimiting;

public sealed class LimiterTests
{
    private readonly ManualTime _time = new();
    private readonly MonotonicClock _clock;
    private readonly Limiter _limiter;

    public LimiterTests()
    {
        _clock = new MonotonicClock(_time);
        _limiter = new Limiter(
            new ProxyConfig { Listeners = [], Upstreams = [], Routes = [] }, _clock);
    }

    [Fact]
    public void Register_new_client_is_full_or_as_told()
    {
        _limiter.Register("a", new LimitConfig(10, 1));
        _limiter.Register("b", new LimitConfig(10, 1), 4);
        Assert.Equal(10, Tokens("a"));
        Assert.Equal(4, Tokens("b"));
        Assert.Equal(4, TakeAll("b"));
    }

    [Fact]
    public void Register_changed_limit_keeps_the_tokens_clamped()
    {
        _limiter.Register("a", new LimitConfig(100, 5), 50);
        _limiter.Register("a", new LimitConfig(1000, 7));
        Assert.Equal(50, Tokens("a"), 3);
        _limiter.Register("a", new LimitConfig(20, 5));
        Assert.Equal(20, Tokens("a"), 3);
        Assert.Equal(20, TakeAll("a"));
    }

    [Fact]
    public void Register_unchanged_does_not_refill()
    {
        _limiter.Register("a", new LimitConfig(10, 1));
        Assert.Equal(10, TakeAll("a"));
        _limiter.Register("a", new LimitConfig(10, 1));
        Assert.Equal(0, TakeAll("a"));
    }

    [Fact]
    public async Task Register_under_load_neither_loses_nor_gives_tokens()
    {
        _limiter.Register("a", new LimitConfig(50_000, 0.001));
        int admitted = 0;
        using var stop = new CancellationTokenSource();
        Task editor = Task.Run(() =>
        {
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                _limiter.Register("a", new LimitConfig(50_000 + (i % 2), 0.001 * (1 + (i % 3))));
            }
        });
        Parallel.For(0, 4, _ =>
        {
            for (int i = 0; i < 20_000; i++)
            {
                if (TryTake("a"))
                {
                    Interlocked.Increment(ref admitted);
                }
            }
        });
        await stop.CancelAsync();
        await editor;
        // Each change may round the rest down by less than one unit of the word: far less than one token together.
        Assert.InRange(admitted, 49_999, 50_000);
    }

    [Fact]
    public void Property_7_sixteen_threads_admit_exactly_what_one_would_at_each_moment()
    {
        // The clock stands still while they take, then goes on by a part of a token and more.
        _limiter.Register("a", new LimitConfig(1000, 10.0 / 3));
        var one = new OwnedClient("one", new LimitConfig(1000, 10.0 / 3), 1000, _clock.NowNs);
        for (int round = 0; round < 20; round++)
        {
            int admitted = 0;
            Parallel.For(0, 16, new ParallelOptions { MaxDegreeOfParallelism = 16 }, _ =>
            {
                for (int i = 0; i < 200; i++)
                {
                    if (TryTake("a"))
                    {
                        Interlocked.Increment(ref admitted);
                    }
                }
            });
            int expected = 0;
            while (one.TryTake(_clock.NowNs, 1, out _, out _))
            {
                expected++;
            }
            Assert.Equal(expected, admitted);
            _time.Advance(TimeSpan.FromMilliseconds(1234.5 * (round + 1)));
        }
    }

    [Fact]
    public void Reset_fills_the_bucket()
    {
        _limiter.Register("a", new LimitConfig(10, 1));
        TakeAll("a");
        Assert.True(_limiter.Reset("a"));
        Assert.Equal(10, TakeAll("a"));
        Assert.False(_limiter.Reset("nobody"));
    }

    [Fact]
    public void Time_refills_continuously_up_to_capacity()
    {
        _limiter.Register("a", new LimitConfig(10, 2), 0);
        _time.Advance(TimeSpan.FromMilliseconds(1900));
        Assert.Equal(3.8, Tokens("a"), 3);
        Assert.Equal(3, TakeAll("a"));
        Assert.Equal(0.8, Tokens("a"), 3);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal(10, Tokens("a"));
    }

    [Fact]
    public void CollectChanged_tells_only_buckets_that_moved()
    {
        _limiter.Register("a", new LimitConfig(10, 1));
        _limiter.Register("b", new LimitConfig(10, 1));
        TryTake("a");
        Assert.Equal(["a"], Changed());
        Assert.Empty(Changed());
        _limiter.Register("b", new LimitConfig(20, 1));
        Assert.Equal(["b"], Changed());
    }

    [Fact]
    public void Unregister_forgets_the_client()
    {
        _limiter.Register("a", new LimitConfig(10, 1));
        Assert.True(_limiter.Unregister("a"));
        Assert.False(_limiter.Unregister("a"));
        Assert.False(_limiter.TryGet("a", out _));
        Assert.False(_limiter.AnyRegistered);
    }

    [Theory]
    [InlineData("123.5.6.7:890")]
    [InlineData("größe/ключ 鍵")]
    public void TryFind_takes_any_text(string id)
    {
        _limiter.Register(id, new LimitConfig(10, 1));
        Assert.True(_limiter.TryFind(Encoding.UTF8.GetBytes(id), out RegisteredClient? client));
        Assert.Equal(id, client.Id);
    }

    private double Tokens(string id)
    {
        Assert.True(_limiter.TryGet(id, out ClientTokens state));
        return state.Tokens;
    }

    private bool TryTake(string id)
    {
        Assert.True(_limiter.TryFind(Encoding.UTF8.GetBytes(id), out RegisteredClient? client));
        return client.TryTake(_clock.NowNs, 1, out _, out _);
    }

    private int TakeAll(string id)
    {
        int count = 0;
        while (TryTake(id))
        {
            count++;
        }
        return count;
    }

    private List<string> Changed()
    {
        var changed = new List<ClientTokens>();
        _limiter.CollectChanged(changed);
        return [.. changed.Select(static c => c.ClientId)];
    }

    private sealed class ManualTime : TimeProvider
    {
        private long _ticks = 1_000_000_000;

        public override long TimestampFrequency => 1_000_000_000;

        public override long GetTimestamp() => _ticks;

        public void Advance(TimeSpan by) => _ticks += by.Ticks * 100;
    }
}
