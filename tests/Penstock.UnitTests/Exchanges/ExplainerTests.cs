using System.Net;
using Penstock.Proxy;
using Penstock.Proxy.Balancing;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Exchanges;

public sealed class ExplainerTests
{
    [Theory]
    [InlineData("GET", "/a b", "The request line is not METHOD SP TARGET SP HTTP/1.1 CRLF (bad_request_line)")]
    [InlineData("G(T", "/", "The method is not a token (bad_method)")]
    public void Request_that_is_not_valid_is_explained_in_words(string method, string path, string fault)
    {
        var config = new ProxyConfig { Listeners = [], Upstreams = [], Routes = [] };
        var clock = new MonotonicClock(new ManualTime());
        var snapshot = new Snapshot(config, new Limiter(config, clock), [],
            new Dictionary<string, ListenerSettings>(), new());

        Explanation explained = Explainer.Explain(new(snapshot, new PickRandom(1), clock.NowNs),
            new(method, "a", path, [], IPAddress.Loopback));

        Assert.Equal(("bad_request", "rejected by the parser: " + fault), (explained.Verdict, explained.Detail));
    }
}
