using System.Text.Json;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Limits;

/// <summary>Each client has its own bucket, seen from outside.</summary>
public sealed class LimitingTests
{
    private static ProxyConfig Limited(ScriptedBackend backend, long capacity, double rate) =>
        TestProxy.Config(backend.Port) with
        {
            Limits = new Dictionary<string, LimitConfig> { ["default"] = new(capacity, rate) },
            Clients = new ClientsConfig
            {
                Identify =
                [
                    new IdentitySource(IdentityKind.Header, "X-Client-ID"),
                    new IdentitySource(IdentityKind.Query, "client_id"),
                    new IdentitySource(IdentityKind.Address, ""),
                ],
            },
        };

    [Fact]
    public async Task Exhausted_bucket_answers_429_with_everything_a_client_needs()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Limited(backend, 3, 0.1));
        using RawClient client = proxy.Connect();
        for (int left = 2; left >= 0; left--)
        {
            RawResponse ok = await client.GetAsync();
            Assert.Equal(200, ok.Status);
            Assert.Equal("\"default\";q=3;w=30", ok["RateLimit-Policy"]);
            Assert.Equal($"\"default\";r={left};t=10", ok["RateLimit"]);
        }
        RawResponse rejected = await client.GetAsync();
        Assert.Equal(429, rejected.Status);
        Assert.Equal("\"default\";q=3;w=30", rejected["RateLimit-Policy"]);
        Assert.Equal("\"default\";r=0;t=10", rejected["RateLimit"]);
        Assert.Equal("10", rejected["Retry-After"]);
        Assert.Equal("application/json", rejected["Content-Type"]);
        using JsonDocument body = JsonDocument.Parse(rejected.Body);
        Assert.Equal(429, body.RootElement.GetProperty("code").GetInt32());
        Assert.Equal("Rate limit exceeded", body.RootElement.GetProperty("message").GetString());
        Assert.Equal("default", body.RootElement.GetProperty("limit").GetString());
        Assert.Equal("127.0.0.1", body.RootElement.GetProperty("client").GetString());
        Assert.Equal(10, body.RootElement.GetProperty("retry_after").GetInt32());
        Assert.Equal(rejected["X-Request-Id"], body.RootElement.GetProperty("request_id").GetString());
        Assert.Equal(3, backend.Heads.Count);
    }

    [Theory]
    [InlineData("/?client_id=client9", "")]
    [InlineData("/?x=1&client_id=client%39", "")]
    [InlineData("/", "X-Client-ID: client9\r\n")]
    public async Task Registered_client_has_its_own_bucket_by_header_and_query(string target, string field)
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Limited(backend, 1, 0.001));
        proxy.Server.Limiter.Clients.Register("client9", new LimitConfig(100, 0.001), 5);
        using RawClient client = proxy.Connect();
        Assert.Equal(5, await AdmittedAsync(client, 8, target, field));
        Assert.Equal(1, await AdmittedAsync(client, 3, "/", ""));
        proxy.Server.Limiter.Clients.Register("client9", new LimitConfig(1000, 0.001), 7);
        Assert.Equal(7, await AdmittedAsync(client, 10, target, field));
    }

    [Fact]
    public async Task Unregistered_identifier_does_not_buy_a_fresh_bucket()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Limited(backend, 4, 0.001));
        using RawClient client = proxy.Connect();
        int admitted = 0;
        for (int i = 0; i < 10; i++)
        {
            admitted += await AdmittedAsync(client, 1, "/", $"X-Client-ID: invented{i}\r\n");
        }
        Assert.Equal(4, admitted);
    }

    [Fact]
    public async Task Unregistered_identifier_has_its_own_bucket_when_asked_for()
    {
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = Limited(backend, 4, 0.001);
        await using var proxy = new TestProxy(config with
        {
            Clients = config.Clients with { Unknown = UnknownClients.Own },
        });
        using RawClient client = proxy.Connect();
        Assert.Equal(4, await AdmittedAsync(client, 6, "/", "X-Client-ID: one\r\n"));
        Assert.Equal(4, await AdmittedAsync(client, 6, "/", "X-Client-ID: two\r\n"));
    }

    [Fact]
    public async Task Forwarded_address_counts_only_behind_a_trusted_proxy()
    {
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = Limited(backend, 2, 0.001);
        await using (var open = new TestProxy(config))
        {
            using RawClient client = open.Connect();
            Assert.Equal(1, await AdmittedAsync(client, 1, "/", "X-Forwarded-For: 1.1.1.1\r\n"));
            Assert.Equal(1, await AdmittedAsync(client, 3, "/", "X-Forwarded-For: 2.2.2.2\r\n"));
        }
        await using var behind = new TestProxy(config with
        {
            Clients = config.Clients with { TrustedProxies = [System.Net.IPNetwork.Parse("127.0.0.0/8")] },
        });
        using RawClient trusted = behind.Connect();
        Assert.Equal(2, await AdmittedAsync(trusted, 3, "/", "X-Forwarded-For: 9.9.9.9, 1.1.1.1\r\n"));
        Assert.Equal(0, await AdmittedAsync(trusted, 1, "/", "X-Forwarded-For: 8.8.8.8, 1.1.1.1\r\n"));
        Assert.Equal(2, await AdmittedAsync(trusted, 3, "/", "X-Forwarded-For: 2.2.2.2\r\n"));
    }

    [Fact]
    public async Task Many_connections_of_one_client_share_exactly_one_bucket()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Limited(backend, 500, 0.001) with { Loops = 4 });
        int[] admitted = await Task.WhenAll(Enumerable.Range(0, 16).Select(async _ =>
        {
            using RawClient client = proxy.Connect();
            return await AdmittedAsync(client, 60, "/", "");
        }));
        Assert.Equal(500, admitted.Sum());
    }

    private static async Task<int> AdmittedAsync(RawClient client, int requests, string target, string field)
    {
        int admitted = 0;
        for (int i = 0; i < requests; i++)
        {
            int status = (await client.GetAsync(target, field)).Status;
            Assert.True(status is 200 or 429, $"status {status}");
            admitted += status == 200 ? 1 : 0;
        }
        return admitted;
    }
}
