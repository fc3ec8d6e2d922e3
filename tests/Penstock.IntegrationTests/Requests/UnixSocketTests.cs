using System.Net.Sockets;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>Clients that connect over a Unix domain socket, usually a proxy in front.</summary>
public sealed class UnixSocketTests : IDisposable
{
    private const UnixFileMode Group = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.GroupRead
        | UnixFileMode.GroupWrite;

    private readonly string _path = Path.Combine(Path.GetTempPath(), $"penstock-{Guid.NewGuid():N}.sock");

    public void Dispose() => File.Delete(_path);

    private ProxyConfig Config(int port, bool trusted, UnixFileMode? mode = null, bool proxyProtocol = false) =>
        TestProxy.Config(port) with
        {
            Listeners = [new ListenerConfig(new UnixDomainSocketEndPoint(_path), _path, proxyProtocol, mode)],
            Clients = new ClientsConfig { TrustUnixSockets = trusted },
            Limits = new Dictionary<string, LimitConfig> { ["default"] = new(1, 0.001) },
        };

    private async Task<int> GetAsync(string fields = "", string before = "")
    {
        using var client = new RawClient(new UnixDomainSocketEndPoint(_path));
        await client.SendAsync($"{before}GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        return (await client.ReadAsync())!.Status;
    }

    [Fact]
    public async Task Proxy_in_front_that_is_trusted_tells_who_asks()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Config(backend.Port, trusted: true));
        Assert.Equal(200, await GetAsync("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n"));
        Assert.Equal(200, await GetAsync("X-Forwarded-For: 192.0.2.2\r\n"));
        Assert.Equal(429, await GetAsync("X-Forwarded-For: 6.6.6.6, 192.0.2.1\r\n"));
        string head = backend.Heads.First();
        Assert.Equal("192.0.2.1", Wire.Field(head, "X-Forwarded-For"));
        Assert.Equal("https", Wire.Field(head, "X-Forwarded-Proto"));
    }

    [Fact]
    public async Task Client_that_is_not_trusted_says_nothing_about_itself_and_is_one_with_all_others()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Config(backend.Port, trusted: false));
        Assert.Equal(200, await GetAsync("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n"));
        Assert.Equal(429, await GetAsync("X-Forwarded-For: 192.0.2.2\r\n"));
        string head = Assert.Single(backend.Heads);
        Assert.Null(Wire.Field(head, "X-Forwarded-For"));
        Assert.Equal("http", Wire.Field(head, "X-Forwarded-Proto"));
    }

    [Fact]
    public async Task Proxy_protocol_tells_who_asks_over_a_unix_socket_too()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Config(backend.Port, trusted: true, proxyProtocol: true));
        Assert.Equal(200, await GetAsync("X-Forwarded-For: 6.6.6.6\r\n", "PROXY TCP4 192.0.2.1 192.0.2.9 1 80\r\n"));
        Assert.Equal(200, await GetAsync("", "PROXY TCP4 192.0.2.2 192.0.2.9 1 80\r\n"));
        Assert.Equal(429, await GetAsync("", "PROXY TCP4 192.0.2.1 192.0.2.9 2 80\r\n"));
        Assert.Equal("192.0.2.1", Wire.Field(backend.Heads.First(), "X-Forwarded-For"));
    }

    [Fact]
    public async Task Mode_of_the_socket_is_what_was_written_also_after_a_reload()
    {
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = Config(backend.Port, trusted: true, Group);
        await using var proxy = new TestProxy(config);
        Assert.Equal(Group, File.GetUnixFileMode(_path));
        ProxyConfig wider = Config(backend.Port, trusted: true,
            Group | UnixFileMode.OtherRead | UnixFileMode.OtherWrite);
        Assert.Empty(proxy.Apply(wider));
        Assert.Equal(wider.Listeners[0].Mode, File.GetUnixFileMode(_path));
        Assert.Equal(200, await GetAsync());
    }
}
