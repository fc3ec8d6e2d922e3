using System.Net;
using System.Text;
using Penstock.Proxy;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Exchanges;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.Proxy.Upstreams;
using Xunit;

namespace Penstock.UnitTests.Exchanges;

/// <summary>What happens to a request, row by row, without a socket.</summary>
public sealed class DeciderTests
{
    private static readonly ManualTime Time = new();
    private static readonly MonotonicClock Clock = new(Time);

    [Theory]
    [InlineData("GET /", "", "goes on")]
    [InlineData("GET /", "Host: elsewhere\r\n", "404 no_route")]
    [InlineData("GET /v1/x", "", "goes on")]
    [InlineData("GET /v1%2fx", "", "400 bad_request path_ambiguous")]
    [InlineData("GET /", "X-Client-ID: known\r\n", "goes on")]
    [InlineData("GET /", "X-Client-ID: known\r\nX-Client-ID: other\r\n", "400 bad_request client_ambiguous")]
    [InlineData("GET /", "X-Client-ID: blocked\r\n", "403 client_blocked")]
    [InlineData("GET /", "X-Client-ID: exempt\r\n", "goes on, exempt")]
    [InlineData("POST /", "Content-Length: 100\r\n", "goes on")]
    [InlineData("POST /", "Content-Length: 101\r\n", "413 bad_request body_too_large")]
    [InlineData("POST /", "Content-Length: 101\r\nX-Client-ID: exempt\r\n", "413 bad_request body_too_large")]
    [InlineData("POST /", "Content-Length: 101\r\nX-Client-ID: blocked\r\n", "413 bad_request body_too_large")]
    [InlineData("POST /", "Transfer-Encoding: chunked\r\n", "goes on")]
    [InlineData("OPTIONS /", "Max-Forwards: 0\r\n", "200 ok")]
    [InlineData("OPTIONS /", "Max-Forwards: 1\r\n", "goes on")]
    [InlineData("GET /", "Max-Forwards: 0\r\n", "goes on")]
    [InlineData("OPTIONS /", "Max-Forwards: 0\r\nX-Client-ID: blocked\r\n", "200 ok")]
    [InlineData("GET /", "Via: 7*penstock\r\n", "goes on")]
    [InlineData("GET /", "Via: 8*penstock\r\n", "508 loop")]
    [InlineData("GET /", "Via: 4*penstock\r\nVia: 4*penstock\r\n", "508 loop")]
    [InlineData("GET /", "Via: 8*penstock\r\nX-Client-ID: blocked\r\n", "508 loop")]
    [InlineData("OPTIONS /", "Max-Forwards: 0\r\nVia: 8*penstock\r\n", "200 ok")]
    [InlineData("GET /", "Via: 8*penstock\r\nHost: elsewhere\r\n", "404 no_route")]
    public void Decide_is_what_the_table_says(string line, string fields, string wanted) =>
        Assert.Equal(wanted, Decide(line, fields, UnknownClients.Address));

    [Theory]
    [InlineData("GET /", "", "401 unknown_client")]
    [InlineData("GET /", "X-Client-ID: stranger\r\n", "401 unknown_client")]
    [InlineData("GET /", "X-Client-ID: known\r\n", "goes on")]
    [InlineData("GET /", "X-Client-ID: exempt\r\n", "goes on, exempt")]
    [InlineData("GET /", "Host: elsewhere\r\n", "404 no_route")]
    [InlineData("POST /", "Content-Length: 101\r\n", "401 unknown_client")]
    [InlineData("OPTIONS /", "Max-Forwards: 0\r\n", "401 unknown_client")]
    [InlineData("GET /", "Via: 8*penstock\r\n", "401 unknown_client")]
    public void Decide_turns_strangers_away_where_the_operator_wants_none(string line, string fields, string wanted) =>
        Assert.Equal(wanted, Decide(line, fields, UnknownClients.Reject));

    [Theory]
    [InlineData(true, 2, 0, false, "Backend")]
    [InlineData(true, 0, 0, false, "Backend")]
    [InlineData(false, 2, 0, false, "NoBackend")] // the backend is down, not full
    [InlineData(false, 0, 0, true, "NoBackend")]
    [InlineData(false, 2, 0, true, "Queue")]
    [InlineData(false, 2, 1, true, "Queue")]
    [InlineData(false, 2, 2, true, "Queue")]
    [InlineData(false, 2, 1, false, "Queue")] // others wait, so it does too
    public void Place_is_what_the_table_says(bool found, int length, int waiting, bool isFull, string wanted)
    {
        var config = new UpstreamConfig
        {
            Name = "u",
            Backends = [new BackendConfig { Host = "127.0.0.1", Port = 1, MaxConnections = 1 }],
            Queue = new QueueConfig { Length = length },
        };
        var upstream = new Upstream(config, Clock);
        Backend backend = upstream.Backends[0];
        Assert.True(backend.TryEnter());
        for (int i = 0; i < waiting; i++)
        {
            Assert.True(upstream.Queue.TryEnter(new Waiter(), length));
        }
        if (!isFull)
        {
            backend.SetState(BackendState.Maintenance, 0);
        }

        bool standsInLine = Decider.StandsInLine(upstream, session: null);
        Assert.Equal(waiting > 0, standsInLine);
        Assert.False(Decider.StandsInLine(upstream, backend)); // a session keeps its backend, whoever waits
        Assert.Equal(wanted, Decider.Place(upstream, config, found, standsInLine).ToString());
    }

    private static string Decide(string line, string fields, UnknownClients unknown)
    {
        var config = new ProxyConfig
        {
            Listeners = [],
            Upstreams = [new UpstreamConfig { Name = "u", Backends = [new() { Host = "127.0.0.1", Port = 1 }] }],
            Routes =
            [
                new RouteConfig { Upstream = "u", Host = "a" },
                new RouteConfig { Upstream = "u", Host = "a", Path = "/v1/*" },
            ],
            Clients = new ClientsConfig { Unknown = unknown },
            Bounds = new BoundsConfig { BodyBytes = 100 },
        };
        var limiter = new Limiter(config, Clock);
        limiter.Clients.Register("known", new LimitConfig(1, 1));
        limiter.Clients.Register("blocked", new LimitConfig(1, 1), null,
            new ClientTerms { Access = ClientAccess.Blocked });
        limiter.Clients.Register("exempt", new LimitConfig(1, 1), null,
            new ClientTerms { Access = ClientAccess.Exempt });
        var snapshot = new Snapshot(config, limiter, [new Upstream(config.Upstreams[0], Clock)],
            new Dictionary<string, ListenerSettings>(), new());
        fields = fields.Replace("8*penstock", string.Join(", ", Enumerable.Repeat("1.1 penstock", 8)))
            .Replace("7*penstock", string.Join(", ", Enumerable.Repeat("1.1 penstock", 7)))
            .Replace("4*penstock", string.Join(", ", Enumerable.Repeat("1.1 penstock", 4)));
        string host = fields.Contains("Host:") ? "" : "Host: a\r\n";
        byte[] head = Encoding.ASCII.GetBytes($"{line} HTTP/1.1\r\n{host}{fields}\r\n");
        var request = new RequestHead(snapshot.HeadBounds);
        Assert.Equal(ParseStatus.Complete, request.Parse(head));
        Ruling ruling = Decider.Decide(snapshot, request, head,
            new ClientAddress(new IPEndPoint(IPAddress.Loopback, 1), 64), new byte[ClientIdentifier.RoomBytes],
            new byte[head.Length * 2]);
        return ruling.GoesOn ? "goes on" + (ruling.Client.Exempt ? ", exempt" : "")
            : $"{ruling.Status} {Encoding.ASCII.GetString(ruling.Outcome.Word())}"
                + (ruling.Fault == HttpFault.None ? "" : " " + Encoding.ASCII.GetString(ruling.Fault.Bytes()));
    }

    private sealed class Waiter : SlotWaiter
    {
        public override void Grant(Backend? backend)
        {
        }
    }
}
