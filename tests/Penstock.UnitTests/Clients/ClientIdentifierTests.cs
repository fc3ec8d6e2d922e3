using System.Net;
using System.Text;
using Penstock.Proxy;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Penstock.UnitTests.Http1;
using Xunit;

namespace Penstock.UnitTests.Clients;

public sealed class ClientIdentifierTests
{
    private static readonly IdentitySource Key = new(IdentityKind.Header, "X-Api-Key");
    private static readonly IdentitySource Tenant = new(IdentityKind.Header, "X-Tenant");
    private static readonly IdentitySource Query = new(IdentityKind.Query, "key");
    private static readonly IdentitySource Address = new(IdentityKind.Address, "");
    private static readonly ClientsConfig BehindProxies = new() { TrustedProxies = [IPNetwork.Parse("10.0.0.0/8")] };

    [Theory]
    [InlineData("GET /?key=bob", "X-Api-Key: alice", "alice")]
    [InlineData("GET /?key=bob", "x-api-key:\talice ", "alice")]
    [InlineData("GET /?key=bob", "X-Api-Key:", "bob")]
    [InlineData("GET /?key=bob", "Other: alice", "bob")]
    [InlineData("GET /", "Other: alice", "192.0.2.1")]
    [InlineData("GET /", "X-Api-Key: ALICE", "192.0.2.1")]
    [InlineData("GET /", "X-Api-Key: stranger", "192.0.2.1")]
    [InlineData("GET /?key=bob", "X-Api-Key: stranger", "bob")]
    [InlineData("GET /?key=nobody", "X-Api-Key: stranger", "192.0.2.1")]
    [InlineData("GET /", "X-Api-Key: alice\r\nX-Api-Key: alice", "alice")]
    [InlineData("GET /", "X-Api-Key:\r\nX-Api-Key: alice", "alice")]
    [InlineData("GET /", "X-Api-Key: one\r\nX-Api-Key: two", "192.0.2.1")]
    [InlineData("GET /", "X_Api_Key: alice", "192.0.2.1")]
    public void Identify_takes_the_first_source_that_names_a_known_client(string start, string field, string name) =>
        Assert.Equal(name, NameOf(Identifier([Key, Query], "alice", "bob"), start, field));

    [Theory]
    [InlineData("key=bob", "bob")]
    [InlineData("a=1&key=bob&key=b%6Fb", "bob")]
    [InlineData("k%65y=bob", "bob")]
    [InlineData("key=+bob%20%00", "bob")]
    [InlineData("a=1;key=bob", "bob")]
    [InlineData("key=nobody&key=stranger", "192.0.2.1")]
    [InlineData("key=b%6Fb", "bob")]
    [InlineData("key=%62%6f%62", "bob")]
    [InlineData("key=mr+x", "mr x")]
    [InlineData("key=mr%20x&b", "mr x")]
    [InlineData("key=a%2Bb%26c", "a+b&c")]
    [InlineData("key=100%", "100%")]
    [InlineData("key=100%4", "100%4")]
    [InlineData("key=%C3%A9", "\u00c3\u00a9")]
    [InlineData("xkey=bob", "192.0.2.1")]
    [InlineData("keys=bob", "192.0.2.1")]
    [InlineData("key", "192.0.2.1")]
    [InlineData("key=", "192.0.2.1")]
    [InlineData("KEY=bob", "bob")]
    [InlineData("", "192.0.2.1")]
    public void Identify_reads_the_query_as_forms_write_it(string query, string name) => Assert.Equal(name,
        NameOf(Identifier([Query], "bob", "mr x", "a+b&c", "100%", "100%4", "\u00e9"), "GET /p?" + query, "X: 1"));

    /// <summary>Servers read such a query differently: which of equal parameters counts, or where one ends.</summary>
    [Theory]
    [InlineData("/", "X-Api-Key: alice\r\nX-Api-Key: bob")]
    [InlineData("/", "X-Api-Key: stranger\r\nX-Api-Key: bob")]
    [InlineData("/", "X-Api-Key: bob\r\nX-Api-Key: stranger")]
    [InlineData("/?key=stranger&key=bob", "X: 1")]
    [InlineData("/?key=bob&key=stranger", "X: 1")]
    [InlineData("/?key=stranger&k%65y=bob", "X: 1")]
    [InlineData("/?key=stranger&KEY=bob", "X: 1")]
    [InlineData("/?key=bob;x=1", "X: 1")]
    [InlineData("/?key=stranger;key=bob", "X: 1")]
    public void Identify_of_a_known_client_beside_another_name_is_ambiguous(string target, string field)
    {
        ClientIdentifier identifier = Identifier([Key, Query], "alice", "bob");
        Assert.True(Identify(identifier, "GET " + target, field, static c => c.Ambiguous));
        ClientIdentifier strangers = Identifier([Key, Query], "somebody");
        Assert.False(Identify(strangers, "GET " + target, field, static c => c.Ambiguous));
    }

    [Theory]
    [InlineData("X-API-Key", "X_API_Key", true)]
    [InlineData("X-API-Key", "x_api-key", true)]
    [InlineData("X-API-Key", "X.API.Key", true)]
    [InlineData("X_API_Key", "X-API-Key", true)]
    [InlineData("X-API-Key", "x-api-key", false)]
    [InlineData("X-API-Key", "X-API-Keys", false)]
    [InlineData("X-API-Key", "X-APIxKey", false)]
    public void IsLookalikeField_is_true_of_what_some_backend_would_take_for_it(string name, string given, bool alike)
    {
        ClientIdentifier identifier = Identifier([new IdentitySource(IdentityKind.Header, name)], "alice");
        Assert.Equal(alike, identifier.IsLookalikeField(Encoding.ASCII.GetBytes(given)));
    }

    [Fact]
    public void Identify_with_more_values_than_are_looked_up_is_ambiguous()
    {
        ClientIdentifier identifier = Identifier([Query], "bob");
        string many = string.Join('&', Enumerable.Range(0, 40).Select(static i => $"key=x{i}"));
        Assert.True(Identify(identifier, $"GET /?{many}&key=bob", "X: 1", static c => c.Ambiguous));
    }

    [Theory]
    [InlineData("X-Api-Key: alice", "192.0.2.1", false)]
    [InlineData("X-Api-Key: free", "192.0.2.1", false)]
    [InlineData("X-Api-Key: stranger", "192.0.2.1", true)]
    [InlineData("X: 1", "192.0.2.1", true)]
    [InlineData("X-Api-Key: stranger", "198.51.100.7", false)] // registered
    [InlineData("X: 1", "203.0.113.1", false)] // exempt
    public void Identify_rejects_strangers_where_they_are_not_wanted(string field, string peer, bool rejected)
    {
        ClientIdentifier identifier = Identifier(new ClientsConfig
        {
            Identify = [Key],
            Unknown = UnknownClients.Reject,
            ExemptIds = ["free"],
            ExemptNetworks = [IPNetwork.Parse("203.0.113.0/24")],
        }, "alice", "198.51.100.0/24");
        Assert.Equal(rejected, Identify(identifier, "GET /", field, static c => c.Rejected, peer));
    }

    [Fact]
    public void Identify_of_a_long_key_by_its_hash_gives_the_client()
    {
        string key = new('k', 4096);
        string id = "sha256:" + Convert.ToHexStringLower(
            System.Security.Cryptography.SHA256.HashData(Encoding.ASCII.GetBytes(key)));
        Assert.Equal(id, NameOf(Identifier([Key], id), "GET /", "X-Api-Key: " + key));
    }

    [Fact]
    public void Identify_by_address_first_does_not_look_further() =>
        Assert.Equal("192.0.2.1", NameOf(Identifier([Address, Key], "alice"), "GET /", "X-Api-Key: alice"));

    [Fact]
    public void Identify_of_a_registered_client_gives_it()
    {
        ClientIdentifier identifier = Identifier([Key], "alice");
        Assert.Equal("alice", Identify(identifier, "GET /", "X-Api-Key: alice", static c => c.Registered?.Id));
        Assert.Null(Identify(identifier, "GET /", "X-Api-Key: stranger", static c => c.Registered?.Id));
    }

    [Theory]
    [InlineData("192.0.2.1", "192.0.2.1")]
    [InlineData("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64")]
    public void Identify_of_a_registered_address_gives_it(string peer, string id)
    {
        ClientIdentifier identifier = Identifier([Key], id);
        Assert.Equal(id, Identify(identifier, "GET /", "X: 1", static c => c.Registered?.Id, peer));
        Assert.Equal(id, Identify(identifier, "GET /", "X-Api-Key: stranger", static c => c.Registered?.Id, peer));
        Assert.Null(Identify(identifier, "GET /", "X: 1", static c => c.Registered?.Id, "198.51.100.1"));
    }

    [Fact]
    public void Identify_unknown_with_its_own_bucket_is_apart_by_source()
    {
        ClientIdentifier identifier = Identifier(new ClientsConfig
        {
            Identify = [Key, Tenant, Query],
            Unknown = UnknownClients.Own,
        });
        string[] requests = ["X-Api-Key: 192.0.2.1", "X-Tenant: 192.0.2.1", "X: 1"];

        Assert.All(requests, r => Assert.Equal("192.0.2.1", NameOf(identifier, "GET /?key=192.0.2.1", r)));
        ulong[] domains =
        [
            .. requests.Select(r => Identify(identifier, "GET /?key=192.0.2.1", r, static c => c.Domain)),
            Identify(identifier, "GET /", "X: 1", static c => c.Domain),
        ];
        Assert.Equal(4, domains.Distinct().Count());
    }

    [Theory]
    [InlineData(256, "")]
    [InlineData(257, "192.0.2.1")]
    public void Identify_looks_up_identifiers_of_256_bytes_at_most(int length, string name)
    {
        string id = new('k', length);
        ClientIdentifier identifier = Identifier([Key, Query], id);
        string expected = name.Length == 0 ? id : name;
        Assert.Equal(expected, NameOf(identifier, "GET /", "X-Api-Key: " + id));
        Assert.Equal(expected, NameOf(identifier, "GET /?key=%6b" + id[1..], "X: 1"));
    }

    // ---- behind trusted proxies

    [Theory]
    [InlineData("203.0.113.7", "203.0.113.7")]
    [InlineData("1.1.1.1, 203.0.113.7", "203.0.113.7")]
    [InlineData("1.1.1.1,203.0.113.7,\t10.0.0.2 , 10.0.0.3", "203.0.113.7")]
    [InlineData("1.1.1.1\r\nX-Forwarded-For: 203.0.113.7\r\nx-forwarded-for: 10.0.0.2", "203.0.113.7")]
    [InlineData("10.0.0.4, 10.0.0.2", "10.0.0.4")]
    [InlineData("203.0.113.7:4711", "203.0.113.7")]
    [InlineData("[2001:db8::7]:4711", "2001:db8::7")]
    [InlineData("2001:db8::7", "2001:db8::7")]
    [InlineData("203.0.113.7, ::ffff:10.0.0.2", "203.0.113.7")]
    [InlineData("", "10.0.0.1")]
    [InlineData("unknown", "10.0.0.1")]
    [InlineData("203.0.113.7, unknown", "10.0.0.1")]
    [InlineData("203.0.113.7, unknown, 10.0.0.2", "10.0.0.2")]
    [InlineData("203.0.113.7, , 10.0.0.2", "10.0.0.2")]
    [InlineData("203.0.113.7,", "10.0.0.1")]
    [InlineData("203.0.113.7, <script>", "10.0.0.1")]
    [InlineData("203.0.113.7, 42", "10.0.0.1")]
    [InlineData("203.0.113.7, 010.0.0.2", "10.0.0.1")]
    [InlineData("203.0.113.7, [::1]:99999999", "10.0.0.1")]
    public void Caller_behind_a_trusted_proxy_is_the_nearest_hop_not_trusted(string forwardedFor, string caller) =>
        Assert.Equal(caller, CallerOf("10.0.0.1", "X-Forwarded-For: " + forwardedFor));

    [Theory]
    [InlineData("203.0.113.1", "X-Forwarded-For: 1.1.1.1")]
    [InlineData("11.0.0.1", "X-Forwarded-For: 1.1.1.1, 10.0.0.1")]
    [InlineData("10.0.0.1", "Forwarded: for=1.1.1.1")]
    [InlineData("10.0.0.1", "X-Real-IP: 1.1.1.1")]
    public void Caller_is_the_peer_whatever_it_claims(string peer, string field) =>
        Assert.Equal(peer, CallerOf(peer, field));

    [Fact]
    public void Caller_is_counted_by_its_network()
    {
        ClientIdentifier identifier = Identifier(BehindProxies);
        RequestHead request = Parse("GET /", "X-Forwarded-For: 2001:db8::7", out byte[] head);
        ClientAddress caller = identifier.Caller(request, head, Peer("10.0.0.1"));
        Assert.Equal("2001:db8::/64", Bytes.Text(caller.ClientName));
    }

    [Fact]
    public void IsTrusted_is_by_network()
    {
        ClientIdentifier identifier = Identifier(new ClientsConfig
        {
            TrustedProxies = [IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("fd00::/8")],
        });
        Assert.True(identifier.IsTrusted(IPAddress.Parse("10.255.0.1")));
        Assert.True(identifier.IsTrusted(IPAddress.Parse("fd12::1")));
        Assert.False(identifier.IsTrusted(IPAddress.Parse("11.0.0.1")));
        Assert.False(identifier.IsTrusted(null));
    }

    private static string CallerOf(string peer, string field)
    {
        ClientIdentifier identifier = Identifier(BehindProxies);
        RequestHead request = Parse("GET /", field, out byte[] head);
        return Bytes.Text(identifier.Caller(request, head, Peer(peer)).Text);
    }

    private static string NameOf(ClientIdentifier identifier, string start, string field) =>
        Identify(identifier, start, field, static c => Bytes.Text(c.Name));

    private static T Identify<T>(ClientIdentifier identifier, string start, string field, Func<ClientIdentity, T> tell,
        string peer = "192.0.2.1")
    {
        RequestHead request = Parse(start, field, out byte[] head);
        return tell(identifier.Identify(request, head, Peer(peer), new byte[ClientIdentifier.RoomBytes]));
    }

    private static ClientIdentifier Identifier(IdentitySource[] sources, params string[] registered) =>
        Identifier(new ClientsConfig { Identify = sources }, registered);

    private static ClientIdentifier Identifier(ClientsConfig clients, params string[] registered)
    {
        var config = new ProxyConfig { Listeners = [], Upstreams = [], Routes = [], Clients = clients };
        var limiter = new Limiter(config, new MonotonicClock(TimeProvider.System));
        foreach (string id in registered)
        {
            limiter.Clients.Register(id, new LimitConfig(1, 1));
        }
        return new ClientIdentifier(clients, limiter);
    }

    private static ClientAddress Peer(string address) => new(new IPEndPoint(IPAddress.Parse(address), 1), 64);

    private static RequestHead Parse(string start, string field, out byte[] head)
    {
        head = Encoding.Latin1.GetBytes($"{start} HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n");
        var request = new RequestHead();
        Assert.Equal(ParseStatus.Complete, request.Parse(head));
        return request;
    }
}
