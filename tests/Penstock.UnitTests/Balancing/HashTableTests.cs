using Penstock.Proxy;
using Penstock.Proxy.Balancing;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Balancing;

public sealed class HashTableTests
{
    private const int Keys = 20_000;
    private readonly PickRandom _random = new(1);

    [Fact]
    public void Key_goes_to_the_same_backend_whatever_the_order_in_the_file()
    {
        Upstream some = Make(10);
        Upstream turned = Make(10, reverse: true);
        Assert.Equal(Map(some).Select(static b => b.Address), Map(turned).Select(static b => b.Address));
    }

    [Theory]
    [InlineData(3)]
    [InlineData(10)]
    [InlineData(50)]
    public void Backend_that_goes_down_moves_its_own_keys_only_and_they_spread_and_return(int count)
    {
        Upstream upstream = Make(count);
        Backend[] before = Map(upstream);
        Backend down = upstream.Backends[count / 2];
        down.Health = new HealthState(BackendHealth.Down, "test", null);
        Backend[] meanwhile = Map(upstream);

        Dictionary<Backend, int> heirs = [];
        for (int i = 0; i < Keys; i++)
        {
            if (before[i] != down)
            {
                Assert.Same(before[i], meanwhile[i]);
            }
            else
            {
                heirs[meanwhile[i]] = heirs.GetValueOrDefault(meanwhile[i]) + 1;
            }
        }
        int moved = heirs.Values.Sum();
        Assert.InRange(moved, Keys / count * 0.8, Keys / count * 1.2);
        Assert.DoesNotContain(down, heirs.Keys);
        Assert.All(heirs.Values, n => Assert.InRange(n, 0, Math.Max(30, moved / (count - 1.0) * 2)));

        down.Health = new HealthState(BackendHealth.Up, null, null);
        Assert.Equal(before, Map(upstream));
    }

    [Fact]
    public void Backend_that_is_removed_or_added_moves_little_more_than_its_share()
    {
        Backend[] ten = Map(Make(10));
        Backend[] nine = Map(Make(9));
        int moved = 0;
        int must = 0;
        for (int i = 0; i < Keys; i++)
        {
            moved += string.Equals(ten[i].Address, nine[i].Address, StringComparison.Ordinal) ? 0 : 1;
            must += string.Equals(ten[i].Address, "127.0.0.1:10", StringComparison.Ordinal) ? 1 : 0;
        }
        Assert.InRange(must / (double)Keys, 0.09, 0.11);
        Assert.InRange(moved / (double)Keys, 0.09, 0.17); // a Maglev table moves some more than it must
    }

    [Fact]
    public void Bound_holds_for_every_backend_even_when_all_requests_have_one_key()
    {
        foreach (bool oneKey in new[] { true, false })
        {
            Upstream upstream = Make(5, bound: 1.25, weights: [1, 1, 2, 1, 5]);
            for (int i = 1; i <= 1000; i++)
            {
                Assert.NotNull(upstream.Pick(Request(oneKey ? 7 : StableHash.Mix((ulong)i))));
                foreach (Backend backend in upstream.Backends)
                {
                    Assert.InRange(backend.InFlight, 0, Math.Ceiling(1.25 * i * backend.FullWeight / 10));
                }
            }
        }
    }

    [Fact]
    public void Slow_start_brings_a_growing_share_of_the_keys_home()
    {
        Upstream upstream = Make(4);
        Backend[] before = Map(upstream);
        Backend back = upstream.Backends[1];
        back.SlowStart = TimeSpan.FromSeconds(10);
        back.Health = new HealthState(BackendHealth.Down, "test", null);
        back.Health = new HealthState(BackendHealth.Up, null, null);
        back.Advance(0);
        int last = 0;
        for (int second = 2; second <= 10; second += 4)
        {
            back.Advance(second * 1_000_000_000L);
            int home = Map(upstream).Count(b => b == back);
            Assert.True(home > last, $"{home} keys after {second} s, {last} before");
            last = home;
        }
        Assert.Equal(before, Map(upstream));
    }

    [Fact]
    public void Fallback_finds_the_only_backend_of_a_hundred_that_is_up()
    {
        Upstream upstream = Make(100);
        foreach (Backend backend in upstream.Backends.Skip(1))
        {
            backend.Health = new HealthState(BackendHealth.Down, "test", null);
        }
        Assert.All(Map(upstream), b => Assert.Same(upstream.Backends[0], b));
    }

    private static Upstream Make(int count, bool reverse = false, double bound = 0, int[]? weights = null)
    {
        IEnumerable<BackendConfig> backends = Enumerable.Range(1, count).Select(i => new BackendConfig
        {
            Host = "127.0.0.1",
            Port = i,
            Weight = weights?[i - 1] ?? 1,
        });
        return new Upstream(new UpstreamConfig
        {
            Name = "web",
            Balance = BalanceAlgorithm.Hash,
            Hash = new HashConfig { Bound = bound },
            Backends = [.. reverse ? backends.Reverse() : backends],
        }, new MonotonicClock(TimeProvider.System));
    }

    private Backend[] Map(Upstream upstream) =>
        [.. Enumerable.Range(0, Keys).Select(i => upstream.Peek(Request(StableHash.Mix((ulong)i)))!)];

    private PickRequest Request(ulong key) => new() { Tried = [], Random = _random, AffinityHash = key };
}
