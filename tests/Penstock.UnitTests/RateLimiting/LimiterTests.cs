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
        _limiter.Clients.Register("a", new LimitConfig(10, 1));
        _limiter.Clients.Register("b", new LimitConfig(10, 1), 4);
        Assert.Equal(10, Tokens("a"));
        Assert.Equal(4, Tokens("b"));
        Assert.Equal(4, TakeAll("b"));
    }

    [Fact]
    public void Register_changed_limit_keeps_the_tokens_clamped()
    {
        _limiter.Clients.Register("a", new LimitConfig(100, 5), 50);
        _limiter.Clients.Register("a", new LimitConfig(1000, 7));
        Assert.Equal(50, Tokens("a"), 3);
        _limiter.Clients.Register("a", new LimitConfig(20, 5));
        Assert.Equal(20, Tokens("a"), 3);
        Assert.Equal(20, TakeAll("a"));
    }

    [Fact]
    public void Register_unchanged_does_not_refill()
    {
        _limiter.Clients.Register("a", new LimitConfig(10, 1));
        Assert.Equal(10, TakeAll("a"));
        _limiter.Clients.Register("a", new LimitConfig(10, 1));
        Assert.Equal(0, TakeAll("a"));
    }

    /// <summary>Loops take a new configuration over one after the other: some still know the old limit.</summary>
    [Fact]
    public void Limit_that_is_replaced_has_one_bucket_for_a_client_whoever_still_knows_the_old_one()
    {
        const int Capacity = 1000;
        Limit old = Apply(Capacity);
        int admitted = Take(1, old); // of a client that nobody knows, each capacity is full
        for (int reload = 1; reload <= 200; reload++)
        {
            Limit next = Apply(Capacity + (reload % 2));
            admitted += Take(1, next) + Take(1, old) + Take(1, next) + Take(1, old);
            old = next;
        }
        for (int taken = 1; taken > 0; admitted += taken)
        {
            taken = Take(1, old);
        }
        Assert.InRange(admitted, Capacity - 1, Capacity);
    }

    [Fact]
    public async Task Limit_that_is_replaced_under_load_gives_no_token_twice()
    {
        const int Capacity = 200_000;
        Limit current = Apply(Capacity);
        long admitted = 0;
        using var stop = new CancellationTokenSource();
        Task[] loops = [.. Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                Limit known = Volatile.Read(ref current); // and keeps to it for a while
                for (int i = 0; i < 200; i++)
                {
                    Interlocked.Add(ref admitted, Take(1, known));
                }
            }
        }, CancellationToken.None))];
        for (int reload = 1; reload <= 6000; reload++) // also when numbers are used again
        {
            Volatile.Write(ref current, Apply(Capacity + (reload % 2)));
        }
        await stop.CancelAsync();
        await Task.WhenAll(loops);
        while (Take(1, current) > 0)
        {
            admitted++;
        }
        Assert.InRange(admitted, Capacity - 1, Capacity + 1);
    }

    [Fact]
    public void Limits_that_change_ten_thousand_times_go_on_changing_and_keep_the_tokens()
    {
        Limit limit = Apply(100);
        Assert.Equal(40, Enumerable.Range(0, 40).Sum(_ => Take(1, limit)));
        for (int reload = 1; reload <= 10_000; reload++)
        {
            limit = Apply(100 + (reload % 2));
        }
        Assert.Equal(100, limit.Config.Capacity);
        int left = 0;
        while (Take(1, limit) > 0)
        {
            left++;
        }
        Assert.InRange(left, 59, 60);
        Assert.Equal(100, Enumerable.Range(0, 200).Sum(_ => Take(2, limit)));
    }

    /// <summary>Puts a limit that hardly refills in force.</summary>
    private Limit Apply(int capacity)
    {
        Assert.True(_limiter.Limits.TryApply(new Dictionary<string, LimitConfig> { ["x"] = new(capacity, 0.0001) }));
        return _limiter.Limits.Find("x")!;
    }

    private int Take(ulong key, Limit limit) =>
        _limiter.Limits.Table.TryTake(key << 20, ref limit, _clock.NowNs, 1, out _) ? 1 : 0;

    [Fact]
    public async Task Register_under_load_neither_loses_nor_gives_tokens()
    {
        _limiter.Clients.Register("a", new LimitConfig(50_000, 0.001));
        int admitted = 0;
        using var stop = new CancellationTokenSource();
        Task editor = Task.Run(() =>
        {
            for (int i = 0; !stop.IsCancellationRequested; i++)
            {
                _limiter.Clients.Register("a", new LimitConfig(50_000 + (i % 2), 0.001 * (1 + (i % 3))));
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
        // The clock does not move while they take; then it advances by the time of a part of a token or more.
        _limiter.Clients.Register("a", new LimitConfig(1000, 10.0 / 3));
        var one = new LocalBucket("one", new LimitConfig(1000, 10.0 / 3), _clock.NowNs);
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
    public void Time_refills_continuously_up_to_capacity()
    {
        _limiter.Clients.Register("a", new LimitConfig(10, 2), 0);
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
        _limiter.Clients.Register("a", new LimitConfig(10, 1));
        _limiter.Clients.Register("b", new LimitConfig(10, 1));
        TryTake("a");
        Assert.Equal(["a"], Changed());
        Assert.Empty(Changed());
        _limiter.Clients.Register("b", new LimitConfig(20, 1));
        Assert.Equal(["b"], Changed());
    }

    [Fact]
    public void Unregister_forgets_the_client()
    {
        _limiter.Clients.Register("a", new LimitConfig(10, 1));
        Assert.True(_limiter.Clients.Remove("a"));
        Assert.False(_limiter.Clients.Remove("a"));
        Assert.False(_limiter.Clients.TryGet("a", out _));
        Assert.False(_limiter.Clients.Any);
    }

    [Theory]
    [InlineData("123.5.6.7:890")]
    [InlineData("größe/ключ 鍵")]
    public void TryFind_takes_any_text(string id)
    {
        _limiter.Clients.Register(id, new LimitConfig(10, 1));
        Assert.True(_limiter.Clients.TryFind(Encoding.UTF8.GetBytes(id), out RegisteredClient? client));
        Assert.Equal(id, client.Id);
    }

    private double Tokens(string id)
    {
        Assert.True(_limiter.Clients.TryGet(id, out ClientState state));
        return state.Tokens;
    }

    private bool TryTake(string id)
    {
        Assert.True(_limiter.Clients.TryFind(Encoding.UTF8.GetBytes(id), out RegisteredClient? client));
        return client.Bucket.TryTake(_clock.NowNs, 1, out _, out _);
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
        var changed = new List<ClientState>();
        _limiter.Clients.CollectChanged(changed);
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
