using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.EventLoop;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Exchanges;

public sealed class AttemptTests
{
    [Fact]
    public void Backend_counts_a_try_in_once_and_out_once()
    {
        var clock = new MonotonicClock(new ManualTime());
        var upstream = new Upstream(new UpstreamConfig
        {
            Name = "u",
            Backends = [new BackendConfig { Host = "127.0.0.1", Port = 1 }, new() { Host = "127.0.0.1", Port = 2 }],
        }, clock);
        using var loop = new Loop(0, clock, static bug => Assert.Fail(bug.ToString()));
        var attempt = new Attempt(HeadBounds.Default);
        attempt.End(upstream, loop, keepMs: 0); // nothing was begun

        foreach (Backend backend in upstream.Backends)
        {
            Assert.True(backend.TryEnter());
            attempt.Begin(backend);
            attempt.IsSent = true;
            attempt.Interims = 1;
            Assert.True(attempt.HasBegunToRespond);
            Assert.Equal(1, backend.InFlight);

            attempt.End(upstream, loop, keepMs: 1000);
            attempt.End(upstream, loop, keepMs: 1000);
            Assert.Equal(0, backend.InFlight);
            Assert.Same(backend, attempt.Backend); // the log names it
        }

        attempt.Reset();
        Assert.Null(attempt.Backend);
        Assert.False(attempt.IsSent);
        Assert.False(attempt.HasBegunToRespond);
    }
}
