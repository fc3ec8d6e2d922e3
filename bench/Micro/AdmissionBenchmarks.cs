using BenchmarkDotNet.Attributes;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Bench.Micro;

/// <summary>All that a request does with its limits, key hashing included: find out which, take, keep what was
/// taken for the fields and the log.</summary>
[MemoryDiagnoser, MinColumn, MedianColumn]
public class AdmissionBenchmarks
{
    private const int Keys = 1_000_000;
    private readonly Admission _admission = new();
    private readonly byte[] _hot = "192.0.2.17"u8.ToArray();
    private readonly byte[] _key = new byte[8];
    private Limiter _limiter = null!;
    private LimitRules _one = null!;
    private LimitRules _three = null!;
    private LimitRules _slots = null!;
    private RegisteredClient _registered = null!;
    private ulong _random = 1;
    private long _now = 1_000_000_000;

    [GlobalSetup]
    public void Fill()
    {
        // slow, because a bucket that is full again gives its entry away
        var wide = new LimitConfig(1_000_000_000, 1);
        var limits = new Dictionary<string, LimitConfig>
        {
            ["default"] = wide,
            ["address"] = wide with { By = LimitKey.Address },
            ["all"] = wide with { By = LimitKey.All },
            ["slots"] = new LimitConfig(0, 0) { Concurrent = 100 },
        };
        _limiter = new Limiter(new ProxyConfig { Listeners = [], Upstreams = [], Routes = [], Limits = limits },
            new MonotonicClock(TimeProvider.System));
        _one = Rules("default");
        _three = Rules("default", "address", "all");
        _slots = Rules("default", "slots");
        _limiter.Clients.Register("192.0.2.17", wide);
        _limiter.Clients.TryFind(_hot, out RegisteredClient? registered);
        _registered = registered!;
        for (long i = 0; i < Keys; i++)
        {
            BitConverter.TryWriteBytes(_key, i);
            Admit(_one, _key);
        }

        LimitRules Rules(params string[] names) => new(names.Select(n => _limiter.Limits.RuleOf(n, limits[n])), 1);
    }

    [Benchmark]
    public bool HotKey() => Admit(_one, _hot);

    [Benchmark]
    public bool RegisteredClient() => Admit(_one, _hot, _registered);

    [Benchmark]
    public bool RandomKeyOfAMillion()
    {
        _random ^= _random << 13;
        _random ^= _random >> 7;
        _random ^= _random << 17;
        BitConverter.TryWriteBytes(_key, (long)(_random % Keys));
        return Admit(_one, _key);
    }

    [Benchmark]
    public bool ThreeLimits() => Admit(_three, _hot);

    [Benchmark]
    public bool LimitAndSlots()
    {
        bool admitted = Admit(_slots, _hot);
        _admission.Leave();
        return admitted;
    }

    private bool Admit(LimitRules rules, byte[] client, RegisteredClient? registered = null)
    {
        _now += 1000;
        _admission.Reset();
        return _admission.TryAdmit(_limiter, rules,
            new AdmissionRequest { Client = client, Address = client, Registered = registered }, _now);
    }
}
