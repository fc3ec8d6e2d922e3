using System.Net;
using System.Net.Sockets;
using Penstock.Control.Config;
using Penstock.Proxy.Configuration;
using Xunit;

namespace Penstock.UnitTests.Config;

public sealed class ConfigValueTests
{
    [Theory]
    [InlineData("5s", 5_000)]
    [InlineData("500ms", 500)]
    [InlineData("1.5s", 1_500)]
    [InlineData("2m", 120_000)]
    [InlineData("1h", 3_600_000)]
    [InlineData("1ms", 1)]
    [InlineData("24h", 86_400_000)]
    public void Duration_with_unit_is_read(string text, double milliseconds)
    {
        Assert.True(ConfigValue.TryDuration(text, out TimeSpan value, out _));
        Assert.Equal(milliseconds, value.TotalMilliseconds);
    }

    [Theory]
    [InlineData("5", "'5' has no unit; write 5s or 5000ms")]
    [InlineData("0.5", "'0.5' has no unit; write 0.5s or 500ms")]
    [InlineData("5 s", "'5 s' is not a duration; write 500ms, 5s, 2m or 1h")]
    [InlineData("s", "'s' is not a duration; write 500ms, 5s, 2m or 1h")]
    [InlineData("", "'' is not a duration; write 500ms, 5s, 2m or 1h")]
    [InlineData("-5s", "'-5s' is not a duration; write 500ms, 5s, 2m or 1h")]
    [InlineData("1.2.3s", "'1.2.3s' is not a duration; write 500ms, 5s, 2m or 1h")]
    [InlineData("0s", "'0s' is not between 1ms and 24h")]
    [InlineData("25h", "'25h' is not between 1ms and 24h")]
    public void Duration_that_is_none_is_rejected_with_advice(string text, string expected) =>
        Rejected<TimeSpan>(ConfigValue.TryDuration, text, expected);

    [Theory]
    [InlineData("off", 0)]
    [InlineData("0s", 0)]
    [InlineData("0ms", 0)]
    [InlineData("250ms", 250)]
    public void Delay_may_be_none(string text, double milliseconds)
    {
        Assert.True(ConfigValue.TryDelay(text, out TimeSpan value, out _));
        Assert.Equal(milliseconds, value.TotalMilliseconds);
        Rejected<TimeSpan>(ConfigValue.TryDelay, "0", "'0' has no unit; write 0s or 0ms");
    }

    [Theory]
    [InlineData("10/s", 10)]
    [InlineData("600/m", 10)]
    [InlineData("0.5/s", 0.5)]
    [InlineData("1/h", 1 / 3600.0)]
    [InlineData("1/d", 1 / 86400.0)]
    [InlineData("10 / s", 10)]
    public void Rate_with_unit_is_read(string text, double perSecond)
    {
        Assert.True(ConfigValue.TryRate(text, out double value, out _));
        Assert.Equal(perSecond, value, precision: 12);
    }

    [Theory]
    [InlineData("10", "'10' has no unit; write 10/s")]
    [InlineData("10/x", "'10/x' is not a rate; write 10/s, 600/m, 0.5/s, 1/h or 1/d")]
    [InlineData("/s", "'/s' is not a rate; write 10/s, 600/m, 0.5/s, 1/h or 1/d")]
    [InlineData("-1/s", "'-1/s' is not a rate; write 10/s, 600/m, 0.5/s, 1/h or 1/d")]
    public void Rate_that_is_none_is_rejected_with_advice(string text, string expected) =>
        Rejected<double>(ConfigValue.TryRate, text, expected);

    [Theory]
    [InlineData("0.0.0.0:8080", "0.0.0.0:8080")]
    [InlineData("127.0.0.1:0", "127.0.0.1:0")]
    [InlineData(":8080", "[::]:8080")]
    [InlineData("8080", "[::]:8080")]
    [InlineData("[::1]:80", "[::1]:80")]
    [InlineData("localhost:8080", "127.0.0.1:8080")]
    public void Listen_address_is_read(string text, string expected)
    {
        Assert.True(ConfigValue.TryListen(text, out EndPoint? address, out _));
        Assert.Equal(IPEndPoint.Parse(expected), address);
    }

    [Fact]
    public void Listen_on_unix_socket_is_read()
    {
        Assert.True(ConfigValue.TryListen("unix:/run/penstock.sock", out EndPoint? address, out _));
        Assert.Equal("/run/penstock.sock", Assert.IsType<UnixDomainSocketEndPoint>(address).ToString());
    }

    [Theory]
    [InlineData("example.com:80", "'example.com' is not an address to listen on; write an IP address or localhost")]
    [InlineData("1:80", "'1' is not an address to listen on; write an IP address or localhost")]
    [InlineData("::1:80", "'::1:80' is ambiguous; write an IPv6 address as [::1]:8080")]
    [InlineData("010.0.0.1:80", "'010.0.0.1' is not an address to listen on; write an IP address or localhost")]
    [InlineData("[1.2.3.4]:80", "'[1.2.3.4]:80' is ambiguous; write an IPv6 address as [::1]:8080")]
    [InlineData("0.0.0.0:65536", "'0.0.0.0:65536' has no port from 0 to 65535; write host:port")]
    [InlineData("0.0.0.0", "'0.0.0.0' has no port from 0 to 65535; write host:port")]
    [InlineData("", "'' has no port from 0 to 65535; write host:port")]
    [InlineData("unix:run", "'unix:run' is not a socket; write unix:/path, at most 107 bytes")]
    public void Listen_address_that_is_none_is_rejected_with_advice(string text, string expected) =>
        Rejected<EndPoint>(ConfigValue.TryListen, text, expected);

    [Fact]
    public void Socket_path_longer_than_the_system_allows_is_rejected()
    {
        Assert.True(ConfigValue.TryListen("unix:/" + new string('a', 106), out _, out _));
        Assert.False(ConfigValue.TryListen("unix:/" + new string('a', 107), out _, out _));
    }

    [Theory]
    [InlineData("http://127.0.0.1:9001", "127.0.0.1", 9001)]
    [InlineData("HTTP://127.0.0.1:9001/", "127.0.0.1", 9001)]
    [InlineData("http://app", "app", 80)]
    [InlineData("http://[::1]", "::1", 80)]
    [InlineData("my_app:8080", "my_app", 8080)]
    [InlineData("[0:0::1]:8080", "::1", 8080)]
    [InlineData("unix:/run/app.sock", "/run/app.sock", 0)]
    public void Backend_address_is_read(string text, string host, int port)
    {
        Assert.True(ConfigValue.TryBackend(text, out BackendConfig? backend, out string? error), error);
        Assert.Equal(new BackendConfig { Host = host, Port = port }, backend);
    }

    [Theory]
    [InlineData("ftp://a:1", "'ftp://a:1' is not an http:// or https:// address; write http://host:port")]
    [InlineData("http://a:1/x", "'http://a:1/x' has more than host and port; write http://host:port")]
    [InlineData("http://u@a:1", "'http://u@a:1' has more than host and port; write http://host:port")]
    [InlineData("app", "'app' has no port from 0 to 65535; write host:port")]
    [InlineData("a:0", "'a:0' does not name a server; write http://host:port")]
    [InlineData("http://010.0.0.1:80", "'010.0.0.1' is neither a name nor an address that all programs read alike; "
        + "write four decimal numbers without leading zeros, such as 10.0.0.1")]
    [InlineData("1.2:80", "'1.2' is neither a name nor an address that all programs read alike; "
        + "write four decimal numbers without leading zeros, such as 10.0.0.1")]
    [InlineData("0x7f000001:80", "'0x7f000001' is neither a name nor an address that all programs read alike; "
        + "write four decimal numbers without leading zeros, such as 10.0.0.1")]
    [InlineData("a b:1", "'a b:1' does not name a server; write http://host:port")]
    [InlineData(":80", "':80' does not name a server; write http://host:port")]
    [InlineData("http://", "'http://' does not name a server; write http://host:port")]
    [InlineData("unix:", "'unix:' is not a socket; write unix:/path, at most 107 bytes")]
    public void Backend_address_that_is_none_is_rejected_with_advice(string text, string expected) =>
        Rejected<BackendConfig>(ConfigValue.TryBackend, text, expected);

    [Theory]
    [InlineData("round_robin", BalanceAlgorithm.RoundRobin)]
    [InlineData("round-robin", BalanceAlgorithm.RoundRobin)]
    [InlineData("RoundRobin", BalanceAlgorithm.RoundRobin)]
    [InlineData("least_connections", BalanceAlgorithm.LeastConnections)]
    [InlineData("least-connections", BalanceAlgorithm.LeastConnections)]
    [InlineData("least_conn", BalanceAlgorithm.LeastConnections)]
    [InlineData("random", BalanceAlgorithm.Random)]
    [InlineData("power_of_two", BalanceAlgorithm.PowerOfTwo)]
    [InlineData("p2c", BalanceAlgorithm.PowerOfTwo)]
    public void Balance_in_every_spelling_is_read(string text, BalanceAlgorithm expected)
    {
        Assert.True(ConfigValue.TryBalance(text, out BalanceAlgorithm value, out _));
        Assert.Equal(expected, value);
    }

    [Theory]
    [InlineData("quickest", "unknown value 'quickest'; write round_robin or least_connections or random or "
        + "power_of_two or least_time or hash or least_conn or p2c")]
    [InlineData("round_robbin", "unknown value 'round_robbin'; did you mean 'round_robin'?")]
    public void Balance_that_is_none_is_rejected_with_advice(string text, string expected) =>
        Rejected<BalanceAlgorithm>(ConfigValue.TryBalance, text, expected);

    [Theory]
    [InlineData("10.0.0.0/8", "10.0.0.0/8")]
    [InlineData("fd00::/8", "fd00::/8")]
    [InlineData("192.168.1.7", "192.168.1.7/32")]
    [InlineData("::1", "::1/128")]
    public void Network_is_read(string text, string expected)
    {
        Assert.True(ConfigValue.TryNetwork(text, out IPNetwork network, out _));
        Assert.Equal(IPNetwork.Parse(expected), network);
    }

    [Theory]
    [InlineData("10.0.0.0/33", "'10.0.0.0/33' is not a network; write 10.0.0.0/8 or one address")]
    [InlineData("10.0.0.1/8", "'10.0.0.1/8' has bits set beyond its prefix; write 10.0.0.0/8")]
    [InlineData("private", "'private' is not a network; write 10.0.0.0/8 or one address")]
    public void Network_that_is_none_is_rejected_with_advice(string text, string expected) =>
        Rejected<IPNetwork>(ConfigValue.TryNetwork, text, expected);

    [Theory]
    [InlineData("address", "address")]
    [InlineData("header:X-API-Key", "header:X-API-Key")]
    [InlineData("Query:client_id", "query:client_id")]
    public void Identity_is_read(string text, string expected)
    {
        Assert.True(ConfigValue.TryIdentity(text, out IdentitySource? source, out _));
        Assert.Equal(expected, source.ToString());
    }

    [Theory]
    [InlineData("adress", "'adress' does not identify a client; did you mean 'address'?")]
    [InlineData("cookie:x", "'cookie:x' does not identify a client; write address, header:NAME, query:NAME or "
        + "certificate:subject")]
    [InlineData("certificate:issuer", "'issuer' is no part of a certificate; write certificate:subject, "
        + "certificate:san or certificate:fingerprint")]
    [InlineData("header:a b", "'a b' is not a header name; write header:NAME")]
    [InlineData("query:", "'' is not a query name; write query:NAME")]
    public void Identity_that_is_none_is_rejected_with_advice(string text, string expected) =>
        Rejected<IdentitySource>(ConfigValue.TryIdentity, text, expected);

    [Fact]
    public void Message_shows_a_long_or_unprintable_value_short_and_on_one_line()
    {
        Assert.False(ConfigValue.TryDuration("a\nb" + new string('c', 1000), out _, out string? error));
        Assert.Equal($"'a?b{new string('c', 57)}…' is not a duration; write 500ms, 5s, 2m or 1h", error);
    }

    private static void Rejected<T>(Parser<T> parser, string text, string expected)
    {
        Assert.False(parser(text, out _, out string? error));
        Assert.Equal(expected, error);
    }
}
