using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Attacks;

/// <summary>Attempts of a client to get more than one bucket, or the bucket of another client; all must fail.</summary>
public sealed class IdentityAttackTests
{
    private const int Capacity = 5;

    private static ProxyConfig Limited(int port) => TestProxy.Config(port) with
    {
        Limits = new Dictionary<string, LimitConfig> { ["default"] = new(Capacity, 0.000_001) },
        Clients = new ClientsConfig
        {
            Identify =
            [
                new IdentitySource(IdentityKind.Header, "X-API-Key"),
                new IdentitySource(IdentityKind.Query, "client_id"),
                new IdentitySource(IdentityKind.Address, ""),
            ],
        },
        Routes = [new RouteConfig { Path = "/v1/*", Upstream = "web", Limits = ["default"] }],
    };

    /// <summary>The part that differs in each request; <c>%</c> is replaced by a number.</summary>
    [Theory]
    [InlineData("/v1/", "X-Forwarded-For: 10.0.0.%, 10.1.0.%\r\n")]
    [InlineData("/v1/", "Forwarded: for=10.0.0.%\r\nX-Real-IP: 10.0.0.%\r\n")]
    [InlineData("/v1/", "X-API-Key: unknown-%\r\n")]
    [InlineData("/v1/", "X-API-Key: unknown-%\r\nX-API-Key: other-%\r\n")]
    [InlineData("/v1/?client_id=%", "")]
    [InlineData("/v1/?client_id=a%&client_id=b%", "")]
    [InlineData("/v1/%", "")]
    [InlineData("/v1/?%", "")]
    public async Task Stranger_has_one_bucket_whatever_he_writes(string target, string fields)
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Limited(backend.Port));
        int admitted = 0;
        for (int i = 0; i < 3 * Capacity; i++)
        {
            string number = $"{i}";
            RawResponse response = await proxy.GetAsync(target.Replace("%", number, StringComparison.Ordinal),
                fields.Replace("%", number, StringComparison.Ordinal));
            admitted += response.Status == 200 ? 1 : 0;
        }
        Assert.Equal(Capacity, admitted);
    }

    /// <summary>A key is a string of bytes: a similar one belongs to no client, and white space around a value is not
    /// part of it.</summary>
    [Theory]
    [InlineData("X-API-Key: known\r\n", true)]
    [InlineData("x-api-key:\t known \r\n", true)]
    [InlineData("X-API-Key: KNOWN\r\n", false)]
    [InlineData("X-API-Key: known\u00a0\r\n", false)]
    [InlineData("X-API-Key: k%6eown\r\n", false)]
    [InlineData("X-API-Key: known, known\r\n", false)]
    [InlineData("X_API_Key: known\r\n", false)]
    public async Task Key_is_what_is_registered_byte_by_byte(string fields, bool known)
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Limited(backend.Port));
        proxy.Server.Limiter.Clients.Register("known", new LimitConfig(100, 1));
        RawResponse response = await proxy.GetAsync("/v1/", fields);
        Assert.StartsWith(known ? "\"client\";q=100" : "\"default\";q=5", response["RateLimit-Policy"]);
    }

    /// <summary>A client has used up its limit: no other spelling of its name reaches a backend that would still
    /// recognise the client.</summary>
    [Theory]
    [InlineData("/v1/", "X_API_Key: known\r\n", "200")]
    [InlineData("/v1/", "X.API-Key: known\r\n", "200")]
    [InlineData("/v1/", "X-API-Key: stranger\r\nX-API-Key: known\r\n", "400")]
    [InlineData("/v1/", "X-API-Key: known\r\nX-API-Key: stranger\r\n", "400")]
    [InlineData("/v1/?client_id=stranger&client_id=known", "", "400")]
    [InlineData("/v1/?client%5Fid=known", "", "429")]
    [InlineData("/v1/?CLIENT_ID=known", "", "429")]
    [InlineData("/v1/?client.id=known", "", "429")]
    [InlineData("/v1/?a=1;client_id=known", "", "429")]
    [InlineData("/v1/?client_id=known;a=1", "", "400")]
    [InlineData("/v1/?client_id=known", "X-API-Key: stranger\r\n", "429")]
    public async Task Exhausted_client_gets_no_further_by_another_spelling(string target, string fields, string status)
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Limited(backend.Port));
        proxy.Server.Limiter.Clients.Register("known", new LimitConfig(1, 0.000_001), 0);
        RawResponse response = await proxy.GetAsync(target, fields);
        Assert.Equal(status, $"{response.Status}");
        if (response.Status == 400)
        {
            Assert.Contains("\"fault\":\"client_ambiguous\"", response.Text, StringComparison.Ordinal);
        }
        Assert.DoesNotContain(backend.Heads, static h => h.Contains("known", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Key_of_200_kB_is_rejected_before_it_is_looked_up()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Limited(backend.Port));
        using RawClient client = proxy.Connect();
        try
        {
            await client.SendAsync($"GET /v1/ HTTP/1.1\r\nHost: a\r\nX-API-Key: {new string('k', 200_000)}\r\n\r\n");
        }
        catch (IOException)
        {
            // Answered and closed already.
        }
        Assert.Equal(431, (await client.ReadAsync())!.Status);
        await proxy.AssertQuietAsync();
    }
}
