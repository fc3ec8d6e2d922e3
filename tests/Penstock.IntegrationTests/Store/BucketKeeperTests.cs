using System.Diagnostics;
using System.Globalization;
using System.Text;
using Microsoft.Extensions.Logging;
using Penstock.Control.Store;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Store;

/// <summary>Buckets of clients that are not registered, in SQLite. <c>PENSTOCK_KEPT_BUCKETS</c> makes more of them, for
/// the figures in docs/store.md.</summary>
public sealed class BucketKeeperTests(ITestOutputHelper output) : IDisposable
{
    private static readonly int Count = int.Parse(
        Environment.GetEnvironmentVariable("PENSTOCK_KEPT_BUCKETS") ?? "50000", CultureInfo.InvariantCulture);

    private readonly StoreFile _file = new();
    private readonly RecordedLog _log = new();

    public void Dispose() => _file.Dispose();

    [Fact]
    public void Many_buckets_are_saved_and_loaded_and_a_tenth_of_them_again()
    {
        int changed = Count / 10;
        (IClientStore? store, Limiter? limiter, BucketKeeper? keeper) = Open();
        using (store)
        {
            Take(limiter, 0, Count, 1);
            Timed($"{Count} saved", () => keeper!.Flush(atOnce: true));
            Timed("none changed", () => keeper!.Flush(atOnce: true));
            for (int round = 0; round < 3; round++)
            {
                Take(limiter, round * changed, changed, 1);
                Timed($"{changed} changed", () => keeper!.Flush(atOnce: true));
            }
            output.WriteLine($"{new FileInfo(_file.Path).Length / 1_000_000} MB, its log "
                + $"{new FileInfo(_file.Path + "-wal").Length / 1_000_000} MB");
        }
        long displaced = limiter.Displaced; // one in a hundred finds its set full
        Assert.InRange(displaced, 0, Count / 50);
        Assert.InRange(_file.Scalar<long>("SELECT count(*) FROM buckets"), Count - displaced, Count);

        (store, limiter, _) = Open();
        using (store)
        {
            output.WriteLine(_log.Lines.Last(static l => l.Contains("restored", StringComparison.Ordinal)));
            Assert.InRange(Enumerable.Range(0, Count).Count(i => Tokens(limiter, i) < 99.9), Count - displaced, Count);
            Assert.InRange(Tokens(limiter, changed), 97.9, 99.1);
        }
    }

    [Fact]
    public void Failing_store_is_left_alone_and_all_is_saved_when_it_works_again()
    {
        (IClientStore? store, Limiter? limiter, BucketKeeper? keeper) = Open();
        using (store)
        {
            _file.Execute("ALTER TABLE buckets RENAME TO away2");
            Take(limiter, 0, 100, 1);
            keeper!.Flush(atOnce: true);
            Assert.Equal(1, _log.Count("store_failing"));
            keeper.Flush(atOnce: true);
            Assert.Equal(1, _log.Count("store_failing"));

            _file.Execute("ALTER TABLE away2 RENAME TO buckets");
            _directory!.Probe();
            keeper.Flush(atOnce: true);
            Assert.Equal(100L, _file.Scalar<long>("SELECT count(*) FROM buckets"));
        }
    }

    [Fact]
    public void Dropped_limit_and_buckets_of_a_start_without_the_setting_leave_no_rows()
    {
        (IClientStore? store, Limiter? limiter, BucketKeeper? keeper) = Open("old");
        using (store)
        {
            Take(limiter, 0, 100, 1);
            keeper!.Flush(atOnce: true);
        }
        Assert.Equal(100L, _file.Scalar<long>("SELECT count(*) FROM buckets"));

        (store, _, keeper) = Open("other");
        using (store)
        {
            keeper!.Flush(atOnce: true);
        }

        Assert.Equal(0L, _file.Scalar<long>("SELECT count(*) FROM buckets"));
        Assert.Equal(0L, _file.Scalar<long>("SELECT count(*) FROM bucket_limits"));

        (store, limiter, keeper) = Open("old");
        using (store)
        {
            Take(limiter, 0, 100, 1);
            keeper!.Flush(atOnce: true);
        }
        (store, _, keeper) = Open("old", wanted: false);
        store.Dispose();
        Assert.Null(keeper);
        Assert.Equal(0L, _file.Scalar<long>("SELECT count(*) FROM buckets"));
    }

    private ClientDirectory? _directory;

    private (IClientStore Store, Limiter Limiter, BucketKeeper? Keeper) Open(string limit = "x", bool wanted = true)
    {
        ProxyConfig config = Admin.AdminFixture.ProxyConfig with
        {
            Limits = new Dictionary<string, LimitConfig> { [limit] = new(100, 0.001) },
            Clients = new() { SaveUnregistered = wanted, MaxTracked = Math.Max(1, Count) },
        };
        Limiter limiter = new ProxyServer(config, new LogLines()).Limiter;
        IClientStore store = ClientStores.Open(_file.Setting, TimeProvider.System);
        _directory = new(store, limiter, _log.Factory.CreateLogger<ClientDirectory>());
        return (store, limiter, BucketKeeper.Load(wanted, store, _directory, limiter, _log.Factory.CreateLogger("x")));
    }

    private static void Take(Limiter limiter, int first, int count, int times)
    {
        for (int i = 0; i < count * times; i++)
        {
            Limit limit = OnlyLimit(limiter);
            ulong hash = Hash(limiter, first + (i % count));
            Assert.True(limiter.Limits.Table.TryTake(hash, ref limit, 1_000_000_000, 1, out _));
        }
    }

    private static double Tokens(Limiter limiter, int i)
    {
        Limit limit = OnlyLimit(limiter);
        long state = limiter.Limits.Table.Peek(Hash(limiter, i), ref limit, 1_000_000_000);
        return limit.Tokens(state, limit.Clock(1_000_000_000));
    }

    private static Limit OnlyLimit(Limiter limiter) => limiter.Limits.Table.Limits[0];

    private static ulong Hash(Limiter limiter, int i) =>
        limiter.HashOf(Encoding.UTF8.GetBytes(i.ToString(CultureInfo.InvariantCulture)), 1);

    private void Timed(string what, Action action)
    {
        var watch = Stopwatch.StartNew();
        long before = Environment.WorkingSet;
        action();
        output.WriteLine($"{what}: {watch.ElapsedMilliseconds} ms, "
            + $"{(Environment.WorkingSet - before) / (1 << 20)} MiB more");
    }
}
