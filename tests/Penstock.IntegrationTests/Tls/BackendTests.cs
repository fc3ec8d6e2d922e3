using Penstock.Proxy.Configuration;
using Penstock.Proxy.Upstreams;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Tls;

/// <summary>TLS towards backends: whose certificate is accepted, and what is said of one that is not.</summary>
public sealed class BackendTests
{
    private static readonly TestAuthority Authority = TestAuthority.Shared;
    private static readonly UpstreamTlsConfig Trusting = new() { Authorities = Authority.Text };

    [Fact]
    public async Task Backend_that_proves_its_name_gets_requests_on_connections_that_are_used_again()
    {
        await using var backend = new TlsBackend(Authority.Issue("127.0.0.1"));
        await using TestProxy proxy = Start(backend, Trusting);

        for (int i = 0; i < 5; i++)
        {
            RawResponse response = await proxy.GetAsync();
            Assert.Equal((200, "ok"), (response.Status, response.Text));
        }

        Assert.Equal(5, backend.Heads.Count);
        Assert.Single(backend.Names);
    }

    [Fact]
    public async Task Server_name_is_asked_for_and_must_be_proven_instead_of_the_address()
    {
        await using var backend = new TlsBackend(Authority.Issue("api.internal"));
        await using TestProxy named = Start(backend, Trusting with { ServerName = "api.internal" });
        await using TestProxy wrong = Start(backend, Trusting);

        Assert.Equal(200, (await named.GetAsync()).Status);
        Assert.Contains("api.internal", backend.Names);
        await FailsAsync(wrong, "the certificate of 127.0.0.1 is for api.internal, not 127.0.0.1");
    }

    [Fact]
    public async Task Certificate_that_is_not_accepted_is_named_with_its_reason()
    {
        await using var expired = new TlsBackend(Authority.Issue(["127.0.0.1"], rsa: false, from: -30, to: -2));
        await using var early = new TlsBackend(Authority.Issue(["127.0.0.1"], rsa: false, from: 2, to: 30));
        await using var stranger = new TlsBackend(new TestAuthority("Other CA").Issue("127.0.0.1"));

        await using (TestProxy proxy = Start(expired, Trusting))
        {
            await FailsAsync(proxy, "the certificate of 127.0.0.1 has expired on ");
        }
        await using (TestProxy proxy = Start(early, Trusting))
        {
            await FailsAsync(proxy, "the certificate of 127.0.0.1 is not valid before ");
        }
        await using (TestProxy proxy = Start(stranger, Trusting))
        {
            await FailsAsync(proxy, "the certificate of 127.0.0.1 was issued by 'CN=Other CA', which is not in ca.pem");
        }
        await using (TestProxy proxy = Start(stranger, new()))
        {
            await FailsAsync(proxy, "which this system does not trust: set tls.ca of the upstream");
        }
        await using TestProxy blind = Start(stranger, new() { Verify = false });
        Assert.Equal(200, (await blind.GetAsync()).Status);
    }

    [Fact]
    public async Task Backend_without_tls_is_told_and_the_request_goes_to_another()
    {
        await using var plain = new ScriptedBackend(static peer => peer.SendAsync("HTTP/1.1 400 Bad Request\r\n\r\n"));
        await using var secure = new TlsBackend(Authority.Issue("127.0.0.1"));
        await using TestProxy proxy = Start(Trusting, plain.Port, secure.Port);

        for (int i = 0; i < 4; i++)
        {
            Assert.Equal("ok", (await proxy.GetAsync()).Text);
        }

        Assert.Contains(proxy.Log.Lines, static line => line.Contains("does not speak TLS (wrong version number)"));
    }

    [Fact]
    public async Task Certificate_of_penstock_is_shown_to_a_backend_that_asks()
    {
        await using var backend = new TlsBackend(Authority.Issue("127.0.0.1"), clientCertificate: true);
        await using TestProxy with = Start(backend, Trusting with { Certificate = Authority.Issue("me").Config() });

        Assert.Equal(200, (await with.GetAsync()).Status);
        Assert.Contains("CN=me, O=Test", backend.ClientSubjects);

        await using TestProxy without = Start(backend, Trusting);
        Assert.Equal(502, (await without.GetAsync()).Status);
    }

    [Fact]
    public async Task Response_that_ends_without_a_close_notify_does_not_pass_as_whole()
    {
        await using var cut = new TlsBackend(Authority.Issue("127.0.0.1"),
            "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhalf of i");
        await using TestProxy proxy = Start(cut, Trusting);
        using RawClient client = proxy.Connect();

        await client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n");

        await Assert.ThrowsAnyAsync<Exception>(async () => await client.ReadAsync());
    }

    [Fact]
    public async Task Health_checks_check_the_certificate_too()
    {
        await using var good = new TlsBackend(Authority.Issue("127.0.0.1"));
        await using var wrong = new TlsBackend(Authority.Issue("x.test"));
        HealthCheckConfig check = new() { Path = "/health", Interval = TimeSpan.FromMilliseconds(50) };
        await using TestProxy proxy = Start(Trusting, check, good.Port, wrong.Port);

        await Eventually.TrueAsync(() => proxy.Server.Upstreams()[0].Backends is [
            { Health: BackendHealth.Up }, { Health: BackendHealth.Down }], "one is up, the other down");

        Assert.Equal("tls: the certificate of 127.0.0.1 is for x.test, not 127.0.0.1",
            proxy.Server.Upstreams()[0].Backends[1].Cause);
        Assert.Contains(good.Heads, static head => head.StartsWith("GET /health", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Reload_that_no_longer_trusts_the_authority_ends_pooled_connections_too()
    {
        await using var backend = new TlsBackend(Authority.Issue("127.0.0.1"));
        await using TestProxy proxy = Start(backend, Trusting);
        Assert.Equal(200, (await proxy.GetAsync()).Status);
        ProxyConfig config = proxy.Server.Config;

        proxy.Apply(config with
        {
            Upstreams = [config.Upstreams[0] with { Tls = new() { Authorities = new TestAuthority("New CA").Text } }],
        });

        await FailsAsync(proxy, "was issued by 'CN=Test CA', which is not in ca.pem");
    }

    private static async Task FailsAsync(TestProxy proxy, string cause)
    {
        Assert.Equal(502, (await proxy.GetAsync()).Status);
        await Eventually.TrueAsync(() => proxy.Log.Lines.Any(line => line.Contains(cause)),
            $"the log says: {cause}; it has {string.Join('\n', proxy.Log.Lines)}");
    }

    private static TestProxy Start(TlsBackend backend, UpstreamTlsConfig tls) => Start(tls, backend.Port);

    private static TestProxy Start(UpstreamTlsConfig tls, params int[] ports) => Start(tls, null, ports);

    private static TestProxy Start(UpstreamTlsConfig tls, HealthCheckConfig? check, params int[] ports)
    {
        ProxyConfig config = TestProxy.Config();
        return new(config with
        {
            Upstreams = [config.Upstreams[0] with
            {
                Tls = tls, HealthCheck = check,
                Backends = [.. ports.Select(static port => TestProxy.Backend(port) with { IsTls = true })],
            }],
        });
    }
}
