using System.Text;
using Penstock.Control.Takeover;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.RateLimiting;

/// <summary>Buckets that change from process to process decide as if they had stayed in one.</summary>
public sealed class TakeoverTests
{
    private static readonly Dictionary<string, LimitConfig> Limits = new()
    {
        ["client"] = new LimitConfig(7, 2.3),
        ["address"] = new LimitConfig(20, 5.1) { By = LimitKey.Address },
        ["all"] = new LimitConfig(60, 40.7) { By = LimitKey.All },
        ["failures"] = new LimitConfig(9, 1.7) { CountsStatuses = [500] },
    };

    private readonly ManualTime _time = new();

    [Theory]
    [InlineData(1_000_000)]
    [InlineData(10)] // a table in which the hash of a key is not complete
    public void Admission_in_processes_that_take_over_from_each_other_is_that_of_one(int maxTracked)
    {
        const int Steps = 20_000;
        var one = new Node(_time, maxTracked);
        var old = new Node(_time, maxTracked);
        Node current = old;
        var random = new Random(46);
        int rejected = 0;
        for (int step = 0; step < Steps; step++)
        {
            _time.Advance(TimeSpan.FromTicks(random.Next(2_000_000)));
            if (step % (Steps / 10) == 0)
            {
                old = current;
                current = old.HandOver(_time, maxTracked);
            }
            string[] limits = [.. Limits.Keys.Where(_ => random.Next(3) > 0)];
            (string client, string address) = ($"c{random.Next(3)}", $"a{random.Next(3)}");
            (int cost, int status) = (random.Next(1, 4), random.Next(4) == 0 ? 500 : 200);
            bool expected = one.Admits(limits, client, address, cost, status);
            // Connections of the old process still send requests.
            bool admitted = (random.Next(4) == 0 ? old : current).Admits(limits, client, address, cost, status);
            Assert.True(expected == admitted, $"step {step}: {client} {address} {string.Join(' ', limits)}");
            rejected += expected ? 0 : 1;
        }
        Assert.InRange(rejected, Steps / 10, Steps * 9 / 10);
    }

    [Fact]
    public void Bucket_that_does_not_exist_any_more_admits()
    {
        var node = new Node(_time, 10);
        foreach (BucketName name in (BucketName[])[new("gone", null), new("gone", "client"), new(null, "gone", 5)])
        {
            Assert.True(node.Limiter.Act(BucketAction.Take, name, 1, out _));
            node.Limiter.Assign(new(name, 3), TimeSpan.Zero);
        }
    }

    [Fact]
    public void Successor_that_does_not_answer_leaves_the_decisions_to_the_old_process()
    {
        var old = new Node(_time, 10);
        Assert.Equal(2, Enumerable.Range(0, 2).Count(_ => old.Admits(["client"], "c1", "a0", 1, 200)));
        old.Limiter.Successor = new Silent();
        Assert.Equal(5, Enumerable.Range(0, 20).Count(_ => old.Admits(["client"], "c1", "a0", 1, 200)));
    }

    [Fact]
    public void Tokens_and_buckets_are_read_as_they_were_written()
    {
        BucketTokens[] tokens =
        [
            new(new("id", null), 1.25), new(new("", "ä"), -3), new(new(null, "all"), 0),
        ];
        (IReadOnlyList<BucketTokens> read, TimeSpan age) = TakeoverText.ReadTokens(TakeoverText.Write(tokens));
        Assert.Equal(tokens, read);
        Assert.True(age >= TimeSpan.Zero);

        var limit = new KeptLimit("slow", 5, 0.25);
        (KeptLimit readLimit, IReadOnlyList<(ulong, long)> buckets) = TakeoverText.ReadBuckets(
            TakeoverText.Write(limit, [new(ulong.MaxValue, 3, 99), new(1, 3, 0)]));
        Assert.Equal(limit, readLimit);
        Assert.Equal([(ulong.MaxValue, 99L), (1UL, 0L)], buckets);
    }

    private sealed class Silent : Successor
    {
        public override bool TryAsk(
            BucketAction action, in BucketName bucket, int cost, out bool enough, out double tokens)
        {
            (enough, tokens) = (false, 0);
            return false;
        }
    }

    private sealed class Direct(Limiter other) : Successor
    {
        public override bool TryAsk(
            BucketAction action, in BucketName bucket, int cost, out bool enough, out double tokens)
        {
            enough = other.Act(action, bucket, cost, out tokens);
            return true;
        }
    }

    private sealed class Node
    {
        private readonly MonotonicClock _clock;
        private readonly Admission _admission = new();
        private readonly Dictionary<string, LimitRule> _rules;

        public Node(TimeProvider time, int maxTracked)
        {
            _clock = new MonotonicClock(time);
            Limiter = new Limiter(new ProxyConfig
            {
                Listeners = [], Upstreams = [], Routes = [], Limits = Limits,
                Clients = new ClientsConfig { MaxTracked = maxTracked },
            }, _clock);
            Limiter.Clients.Register("c0", new LimitConfig(11, 3.3));
            _rules = Limits.ToDictionary(static l => l.Key, l => Limiter.Limits.RuleOf(l.Key, l.Value));
        }

        public Limiter Limiter { get; }

        /// <summary>Sends what changes first, time passes, and then the rest.</summary>
        public Node HandOver(ManualTime time, int maxTracked)
        {
            var next = new Node(time, maxTracked);
            next.Limiter.UseHashKey(Limiter.HashKey);
            KeptBuckets mine = Limiter.BucketsForSuccessor();
            KeptBuckets theirs = next.Limiter.BucketsForSuccessor();
            Send();
            List<ClientState> registered = [];
            Limiter.Clients.CollectChanged(registered);
            List<BucketTokens> others =
                [.. registered.Select(static c => new BucketTokens(new(c.ClientId, null), c.Tokens))];
            Limiter.CollectUnsaved(others);
            time.Advance(TimeSpan.FromMilliseconds(3));
            Send();
            others.ForEach(bucket => next.Limiter.Assign(bucket, TimeSpan.FromMilliseconds(3)));
            Limiter.Successor = new Direct(next.Limiter);
            return next;

            void Send()
            {
                List<BucketChange> changes = [];
                mine.Collect(changes, int.MaxValue);
                changes.ForEach(c => theirs.Restore(mine.LimitAt(c.Limit), c.Hash, c.FullAtUnixNs, isSaved: false));
                mine.Commit(changes.ToArray());
            }
        }

        public bool Admits(string[] limits, string client, string address, int cost, int status)
        {
            Limiter.Clients.TryFind(Encoding.UTF8.GetBytes(client), out RegisteredClient? registered);
            _admission.Reset();
            bool admitted = _admission.TryAdmit(Limiter,
                new LimitRules(limits.Select(name => _rules[name]), cost), new AdmissionRequest
                {
                    Registered = registered,
                    Client = Encoding.UTF8.GetBytes(client),
                    Address = Encoding.UTF8.GetBytes(address),
                }, _clock.NowNs);
            if (admitted)
            {
                _admission.CountStatus(status, _clock.NowNs);
            }
            _admission.Leave();
            return admitted;
        }
    }
}
