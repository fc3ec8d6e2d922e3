using BenchmarkDotNet.Attributes;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.RateLimiting;

namespace Penstock.Bench.Micro;

/// <summary>One decision, key hashing included.</summary>
[MemoryDiagnoser, MinColumn, MedianColumn]
public class LimiterBenchmarks
{
    private const int Keys = 1_000_000;
    private readonly KeyHash _hash = new();
    private readonly byte[] _hot = "192.0.2.17"u8.ToArray();
    private readonly byte[] _key = new byte[8];
    private readonly Limit _limit = new("default", new LimitConfig(1_000_000_000, 1_000_000));
    private BucketTable _table = null!;
    private ulong _random = 1;
    private long _now = 1_000_000_000;

    [GlobalSetup]
    public void Fill()
    {
        _table = new BucketTable(Keys * BucketTable.EntriesPerBucket, [_limit]);
        for (long i = 0; i < Keys; i++)
        {
            BitConverter.TryWriteBytes(_key, i);
            Take(_key);
        }
    }

    [Benchmark]
    public bool HotKey()
    {
        _now += 1000;
        return Take(_hot);
    }

    [Benchmark]
    public bool RandomKeyOfAMillion()
    {
        _random ^= _random << 13;
        _random ^= _random >> 7;
        _random ^= _random << 17;
        BitConverter.TryWriteBytes(_key, (long)(_random % Keys));
        _now += 1000;
        return Take(_key);
    }

    private bool Take(byte[] key)
    {
        Limit limit = _limit;
        return _table.TryTake(_hash.Hash(key), ref limit, _now, 1, out _);
    }
}
