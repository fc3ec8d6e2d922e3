using Penstock.Proxy.Connections;
using Xunit;

namespace Penstock.UnitTests.EventLoop;

public sealed class WaitSourceTests
{
    [Fact]
    public async Task Complete_resumes_the_waiter_at_once_and_only_once()
    {
        var source = new WaitSource();
        List<WaitResult> seen = [];
        Task waiter = WaitTwiceAsync();
        Assert.Empty(seen);

        Assert.True(source.Complete(WaitResult.TimedOut));
        Assert.Equal([WaitResult.TimedOut], seen);
        Assert.True(source.Complete(WaitResult.Ready));
        Assert.Equal([WaitResult.TimedOut, WaitResult.Ready], seen);
        Assert.False(source.Complete(WaitResult.Ready));
        await waiter;

        async Task WaitTwiceAsync()
        {
            seen.Add(await source.Wait().ConfigureAwait(false));
            seen.Add(await source.Wait().ConfigureAwait(false));
        }
    }

    [Fact]
    public void Complete_without_a_wait_returns_false() =>
        Assert.False(new WaitSource().Complete(WaitResult.Ready));
}
