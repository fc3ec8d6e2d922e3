using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Upstreams;

public sealed class SlotQueueTests
{
    private static readonly Backend Place = new("web", new BackendConfig { Host = "127.0.0.1", Port = 1 });

    private readonly List<string> _served = [];
    private int _places;

    [Fact]
    public void Places_go_round_between_clients_and_to_each_ones_oldest_request()
    {
        SlotQueue queue = Queue();
        foreach (string name in new[] { "a1", "a2", "a3", "a4", "b1", "c1", "c2" })
        {
            Assert.True(queue.TryEnter(new Waiter(this, name), 100));
        }
        Assert.Equal(7, queue.Count);
        Give(queue, 7);
        Assert.Equal(["a1", "b1", "c1", "a2", "c2", "a3", "a4"], _served);
        Assert.Equal(0, queue.Count);
    }

    [Fact]
    public void Full_queue_takes_from_who_has_most_but_not_from_equals()
    {
        SlotQueue queue = Queue();
        for (int i = 1; i <= 5; i++)
        {
            Assert.True(queue.TryEnter(new Waiter(this, $"a{i}"), 5));
        }
        Assert.False(queue.TryEnter(new Waiter(this, "a6"), 5));
        Assert.True(queue.TryEnter(new Waiter(this, "b1"), 5));
        Assert.True(queue.TryEnter(new Waiter(this, "b2"), 5));
        Assert.False(queue.TryEnter(new Waiter(this, "b3"), 5)); // a has three, b would have three
        Assert.Equal(["a5 gives way", "a4 gives way"], _served);
        Assert.Equal(5, queue.Count);
    }

    [Fact]
    public void Waiter_that_leaves_is_not_served_and_one_that_was_served_cannot_leave()
    {
        SlotQueue queue = Queue();
        var first = new Waiter(this, "a1");
        var second = new Waiter(this, "a2");
        queue.TryEnter(first, 10);
        queue.TryEnter(second, 10);
        Assert.True(queue.Leave(first));
        Assert.False(queue.Leave(first));
        Give(queue, 2);
        Assert.False(queue.Leave(second));
        Assert.Equal(["a2"], _served);
    }

    [Fact]
    public void Place_that_became_free_just_before_is_not_missed()
    {
        SlotQueue queue = Queue();
        _places = 1;
        Assert.True(queue.TryEnter(new Waiter(this, "a1"), 10));
        Assert.Equal(["a1"], _served);
    }

    [Fact]
    public void Many_threads_lose_no_waiter_and_no_place()
    {
        int granted = 0;
        int free = 4;
        var queue = new SlotQueue(_ =>
        {
            int before = Volatile.Read(ref free);
            while (before > 0)
            {
                int seen = Interlocked.CompareExchange(ref free, before - 1, before);
                if (seen == before)
                {
                    return Place;
                }
                before = seen;
            }
            return null;
        });
        Parallel.For(0, 8, thread =>
        {
            for (int i = 0; i < 2000; i++)
            {
                using var done = new ManualResetEventSlim();
                var waiter = new CountingWaiter(() =>
                {
                    Interlocked.Increment(ref granted);
                    done.Set();
                }) { Client = (ulong)thread };
                Assert.True(queue.TryEnter(waiter, 1000));
                Assert.True(done.Wait(TimeSpan.FromSeconds(30)), "a waiter was forgotten");
                Interlocked.Increment(ref free);
                queue.Serve();
            }
        });
        Assert.Equal(16_000, granted);
        Assert.Equal(4, free);
        Assert.Equal(0, queue.Count);
    }

    private SlotQueue Queue() => new(_ => _places-- > 0 ? Place : null);

    private void Give(SlotQueue queue, int places)
    {
        _places = places;
        queue.Serve();
    }

    private sealed class Waiter : SlotWaiter
    {
        private readonly SlotQueueTests _test;
        private readonly string _name;

        public Waiter(SlotQueueTests test, string name)
        {
            (_test, _name) = (test, name);
            Client = name[0];
        }

        public override void Grant(Backend? backend) =>
            _test._served.Add(backend is null ? $"{_name} gives way" : _name);
    }

    private sealed class CountingWaiter(Action granted) : SlotWaiter
    {
        public override void Grant(Backend? backend) => granted();
    }
}
