using System.Text;
using BenchmarkDotNet.Attributes;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Routing;
using Penstock.Proxy.Upstreams;

namespace Penstock.Bench.Micro;

/// <summary>Finding the route of a request: hosts with a hundred paths each.</summary>
[MemoryDiagnoser]
public class RouteBenchmarks
{
    private const int PathsPerHost = 100;

    private readonly byte[] _scratch = new byte[4096];
    private RouteTable _table = null!;
    private Asked _plain = null!;
    private Asked _wildcard = null!;
    private Asked _encoded = null!;
    private Asked _none = null!;

    [Params(1, 100, 10_000)]
    public int Routes { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        var backend = new Backend("web", new BackendConfig { Host = "127.0.0.1", Port = 1 });
        var upstream = new Upstream(new UpstreamConfig { Name = "web", Backends = [backend.Config] },
            new MonotonicClock(TimeProvider.System));
        _table = new RouteTable(Enumerable.Range(0, Routes).Select(i => new RouteConfig
        {
            Host = $"{(i / PathsPerHost % 2 == 1 ? "*." : "")}h{i / PathsPerHost}.example.com",
            Path = $"/api/v1/resource{i % PathsPerHost}/*",
            Upstream = "web",
        }).Select(c => new Route(c, c.Name, upstream, LimitFields.Standard, LimitRules.None)));
        int last = (Routes - 1) / PathsPerHost / 2 * 2;
        string path = $"/api/v1/resource{(Routes - 1) % PathsPerHost}/users/42";
        _plain = new Asked($"h{last}.example.com", path);
        _encoded = new Asked($"h{last}.example.com", path + "/%61//b");
        _wildcard = new Asked($"a.b.h{last + 1}.example.com", path);
        _none = new Asked("elsewhere.example", "/");
    }

    [Benchmark]
    public object? Last() => Match(_plain);

    [Benchmark]
    public object? LastEncoded() => Match(_encoded);

    [Benchmark]
    public object? Wildcard() => Match(_wildcard);

    [Benchmark]
    public object? None() => Match(_none);

    private Route? Match(Asked asked) => _table.Match(asked.Request, asked.Head, _scratch, out _);

    private sealed class Asked
    {
        public Asked(string host, string path)
        {
            Head = Encoding.ASCII.GetBytes($"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
            Request.Parse(Head);
        }

        public byte[] Head { get; }
        public RequestHead Request { get; } = new();
    }
}
