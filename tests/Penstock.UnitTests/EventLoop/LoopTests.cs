using Penstock.Proxy;
using Penstock.Proxy.EventLoop;
using Xunit;

namespace Penstock.UnitTests.EventLoop;

public sealed class LoopTests
{
    [Fact]
    public void Post_after_the_end_says_no_and_touches_no_descriptor()
    {
        using Loop loop = New();
        loop.Start();
        loop.Stop();
        Assert.False(loop.Post(static () => { }));
        loop.Dispose();
        Assert.False(loop.Post(static () => { }));
    }

    [Fact]
    public void Wake_of_a_closed_poller_throws_instead_of_writing_to_whatever_has_its_number()
    {
        var epoll = new Epoll();
        epoll.Wake();
        epoll.Dispose();
        Assert.Throws<ObjectDisposedException>(epoll.Wake);
        Assert.Throws<ObjectDisposedException>(() => epoll.Wait(0));
        epoll.Dispose();
    }

    [Fact]
    public void What_was_posted_before_the_end_is_run()
    {
        for (int round = 0; round < 20; round++)
        {
            using Loop loop = New();
            loop.Start();
            int run = 0;
            int accepted = 0;
            using var begun = new ManualResetEventSlim();
            var posting = new Thread(() =>
            {
                while (loop.Post(() => run++))
                {
                    accepted++;
                    begun.Set();
                }
            });
            posting.Start();
            begun.Wait(TestContext.Current.CancellationToken);
            loop.Stop();
            posting.Join();
            Assert.Equal(accepted, run);
        }
    }

    [Fact]
    public void Scratch_grows_to_what_is_asked_for()
    {
        using Loop loop = New();
        byte[] usual = loop.Scratch;
        loop.EnsureScratch(usual.Length);
        Assert.Same(usual, loop.Scratch);
        loop.EnsureScratch(usual.Length + 1);
        Assert.True(loop.Scratch.Length > usual.Length);
    }

    private static Loop New() => new(0, new MonotonicClock(TimeProvider.System), static bug => Assert.Fail($"{bug}"));
}
