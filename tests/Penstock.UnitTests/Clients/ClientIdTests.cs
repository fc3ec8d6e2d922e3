using System.Net;
using System.Security.Cryptography;
using System.Text;
using Penstock.Proxy;
using Penstock.Proxy.Clients;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Http1;
using Penstock.Proxy.RateLimiting;
using Xunit;

namespace Penstock.UnitTests.Clients;

/// <summary>For every valid client id there is a request that Penstock counts for that client.</summary>
public sealed class ClientIdTests
{
    private const int Ids = 20_000;

    private static readonly string[] Pieces =
    [
        "1001", "42", "1.2", "010.0.0.1", "192.0.2.9", "::ffff:192.0.2.9", "2001:db8::1", "2001:DB8::1", "fe80::1",
        "192.0.2.0", "unix", "export", "user", "é", "я", "𝄞", "漢", " ", "%", "+", "&", ";", "=", ",", ":", "/", "\"",
        "a", "Z", "_", "-", ".", "[", "]", "0", "\u200b", "\u202e", "\u00a0", "\u0378", "\u00ad", "\ufe0f", "\u0301",
        "\ufffd", "\ud800", "\n", "sha256:", "/24", "/64", "/48", "/128", "%1",
    ];

    [Theory]
    [InlineData("1001", null)]
    [InlineData("1.2", null)]
    [InlineData("010.0.0.1", null)]
    [InlineData("123.5.6.7:890", null)]
    [InlineData("192.0.2.9", null)]
    [InlineData("192.0.2.0/24", null)]
    [InlineData("2001:db8::1", null)]
    [InlineData("2001:db8::/64", null)]
    [InlineData("a b", null)]
    [InlineData("caf\u00e9 \u6f22\ud834\udd1e", null)]
    [InlineData("::ffff:192.0.2.9", "write 192.0.2.9")]
    [InlineData("192.0.2.9/24", "write 192.0.2.0/24")]
    [InlineData("192.0.2.9/32", "write 192.0.2.9")]
    [InlineData("2001:DB8::1", "write 2001:db8::1")]
    [InlineData("2001:db8::1/64", "write 2001:db8::/64")]
    [InlineData("a\u200bb", "printable")]
    [InlineData("a\u202eb", "printable")]
    [InlineData("a\u0378b", "printable")] // unassigned
    [InlineData("a\u00a0b", "printable")]
    [InlineData("a\u00adb", "printable")]
    [InlineData("a\ufe0fb", "printable")]
    [InlineData("a\u3164b", "printable")]
    [InlineData("a\ue000b", "printable")] // private use
    [InlineData("a\ud800b", "printable")]
    [InlineData("sha256:ABCDEF", "sha256sum")]
    public void Fault_says_what_no_request_would_be_held_to(string id, string? fault)
    {
        string? said = ClientId.Fault(id);
        Assert.Equal(fault is null, said is null);
        Assert.Contains(fault ?? "", said ?? "", StringComparison.Ordinal);
    }

    [Fact]
    public void Length_is_counted_in_bytes()
    {
        Assert.Null(ClientId.Fault(new string('é', 128)));
        Assert.NotNull(ClientId.Fault(new string('é', 129)));
        Assert.NotNull(ClientId.Fault(""));
    }

    [Fact]
    public void Every_id_that_may_be_registered_is_met_by_a_request()
    {
        int seed = Random.Shared.Next();
        var random = new Random(seed);
        int accepted = 0;
        for (int i = 0; i < Ids; i++)
        {
            string id = string.Concat(Enumerable.Range(0, random.Next(1, 5)).Select(_ => Pieces[random.Next(
                Pieces.Length)]));
            id = random.Next(50) == 0 ? Hashed(id)
                : random.Next(50) == 0 ? id.PadRight(random.Next(250, 260), 'é') : id;
            if (ClientId.Fault(id) is not null)
            {
                continue;
            }
            accepted++;
            string? met = Met(id, random.Next(1, 129));
            Assert.True(met is null, $"seed {seed}: '{id}' {met}");
        }
        Assert.True(accepted > Ids / 20, $"{accepted} ids");
    }

    [Theory]
    [InlineData("192.0.2.0/24", "192.0.2.0/25", "192.0.2.5", "192.0.2.0/25")]
    [InlineData("192.0.2.0/24", "192.0.2.0/25", "192.0.2.200", "192.0.2.0/24")]
    [InlineData("0.0.0.0/0", "192.0.2.5", "192.0.2.5", "192.0.2.5")]
    [InlineData("::/0", "2001:db8::/64", "2001:db8::7", "2001:db8::/64")]
    [InlineData("::/0", "2001:db8::/64", "192.0.2.5", null)]
    [InlineData("0.0.0.0/0", "2001:db8::/64", "2001:db8:1::7", null)]
    public void Longest_registered_prefix_counts_and_families_are_apart(
        string one, string other, string caller, string? met)
    {
        Limiter limiter = Registering(one, other);
        var identifier = new ClientIdentifier(new ClientsConfig(), limiter);
        RequestHead request = Parse("/", "", out byte[] head);
        var address = new ClientAddress(new IPEndPoint(IPAddress.Parse(caller), 1), 56);
        Assert.Equal(met, identifier.Identify(request, head, address, new byte[ClientIdentifier.RoomBytes])
            .Registered?.Id);
        limiter.Clients.Remove(one);
        limiter.Clients.Remove(other);
        Assert.Null(identifier.Identify(request, head, address, new byte[ClientIdentifier.RoomBytes]).Registered?.Id);
    }

    /// <summary>The request that is not counted for the id; null if all are.</summary>
    private static string? Met(string id, int ipv6Prefix)
    {
        Limiter limiter = Registering(id);
        var identifier = new ClientIdentifier(new ClientsConfig { Ipv6Prefix = ipv6Prefix }, limiter);
        if (ClientId.IsAddress(id))
        {
            EndPoint from = id == "unix" ? new System.Net.Sockets.UnixDomainSocketEndPoint("/x")
                : new IPEndPoint(IPAddress.Parse(id.Split('/')[0]), 1);
            return Is(identifier, from, "/", "", id) ? null : "is not met by its address";
        }
        var elsewhere = new IPEndPoint(IPAddress.Parse("198.51.100.1"), 1);
        string carried = Keys.GetValueOrDefault(id, id);
        return !Is(identifier, elsewhere, "/", $"X-API-Key: {carried}\r\n", id) ? "is not met by a header"
            : !Is(identifier, elsewhere, "/?a=b&client_id=" + Uri.EscapeDataString(carried), "", id)
                ? "is not met by a parameter" : null;
    }

    /// <summary>Of hashes.</summary>
    private static readonly Dictionary<string, string> Keys = [];

    private static string Hashed(string key)
    {
        key = new string([.. key.Where(static c => c is > ' ' and <= '~')]) + "k";
        string id = "sha256:" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)));
        Keys[id] = key;
        return id;
    }

    private static bool Is(ClientIdentifier identifier, EndPoint from, string target, string field, string id)
    {
        RequestHead request = Parse(target, field, out byte[] head);
        var caller = new ClientAddress(from, identifier.Ipv6Prefix);
        return identifier.Identify(request, head, caller, new byte[ClientIdentifier.RoomBytes]).Registered?.Id == id;
    }

    private static Limiter Registering(params string[] ids)
    {
        var limiter = new Limiter(new ProxyConfig { Listeners = [], Upstreams = [], Routes = [] },
            new MonotonicClock(TimeProvider.System));
        foreach (string id in ids)
        {
            limiter.Clients.Register(id, new LimitConfig(1, 1));
        }
        return limiter;
    }

    private static RequestHead Parse(string target, string field, out byte[] head)
    {
        head = Encoding.UTF8.GetBytes($"GET {target} HTTP/1.1\r\nHost: a\r\n{field}\r\n");
        var request = new RequestHead();
        Assert.Equal(ParseStatus.Complete, request.Parse(head));
        return request;
    }
}
