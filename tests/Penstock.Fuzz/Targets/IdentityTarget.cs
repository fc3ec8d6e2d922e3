using System.Net;
using System.Text;
using Penstock.Proxy;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.TestKit;

namespace Penstock.Fuzz.Targets;

/// <summary>Which client a request counts for, and its address.</summary>
internal sealed class IdentityTarget : FuzzTarget
{
    private const int RoomBytes = 4096;

    private static readonly string[] Ids = ["bob", "mr x", "a+b&c", "100%", "1001", "192.0.2.7"];

    private static readonly ClientsConfig Clients = new()
    {
        Identify = [new(IdentityKind.Header, "X-API-Key"), new(IdentityKind.Query, "client_id")],
        TrustedProxies = [IPNetwork.Parse("10.0.0.0/8")],
    };

    private static readonly ClientAddress Peer = new(new IPEndPoint(IPAddress.Parse("10.0.0.1"), 1), 64);

    private readonly ClientIdentifier _identifier = New();

    public override string Name => "identity";
    public override int MaxBytes => 2048;

    public override IReadOnlyList<byte[]> Seeds { get; } =
    [
        .. new[]
        {
            @"GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: bob\r\n\r\n",
            @"GET /?client_id=b%6Fb HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n",
            @"GET /?a=1&client_id=mr+x HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1, 10.0.0.2\r\n\r\n",
            @"GET /?client%5Fid=a%2Bb%26c;client_id=x HTTP/1.1\r\nHost: a\r\nX_API_Key: bob\r\n\r\n",
            @"GET /?client_id=100%&CLIENT_ID=bob HTTP/1.1\r\nHost: a\r\nX-API-Key: \r\nX-API-Key: x\r\n\r\n",
            @"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: [2001:db8::1]:80, ::ffff:10.0.0.9\r\n\r\n",
            @"GET / HTTP/1.1\r\nHost: a\r\nX-API-Key: 1001\r\nX-Forwarded-For: 42\r\n\r\n",
        }.Select(Bytes.Of),
    ];

    public override IReadOnlyList<byte[]> Tokens { get; } =
    [
        .. new[]
        {
            @"X-API-Key: ", @"x-api-key:", @"X_API_Key: ", @"X-Forwarded-For: ", "client_id=", "client%5fid=", "&", ";",
            "?", "=", "%", "+", "%2b", "%00", "%6F", @"\r\n", ", ", ":", "[", "]", "10.0.0.2", "192.0.2.7",
            "2001:db8::1",
            "::ffff:10.0.0.9", "010.0.0.2", "42", ":80",
        }.Concat(Ids).Select(Bytes.Of),
    ];

    public override HashSet<string> Run(byte[] input)
    {
        var request = new RequestHead();
        if (request.Parse(input) != ParseStatus.Complete)
        {
            return ["no request"];
        }
        byte[] head = input[..request.Length];
        string text = Bytes.Text(head);
        ClientAddress caller = _identifier.Caller(request, input, Peer);
        Require(caller.Ip is not null, "a caller has an address", $"{text}");
        string address = caller.Ip!.ToString();
        Require(address == "10.0.0.1" || text.Contains("X-Forwarded-For", StringComparison.OrdinalIgnoreCase),
            "a caller is the peer or forwarded", $"{address}");

        string first = Told(request, input, caller, 0x00, out string? id);
        string again = Told(request, input, caller, 0xff, out _);
        Require(first == again, "the same whatever was in the room", $"{first}, then {again}");
        if (id is not null)
        {
            Require(Ids.Contains(id) && id != "192.0.2.7", "a known client has its name", $"{id}");
            Require(Names(text).Any(name => name.Contains(id, StringComparison.Ordinal)),
                "nobody is a client whom the request does not name", $"{id}: {text}");
        }
        string[] keys = [.. MessageText.Of(head).Fields
            .Where(static f => MessageText.Same(f.Name, "x-api-key")).Select(static f => f.Value)];
        if (keys is [var key] && key != "192.0.2.7" && Ids.Contains(key))
        {
            Require(id == key, "a client that names itself is recognised", $"{id}, not {key}");
        }
        return [$"{id} {caller.Ip.AddressFamily} {keys.Length}"];
    }

    private static ClientIdentifier New()
    {
        var config = new ProxyConfig { Listeners = [], Upstreams = [], Routes = [], Clients = Clients };
        var limiter = new Limiter(config, new MonotonicClock(TimeProvider.System));
        foreach (string id in Ids)
        {
            limiter.Clients.Register(id, new LimitConfig(1, 1));
        }
        return new ClientIdentifier(Clients, limiter);
    }

    /// <param name="id">The known client; null: none, or one known by its address.</param>
    private string Told(RequestHead request, byte[] input, ClientAddress caller, byte garbage, out string? id)
    {
        byte[] room = new byte[RoomBytes];
        Array.Fill(room, garbage);
        ClientIdentity identity = _identifier.Identify(request, input, caller, room);
        id = identity.Registered is not null && identity.Source >= 0 ? Bytes.Text(identity.Name) : null;
        return $"{Bytes.Escaped(identity.Name)} from {identity.Source}, known: {identity.Registered is not null}";
    }

    /// <summary>All values that the request could have for a name.</summary>
    private static IEnumerable<string> Names(string text) =>
        [text, Bytes.Text(WebUtility.UrlDecodeToBytes(Encoding.Latin1.GetBytes(text), 0, text.Length))];
}
