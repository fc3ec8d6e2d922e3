using System.Net;
using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>A name that leads to an IPv4 and an IPv6 address, and a server that listens on one of them.</summary>
public sealed class EitherFamilyTests
{
    private const string Ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public async Task Server_is_found_where_it_listens(string address)
    {
        await using var backend = new ScriptedBackend(static async peer =>
        {
            await peer.ReadRequestAsync();
            await peer.SendAsync(Ok);
        }, IPAddress.Parse(address));
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Upstreams = [config.Upstreams[0] with
            {
                Backends = [new BackendConfig { Host = "localhost", Port = backend.Port }],
                HealthCheck = new HealthCheckConfig { Path = "/health", Initial = InitialHealth.Down, Rise = 1 },
            }],
        });
        // Independent of how this machine resolves localhost.
        Upstream web = proxy.Server.Topology.Upstreams[0];
        web.Resolve("localhost", [IPAddress.Loopback, IPAddress.IPv6Loopback], joins: false);
        await Eventually.TrueAsync(
            () => web.Backends[0] is { Alternate: not null, Health.Health: BackendHealth.Up }, "its check passes");
        for (int i = 0; i < 3; i++)
        {
            RawResponse response = await proxy.GetAsync();
            Assert.Equal((200, "ok"), (response.Status, response.Text));
        }
        web.Backends[0].ForgetPreference();
        Assert.Equal(200, (await proxy.GetAsync("/once-more")).Status);
        Assert.Equal(address == "::1", web.Backends[0].AddressesToTry().First == web.Backends[0].Alternate);
        BackendStatus status = proxy.Server.Upstreams()[0].Backends.Single();
        Assert.Equal(($"127.0.0.1:{backend.Port}", 0L), (status.Address, status.Failures));
    }

    [Fact]
    public async Task Server_that_listens_nowhere_is_a_503()
    {
        var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = TestProxy.Config(backend.Port);
        await using var proxy = new TestProxy(config with
        {
            Upstreams = [config.Upstreams[0] with
            {
                Backends = [new BackendConfig { Host = "localhost", Port = backend.Port }],
            }],
        });
        proxy.Server.Topology.Upstreams[0].Resolve("localhost", [IPAddress.Loopback, IPAddress.IPv6Loopback],
            joins: false);
        await backend.DisposeAsync();
        Assert.Equal(503, (await proxy.GetAsync()).Status);
        await proxy.AssertQuietAsync();
    }
}
