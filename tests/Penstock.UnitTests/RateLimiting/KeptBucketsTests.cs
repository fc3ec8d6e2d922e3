using System.Text;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.RateLimiting;

public sealed class KeptBucketsTests
{
    private static readonly LimitConfig Slow = new(100, 0.01);
    private static readonly byte[] HashKey = [.. Enumerable.Range(0, 16).Select(static i => (byte)i)];

    private readonly ManualTime _time = new();

    /// <summary>The content of a store.</summary>
    private readonly Dictionary<(KeptLimit Limit, ulong Hash), long> _rows = [];
    private Limiter _limiter = null!;
    private KeptBuckets _kept = null!;
    private MonotonicClock _clock = null!;

    [Fact]
    public void Buckets_after_restarts_decide_as_if_there_had_been_none()
    {
        (string Name, LimitConfig Config)[] limits = [("a", new(10, 2)), ("b", new(5, 0.3)), ("c", new(3, 1.0 / 3))];
        VirtualLimit[] rules = [.. limits.Select(static l => new VirtualLimit(l.Config))];
        long[,] words = new long[1000, limits.Length];
        var random = new Random(38);
        long began = _time.GetTimestamp();
        int rejected = 0;
        for (int restart = 0; restart < 20; restart++)
        {
            Start(limits);
            for (int step = 0; step < 5000; step++)
            {
                _time.Advance(TimeSpan.FromTicks(random.Next(10_000)));
                (int key, int rule) = (random.Next(1000), random.Next(limits.Length));
                bool expected = rules[rule].TryTake(ref words[key, rule], (_time.GetTimestamp() - began) * 100);
                Assert.Equal(expected, Take($"k{key}", limits[rule].Name));
                rejected += expected ? 0 : 1;
            }
            Flush();
            _time.Advance(TimeSpan.FromTicks(random.Next(20_000_000))); // away
        }
        Assert.InRange(rejected, 5000, 95_000);
    }

    [Fact]
    public void Collect_tells_what_changed_since_the_last_time_and_forgets_what_is_full()
    {
        Start(("slow", Slow), ("fast", new(10, 1)));
        Take("a", "slow");
        Take("b", "slow");
        Take("c", "fast");
        Assert.Equal(3, Flush());
        Assert.Equal(0, Flush());

        Take("a", "slow");
        Assert.Equal(1, Flush());
        Assert.Equal(3, _rows.Count);

        _time.Advance(TimeSpan.FromSeconds(2));
        Assert.Equal(1, Flush());
        Assert.Equal(["slow", "slow"], _rows.Keys.Select(static k => k.Limit.Name));
        _time.Advance(TimeSpan.FromSeconds(200));
        Assert.Equal(2, Flush());
        Assert.Empty(_rows);
        Assert.Equal(0, Flush());
    }

    [Fact]
    public void Collected_that_was_not_saved_is_collected_again()
    {
        Start(("slow", Slow));
        Take("a", "slow");
        var changes = new List<BucketChange>();
        Assert.False(_kept.Collect(changes, 100));
        Assert.Single(changes);

        changes.Clear();
        Assert.False(_kept.Collect(changes, 100));
        Assert.Single(changes);
        _kept.Commit([.. changes]);
        Assert.Equal(0, Flush());
    }

    [Fact]
    public void Restore_under_another_capacity_keeps_tokens_and_under_no_limit_nothing()
    {
        Start(("kept", Slow), ("gone", Slow), ("same", Slow));
        foreach (string limit in new[] { "kept", "gone", "same" })
        {
            for (int i = 0; i < 60; i++)
            {
                Take("a", limit);
            }
        }
        Flush();

        Start(("kept", new(1000, 0.02)), ("same", Slow), ("new", Slow));

        Assert.Equal(40, Tokens("a", "kept"), 0.01);
        Assert.Equal(40, Tokens("a", "same"), 0.01);
        Assert.Equal(100, Tokens("a", "new"), 0.01);
        Assert.Equal(1, Flush()); // under its new settings
        Start(("kept", new(20, 0.02)));
        Assert.Equal(20, Tokens("a", "kept"), 0.01);
    }

    [Fact]
    public void Restore_after_the_clock_was_set_back_takes_no_tokens()
    {
        Start(("slow", new(100, 1)));
        for (int i = 0; i < 60; i++)
        {
            Take("a", "slow");
        }
        Flush();
        long savedAt = WallNs();
        _time.Advance(TimeSpan.FromDays(-1));

        Start(savedAt, ("slow", new(100, 1)));

        Assert.Equal(40, Tokens("a", "slow"), 0.01);
    }

    [Fact]
    public void Limit_that_changes_while_it_runs_takes_its_rows_along()
    {
        Start(("x", Slow));
        for (int i = 0; i < 60; i++)
        {
            Take("a", "x");
        }
        Flush();
        _limiter.Limits.TryApply(new Dictionary<string, LimitConfig> { ["x"] = new(50, 0.01) });
        Take("a", "x");
        Flush();

        Assert.Equal(50, Assert.Single(_rows).Key.Limit.Capacity);
        Start(("x", new(50, 0.01)));
        Assert.Equal(39, Tokens("a", "x"), 0.01);
    }

    [Fact]
    public void Buckets_that_give_way_are_forgotten_so_that_rows_are_no_more_than_entries()
    {
        Start(("slow", Slow));
        for (int round = 0; round < 4; round++)
        {
            for (int i = 0; i < 40_000; i++)
            {
                Take($"{round}-{i}", "slow");
            }
            Flush();
        }
        Assert.InRange(_rows.Count, 32_000, 32_768);
        int before = _rows.Count;

        // Rows of a larger table, as after max_tracked was lowered.
        KeptLimit limit = _rows.Keys.First().Limit;
        for (ulong i = 1; i < 30_000; i++)
        {
            _rows[(limit, (i << 34) | (i % 4096))] = WallNs() + 1_000_000_000_000;
        }
        Assert.True(_rows.Count > before + 20_000);
        Start(("slow", Slow));
        Flush();
        Assert.InRange(_rows.Count, 30_000, 32_768);
    }

    [Fact]
    public async Task Collect_while_threads_take_misses_nothing_in_the_end()
    {
        Start(("slow", new(1000, 0.01)));
        using var stop = new CancellationTokenSource();
        Task[] threads = [.. Enumerable.Range(0, 3).Select(t => Task.Run(() =>
        {
            var random = new Random(t);
            while (!stop.IsCancellationRequested)
            {
                Take($"k{random.Next(3000)}", "slow");
            }
        }))];
        for (int i = 0; i < 50; i++)
        {
            Flush();
        }
        await stop.CancelAsync();
        await Task.WhenAll(threads);
        Flush();
        double[] before = [.. Enumerable.Range(0, 3000).Select(i => Tokens($"k{i}", "slow"))];

        Start(("slow", new(1000, 0.01)));

        Assert.Equal(before, Enumerable.Range(0, 3000).Select(i => Tokens($"k{i}", "slow")));
    }

    private void Start(params (string Name, LimitConfig Config)[] limits) => Start(0, limits);

    private void Start(long savedAtUnixNs, params (string Name, LimitConfig Config)[] limits)
    {
        _clock = new MonotonicClock(_time);
        ProxyConfig config = TestProxy.Config(1) with
        {
            Limits = limits.ToDictionary(static l => l.Name, static l => l.Config),
            Clients = new ClientsConfig { SaveUnregistered = true, MaxTracked = 1 },
        };
        _limiter = new Limiter(config, _clock);
        _kept = _limiter.KeepBuckets(HashKey, savedAtUnixNs);
        foreach (((KeptLimit limit, ulong hash), long fullAt) in _rows.ToList())
        {
            _kept.Restore(limit, hash, fullAt);
        }
    }

    /// <summary>Saves what changed, a few at a time.</summary>
    /// <returns>The number of changes.</returns>
    private int Flush()
    {
        int all = 0;
        var changes = new List<BucketChange>();
        for (bool more = true; more;)
        {
            changes.Clear();
            more = _kept.Collect(changes, 100);
            changes.Sort(BucketChange.ByKey);
            foreach (BucketChange change in changes)
            {
                (KeptLimit, ulong) key = (_kept.LimitAt(change.Limit), change.Hash);
                if (change.FullAtUnixNs == 0)
                {
                    _rows.Remove(key);
                }
                else
                {
                    _rows[key] = change.FullAtUnixNs;
                }
            }
            _kept.Commit([.. changes]);
            all += changes.Count;
        }
        return all;
    }

    private bool Take(string id, string name)
    {
        Limit limit = _limiter.Limits.Find(name)!;
        return _limiter.Limits.Table.TryTake(
            _limiter.HashOf(Encoding.UTF8.GetBytes(id), 1), ref limit, _clock.NowNs, 1, out _);
    }

    private double Tokens(string id, string name)
    {
        long now = _clock.NowNs;
        Limit limit = _limiter.Limits.Find(name)!;
        ulong hash = _limiter.HashOf(Encoding.UTF8.GetBytes(id), 1);
        return limit.Tokens(_limiter.Limits.Table.Peek(hash, ref limit, now), limit.Clock(now));
    }

    private long WallNs() => (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).Ticks * 100;
}
