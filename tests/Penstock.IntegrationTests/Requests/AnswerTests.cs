using System.Net;
using Penstock.Proxy;
using Penstock.Proxy.Configuration;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Requests;

/// <summary>What browsers and people see of Penstock's own answers.</summary>
public sealed class AnswerTests
{
    private const string Preflight = "Origin: https://app.example\r\nAccess-Control-Request-Method: PUT\r\n";

    private static ProxyConfig Config(int port, bool free = false) => TestProxy.Config(port) with
    {
        Limits = new Dictionary<string, LimitConfig> { ["default"] = new(2, 0.001) },
        Clients = new ClientsConfig { ExemptPreflights = free },
        Answers =
        [
            new(400, 599) { Fields = [new("Access-Control-Allow-Origin", "{{origin}}")] },
            new(429, 429) { Body = "<h1>{{message}}</h1>", ContentType = "text/html" },
        ],
    };

    private static async Task<RawResponse> OptionsAsync(RawClient client, string fields)
    {
        await client.SendAsync($"OPTIONS /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        return (await client.ReadAsync())!;
    }

    [Fact]
    public async Task Answers_of_our_own_look_as_configured_and_change_with_a_reload()
    {
        await using var backend = ScriptedBackend.Always("ok");
        ProxyConfig config = Config(backend.Port);
        await using var proxy = new TestProxy(config);
        using RawClient client = proxy.Connect();
        Assert.Equal("ok", (await client.GetAsync()).Text);
        Assert.Equal("ok", (await client.GetAsync()).Text);
        RawResponse rejected = await client.GetAsync("/", "Origin: https://app.example\r\n");
        Assert.Equal(429, rejected.Status);
        Assert.Equal("https://app.example", rejected["Access-Control-Allow-Origin"]);
        Assert.Equal("text/html", rejected["Content-Type"]);
        Assert.Equal("<h1>Rate limit exceeded</h1>", rejected.Text);

        Assert.Empty(proxy.Apply(config with { Answers = [new(429, 429) { Body = "later" }] }));
        rejected = await client.GetAsync("/", "Origin: https://app.example\r\n");
        Assert.Equal("later", rejected.Text);
        Assert.Null(rejected["Access-Control-Allow-Origin"]);
        await proxy.AssertQuietAsync();
    }

    [Fact]
    public async Task Preflights_that_are_free_take_no_token_and_are_let_in_without_one()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Config(backend.Port, free: true));
        using RawClient client = proxy.Connect();
        for (int i = 0; i < 5; i++)
        {
            RawResponse response = await OptionsAsync(client, Preflight);
            Assert.Equal(200, response.Status);
            Assert.Null(response["RateLimit"]);
        }
        Assert.Equal(200, (await client.GetAsync()).Status);

        // Other requests count: those without a browser's fields, or with another method than OPTIONS.
        Assert.Equal(200, (await OptionsAsync(client, "Origin: https://app.example\r\n")).Status);
        Assert.Equal(429, (await OptionsAsync(client, "Access-Control-Request-Method: PUT\r\n")).Status);
        Assert.Equal(429, (await client.GetAsync("/", Preflight)).Status);
        Assert.Equal(200, (await OptionsAsync(client, Preflight)).Status);
        Explanation explained = await proxy.Server.ExplainAsync(new HypotheticalRequest("OPTIONS", "a", "/x",
            [new("Origin", "https://app.example"), new("Access-Control-Request-Method", "PUT")], IPAddress.Loopback));
        Assert.Equal("ok", explained.Verdict);
    }

    [Fact]
    public async Task Preflights_count_unless_they_are_free()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using var proxy = new TestProxy(Config(backend.Port));
        using RawClient client = proxy.Connect();
        Assert.Equal(200, (await OptionsAsync(client, Preflight)).Status);
        Assert.Equal(200, (await OptionsAsync(client, Preflight)).Status);
        Assert.Equal(429, (await OptionsAsync(client, Preflight)).Status);
    }
}
