using BenchmarkDotNet.Attributes;
using Penstock.Proxy.Upstreams;

namespace Penstock.Bench.Micro;

/// <summary>What passive health costs a response.</summary>
[MemoryDiagnoser]
public class TrafficBenchmarks
{
    private readonly BackendTraffic _traffic = new(2) { MaxErrorsInRow = 5 };

    /// <summary>Varied, so that the branches and the buckets are not the same each time.</summary>
    private long _latencyNs = 1;

    [Benchmark]
    public void Answer()
    {
        _latencyNs = (_latencyNs * 48271) % 2147483647;
        _traffic.Responded(1, _latencyNs);
        _traffic.Succeeded(1);
    }

    [Benchmark]
    public uint Read() => _traffic.Read().Total;
}
