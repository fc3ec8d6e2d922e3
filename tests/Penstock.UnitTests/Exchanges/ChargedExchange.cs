using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.RateLimiting;

namespace Penstock.UnitTests.Exchanges;

/// <summary>Makes exchanges that the limiter has charged.</summary>
internal static class ChargedExchange
{
    /// <summary>Sends this many requests of one client at one moment; the exchange is that of the last.</summary>
    public static void Charge(this Exchange exchange, string limit, LimitConfig config, int requests)
    {
        var limiter = new Limiter(new ProxyConfig
        {
            Listeners = [],
            Upstreams = [],
            Routes = [],
            Limits = new Dictionary<string, LimitConfig> { [limit] = config },
        }, new MonotonicClock(new ManualTime()));
        var rules = new LimitRules([limiter.Limits.RuleOf(limit, config)], 1);
        for (int i = 0; i < requests; i++)
        {
            exchange.Admission.Reset();
            exchange.Admission.TryAdmit(limiter, rules, new AdmissionRequest { Client = "a"u8 }, 1_000_000_000);
        }
    }
}
