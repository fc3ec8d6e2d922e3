using System.Net;
using System.Text;
using BenchmarkDotNet.Attributes;
using Penstock.Proxy;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Http1;

namespace Penstock.Bench.Micro;

/// <summary>Making a line of the access log, and deciding that there is none.</summary>
[MemoryDiagnoser]
public class AccessLineBenchmarks
{
    private static readonly DateTimeOffset Time = new(2026, 11, 21, 4, 5, 6, 7, TimeSpan.Zero);

    private readonly byte[] _head = Encoding.ASCII.GetBytes(
        "GET /v1/search?q=penstock&page=2&api_key=abc HTTP/1.1\r\nHost: api.example.com\r\n"
        + "User-Agent: curl/8.5.0\r\nReferer: https://example.com/\r\nAccept: */*\r\n\r\n");
    private readonly byte[] _line = new byte[AccessLogRules.MaxLineBytes];
    private readonly byte[] _room = new byte[AccessEntry.RoomBytes];
    private readonly Exchange _exchange = new(HeadBounds.Default);
    private readonly QueryMask _mask = new([new IdentitySource(IdentityKind.Query, "client_id")]);
    private readonly AccessFormat _json = AccessFormat.Of(new());
    private readonly AccessFormat _combined = AccessFormat.Of(new() { Format = AccessLogRules.Combined });
    private readonly AccessFilter _filter = new(new()
    {
        Statuses = [new(400, 599)], Samples = [new(new(429, 429), 100)],
    });
    private int[] _counts = [];

    [GlobalSetup]
    public void Setup()
    {
        _exchange.Request.Parse(_head);
        _exchange.ClientName = "192.0.2.9"u8;
        _exchange.IdentifiedBy = "address"u8.ToArray();
        _exchange.RequestId = "0123456789abcdef"u8;
        _exchange.Caller = new ClientAddress(new IPEndPoint(IPAddress.Parse("192.0.2.9"), 1), 64);
        _exchange.Status = 200;
        (_exchange.StartNs, _exchange.SentNs, _exchange.ResponseNs) = (1_000_000, 2_000_000, 3_500_000);
        _counts = _filter.NewCounts();
    }

    [Benchmark]
    public int Json() => Write(_json, null);

    [Benchmark]
    public int JsonWithQuery() => Write(_json, _mask);

    [Benchmark]
    public int Combined() => Write(_combined, null);

    [Benchmark]
    public int NotSelected() => _filter.Select(200, 1_000_000, _counts);

    private int Write(AccessFormat format, QueryMask? mask)
    {
        var line = new HeadWriter(_line);
        format.Write(ref line, new AccessEntry
        {
            Exchange = _exchange, Head = _head, Time = Time, NowNs = 11_250_000, Room = _room, Queries = mask,
        });
        return line.Length;
    }
}
