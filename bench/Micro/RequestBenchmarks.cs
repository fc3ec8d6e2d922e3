using System.Text;
using BenchmarkDotNet.Attributes;
using Penstock.Proxy.Balancing;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.Upstreams;

namespace Penstock.Bench.Micro;

/// <summary>The pure parts of a request's way.</summary>
[MemoryDiagnoser]
public class RequestBenchmarks
{
    private static readonly byte[] Small = Encoding.ASCII.GetBytes(
        "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n");

    private static readonly byte[] Browser = Encoding.ASCII.GetBytes(
        "GET /products/42?ref=home HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) "
        + "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36\r\n"
        + "Accept: text/html,application/xhtml+xml\r\n"
        + "Accept-Language: en-GB,en;q=0.8\r\nAccept-Encoding: gzip, br\r\n"
        + "Cookie: session=0123456789abcdef; theme=dark\r\n"
        + "Cache-Control: max-age=0\r\nSec-Fetch-Mode: navigate\r\nConnection: keep-alive\r\n\r\n");

    private readonly RequestHead _head = new();
    private readonly List<Backend> _none = [];
    private readonly PickRandom _random = new(42);
    private Balancer _balancer = null!;

    [Params(BalanceAlgorithm.RoundRobin, BalanceAlgorithm.LeastConnections, BalanceAlgorithm.PowerOfTwo)]
    public BalanceAlgorithm Algorithm { get; set; }

    [GlobalSetup]
    public void Setup() => _balancer = Balancer.Create(
        new UpstreamConfig { Name = "web", Backends = [], Balance = Algorithm }, [.. Enumerable.Range(1, 10).Select(i =>
        new Backend("web", new BackendConfig { Host = "127.0.0.1", Port = i }))]);

    [Benchmark]
    public object? PickOfTen() => _balancer.Pick(new PickRequest { Tried = _none, Random = _random });

    [Benchmark]
    public int ParseSmallHead() => Parse(Small);

    [Benchmark]
    public int ParseBrowserHead() => Parse(Browser);

    private int Parse(byte[] bytes)
    {
        _head.Reset();
        _head.Parse(bytes);
        return _head.Length;
    }
}
