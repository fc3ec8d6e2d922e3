using System.Text;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;
using Xunit;

namespace Penstock.UnitTests.RateLimiting;

/// <summary>Several limits over one request: all admit it, or none is charged.</summary>
public sealed class AdmissionTests
{
    private const long Second = 1_000_000_000;

    private readonly ManualTime _time = new();
    private readonly Admission _admission = new();
    private readonly Dictionary<string, LimitConfig> _limits = [];
    private Limiter? _limiter;

    private Limiter Limiter => _limiter ??= new Limiter(
        new ProxyConfig { Listeners = [], Upstreams = [], Routes = [], Limits = _limits }, new MonotonicClock(_time));

    [Theory]
    [InlineData(LimitKey.Client)]
    [InlineData(LimitKey.Address)]
    [InlineData(LimitKey.All)]
    public void TryAdmit_of_several_rejected_by_one_charges_none(LimitKey tightIsBy)
    {
        _limits["wide"] = new LimitConfig(10, 0.001);
        _limits["tight"] = new LimitConfig(3, 0.001) { By = tightIsBy };
        Assert.Equal(3, Admitted(20, "wide", "tight"));
        Assert.True(_admission.TryGetDecisive(out AppliedLimit rejection));
        Assert.Equal("tight", Name(rejection));
        Assert.Equal(7, Tokens("wide"));
        Assert.Equal(0, Tokens("tight"));
        Assert.Equal(7, Admitted(20, "wide"));
    }

    [Fact]
    public void TryAdmit_against_a_model_of_every_bucket_agrees()
    {
        _limits["a"] = new LimitConfig(7, 2);
        _limits["b"] = new LimitConfig(20, 5) { By = LimitKey.Address };
        _limits["c"] = new LimitConfig(50, 11) { By = LimitKey.All };
        string[] names = ["a", "b", "c"];
        string[] clients = ["x", "y", "z"];
        var model = new Dictionary<string, double>();
        var random = new Random(11);
        long now = 0;
        long before = 0;
        for (int step = 0; step < 100_000; step++)
        {
            now += random.Next(5) == 0 ? random.Next(8) * (Second / 8) : 0; // whole eighths: doubles are exact
            foreach (string key in model.Keys)
            {
                LimitConfig config = _limits[key[..1]];
                double seconds = (now - before) / (double)Second;
                model[key] = Math.Min(config.Capacity, model[key] + (seconds * config.RatePerSecond));
            }
            before = now;
            string[] asked = [.. names.Where(_ => random.Next(3) > 0)];
            int cost = random.Next(1, 4);
            string client = clients[random.Next(3)];
            string address = clients[random.Next(3)];
            string[] keys = [.. asked.Select(n => n == "a" ? n + client : n == "b" ? n + address : n)];
            foreach (string key in keys)
            {
                model.TryAdd(key, _limits[key[..1]].Capacity);
            }
            bool expected = keys.All(k => model[k] >= cost);
            Assert.Equal(expected, Admit(asked, client, address, cost, now));
            foreach (string key in keys.Where(_ => expected))
            {
                model[key] -= cost;
            }
        }
    }

    [Fact]
    public void TryAdmit_of_a_registered_client_takes_its_own_bucket_for_the_first_and_the_others_besides()
    {
        _limits["default"] = new LimitConfig(1, 0.001);
        _limits["search"] = new LimitConfig(5, 0.001);
        Limiter.Clients.Register("x", new LimitConfig(100, 0.001));
        Assert.Equal(5, Admitted(20, "default", "search"));
        Assert.True(Limiter.Clients.TryGet("x", out ClientState client));
        Assert.Equal(95, client.Tokens, 3);
        Assert.Equal(95, Admitted(200, "default"));
        Assert.Equal(1, Admitted(20, ["default"], registered: false));
    }

    [Fact]
    public void TryAdmit_without_any_rule_still_holds_a_registered_client_to_its_own_limit()
    {
        Limiter.Clients.Register("x", new LimitConfig(4, 0.001));
        Assert.Equal(4, Admitted(9));
        Assert.Equal(9, Admitted(9, [], registered: false));
    }

    [Fact]
    public void TryAdmit_costs_what_the_route_says_and_never_admits_what_no_bucket_holds()
    {
        _limits["a"] = new LimitConfig(10, 1);
        Assert.True(Admit(["a"], "x", "x", 7, 0));
        Assert.False(Admit(["a"], "x", "x", 7, 0));
        Assert.Equal(4, _admission.RetryAfterSeconds);
        Assert.False(Admit(["a"], "x", "x", 7, (4 * Second) - 1));
        Assert.True(Admit(["a"], "x", "x", 7, 4 * Second));
        Assert.False(Admit(["a"], "x", "x", 11, 1000 * Second));
        Assert.Equal(0, _admission.RetryAfterSeconds); // no promise
    }

    [Fact]
    public void TryAdmit_in_dry_run_admits_and_tells_who_would_have_rejected()
    {
        _limits["dry"] = new LimitConfig(2, 0.001) { DryRun = true };
        _limits["real"] = new LimitConfig(5, 0.001);
        for (int i = 0; i < 5; i++)
        {
            Assert.True(Admit(["dry", "real"], "x", "x", 1, 0));
            Assert.Equal(i < 2 ? null : "dry", _admission.DryRejection?.Name);
        }
        Assert.False(Admit(["dry", "real"], "x", "x", 1, 0));
        Assert.Equal("real", Name(_admission.Rejection));
    }

    [Fact]
    public void TryAdmit_beyond_the_slots_is_rejected_until_one_leaves()
    {
        _limits["slots"] = new LimitConfig(10, 0.001) { Concurrent = 2 };
        var held = new List<Admission>();
        for (int i = 0; i < 2; i++)
        {
            var admission = new Admission();
            Assert.True(admission.TryAdmit(Limiter, Rules(["slots"], 1), Request("x", "x", false), 0));
            held.Add(admission);
        }
        Assert.False(Admit(["slots"], "x", "x", 1, 0));
        Assert.True(_admission.RejectedForConcurrency);
        Assert.Equal(1, _admission.RetryAfterSeconds);
        Assert.True(Admit(["slots"], "y", "y", 1, 0));
        _admission.Leave();
        Assert.Equal(8, Tokens("slots"));
        held[0].Leave();
        held[0].Leave(); // counts once
        Assert.True(Admit(["slots"], "x", "x", 1, 0));
        _admission.Leave();
        held[1].Leave();
        Assert.Equal(0, Limiter.Concurrency.Count);
    }

    [Fact]
    public void CountStatus_takes_tokens_for_failures_only_and_a_debt_is_bounded()
    {
        _limits["logins"] = new LimitConfig(3, 1) { CountsStatuses = [401] };
        for (int i = 0; i < 50; i++)
        {
            Assert.True(Admit(["logins"], "x", "x", 1, 0));
            _admission.CountStatus(200, 0);
        }
        var together = new List<Admission>();
        for (int i = 0; i < 10; i++) // all are let in while the first has no answer
        {
            var admission = new Admission();
            Assert.True(admission.TryAdmit(Limiter, Rules(["logins"], 1), Request("x", "x", false), 0));
            together.Add(admission);
        }
        together.ForEach(static a => a.CountStatus(401, 0));
        Assert.False(Admit(["logins"], "x", "x", 1, 0));
        Assert.Equal(4, _admission.RetryAfterSeconds); // 3 below nothing, not 7
        Assert.False(Admit(["logins"], "x", "x", 1, (4 * Second) - 1));
        Assert.True(Admit(["logins"], "x", "x", 1, 4 * Second));
    }

    [Fact]
    public async Task TryAdmit_by_many_threads_admits_what_the_tightest_holds_and_gives_all_else_back()
    {
        _limits["own"] = new LimitConfig(100_000, 0.001);
        _limits["all"] = new LimitConfig(20_000, 0.001) { By = LimitKey.All };
        Limiter limiter = Limiter;
        int admitted = 0;
        await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() =>
        {
            var admission = new Admission();
            LimitRules rules = Rules(["own", "all"], 1);
            for (int i = 0; i < 5_000; i++)
            {
                admission.Reset();
                if (admission.TryAdmit(limiter, rules, Request("x", "x", false), 0))
                {
                    Interlocked.Increment(ref admitted);
                }
            }
        })));
        Assert.Equal(20_000, admitted);
        Assert.Equal(80_000, Tokens("own"));
    }

    private int Admitted(int requests, params string[] limits) => Admitted(requests, limits, registered: true);

    private int Admitted(int requests, string[] limits, bool registered) =>
        Enumerable.Range(0, requests).Count(_ => Admit(limits, "x", "x", 1, 0, registered));

    private bool Admit(string[] limits, string client, string address, int cost, long nowNs, bool registered = true)
    {
        _admission.Reset();
        return _admission.TryAdmit(Limiter, Rules(limits, cost), Request(client, address, registered), nowNs);
    }

    private AdmissionRequest Request(string client, string address, bool registered)
    {
        byte[] name = Encoding.UTF8.GetBytes(client);
        return new AdmissionRequest
        {
            Registered = registered && Limiter.Clients.TryFind(name, out RegisteredClient? known) ? known : null,
            Client = name,
            Address = Encoding.UTF8.GetBytes(address),
        };
    }

    private LimitRules Rules(IEnumerable<string> names, int cost) =>
        new(names.Select(n => Limiter.Limits.RuleOf(n, _limits[n])), cost);

    /// <summary>Of client x.</summary>
    private long Tokens(string limit)
    {
        var look = new Admission();
        look.Peek(Limiter, Rules([limit], 1), Request("x", "x", false), 0);
        return look.Limits[0].WholeTokens;
    }

    private static string Name(in AppliedLimit limit) => Encoding.UTF8.GetString(limit.NameBytes);
}
