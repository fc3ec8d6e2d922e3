using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Penstock.IntegrationTests.Scenarios;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>Ids that the API accepts or rejects, and how the data plane uses them.</summary>
public sealed class IdTests : ProgramScenarios
{
    private const string Limit = """{"capacity":1,"rate_per_sec":1}""";

    [Theory]
    [InlineData("1001")]
    [InlineData("42")]
    [InlineData("1.2")]
    [InlineData("010.0.0.1")]
    [InlineData("123.5.6.7:890")]
    [InlineData("caf\u00e9;x&y=z+%41")]
    public async Task Id_that_looks_like_an_address_or_needs_escaping_is_held_to_its_limit(string id)
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using PenstockProcess penstock = await ShortAsync(backend.Port, "");
        HttpResponseMessage put = await Http.PutAsJsonAsync(new Uri(Admin, "clients/" + Uri.EscapeDataString(id)),
            new { capacity = 2, rate_per_sec = 0.0001 });
        put.EnsureSuccessStatusCode();
        Assert.DoesNotContain("warnings", await put.Content.ReadAsStringAsync());

        var proxy = new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, Port);
        using var client = new RawClient(proxy);
        string target = "/?client_id=" + Uri.EscapeDataString(id);
        Assert.Equal(200, (await client.GetAsync(target)).Status);
        Assert.Equal(200, (await client.GetAsync(target)).Status);
        Assert.Equal(429, (await client.GetAsync(target)).Status);
        string field = Encoding.Latin1.GetString(Encoding.UTF8.GetBytes($"X-API-Key: {id}\r\n")); // bytes as they are
        Assert.Equal(429, (await client.GetAsync("/", field)).Status);
        Assert.Equal("\"default\";q=50;w=180000", (await client.GetAsync())["RateLimit-Policy"]);
    }

    [Fact]
    public async Task Exempt_number_is_an_id_and_not_an_address()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using PenstockProcess penstock = await ShortAsync(backend.Port, "clients: { exempt: [1001] }");
        using var client = new RawClient(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, Port));
        Assert.Null((await client.GetAsync("/", "X-API-Key: 1001\r\n"))["RateLimit"]);
        Assert.NotNull((await client.GetAsync("/", "X-API-Key: 1002\r\n"))["RateLimit"]);
    }

    [Fact]
    public async Task Registered_network_holds_those_who_come_from_it_whatever_ipv6_prefix_is()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using PenstockProcess penstock = await ShortAsync(backend.Port,
            "clients: { ipv6_prefix: 48, trusted_proxies: [127.0.0.1] }");
        foreach (string id in new[] { "192.0.2.0/24", "192.0.2.9", "2001:db8::/64", "2001:db8:0:1::1" })
        {
            (await Http.PutAsJsonAsync(new Uri(Admin, "clients/" + Uri.EscapeDataString(id)),
                new { capacity = 100, rate_per_sec = 0.0001 })).EnsureSuccessStatusCode();
        }
        Assert.Equal("192.0.2.0/24", await ClientOfAsync("192.0.2.77"));
        Assert.Equal("192.0.2.9", await ClientOfAsync("192.0.2.9"));
        Assert.Equal("192.0.2.9", await ClientOfAsync("::ffff:192.0.2.9"));
        Assert.Equal("2001:db8::/64", await ClientOfAsync("2001:db8::abcd"));
        Assert.Equal("2001:db8:0:1::1", await ClientOfAsync("2001:db8:0:1::1"));
        Assert.Equal("2001:db8::/48", await ClientOfAsync("2001:db8:0:1::2"));
        using var client = new RawClient(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, Port));
        Assert.Equal("\"client\";q=100;w=1000000",
            (await client.GetAsync("/", "X-Forwarded-For: 192.0.2.4:1234\r\n"))["RateLimit-Policy"]);
        Assert.StartsWith("\"default\"", // an address that somebody writes into a field
            (await client.GetAsync("/", "X-API-Key: 192.0.2.9\r\n"))["RateLimit-Policy"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("::ffff:192.0.2.9", "write 192.0.2.9")]
    [InlineData("2001:DB8::1", "write 2001:db8::1")]
    [InlineData("2001:db8::1/64", "write 2001:db8::/64")]
    [InlineData("a\u200bb", "printable")]
    [InlineData("a\u202eb", "printable")]
    [InlineData("sha256:AB", "sha256sum")]
    public async Task Id_that_nothing_matches_is_rejected_everywhere(string id, string message)
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        string row = JsonSerializer.Serialize(new { client_id = id, capacity = 1, rate_per_sec = 1 });
        (await admin.SendAsync("POST", "/clients", row)).IsError(400, message);
        (await admin.SendAsync("PUT", "/clients/" + Uri.EscapeDataString(id), Limit)).IsError(400, message);
        (await admin.SendAsync("POST", "/clients/import", row, "application/x-ndjson")).IsError(400, message);
        (await admin.SendAsync("POST", "/clients/import", $"client_id,capacity,rate_per_sec\n{id},1,1\n", "text/csv"))
            .IsError(400, message);
    }

    [Fact]
    public async Task Registered_client_is_recognised_without_a_word_about_clients()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using PenstockProcess penstock = await ShortAsync(backend.Port, "");
        (await Http.PutAsJsonAsync(new Uri(Admin, "clients/user1"), new { capacity = 3, rate_per_sec = 0.0001 }))
            .EnsureSuccessStatusCode();
        using var client = new RawClient(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, Port));
        Assert.Equal(200, (await client.GetAsync("/", "X-API-Key: user1\r\n")).Status);
        Assert.Equal(200, (await client.GetAsync("/", "X-Client-ID: user1\r\n")).Status);
        Assert.Equal(200, (await client.GetAsync("/?client_id=user1")).Status);
        Assert.Equal(429, (await client.GetAsync("/", "X-API-Key: user1\r\n")).Status);
    }

    [Fact]
    public async Task Client_that_no_request_can_name_is_registered_with_a_warning()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using PenstockProcess penstock = await ShortAsync(backend.Port,
            "clients: { identify: address, exempt: [10.0.0.0/8] }");
        JsonElement put = await PutAsync("user1");
        Assert.Contains("clients.identify", put.GetProperty("warnings")[0].GetString());
        Assert.Contains("clients.exempt", (await PutAsync("10.0.0.1")).GetProperty("warnings")[0].GetString());
        Assert.Contains("Unix domain socket", (await PutAsync("unix")).GetProperty("warnings")[0].GetString());
        Assert.False((await PutAsync("192.0.2.1")).TryGetProperty("warnings", out _));

        HttpResponseMessage imported = await Http.PostAsync(new Uri(Admin, "clients/import"), new StringContent(
            "client_id,capacity,rate_per_sec\na,1,1\nb,1,1\n192.0.2.2,1,1\n", Encoding.UTF8, "text/csv"));
        Assert.StartsWith("2 of these clients: ", (await imported.Content.ReadFromJsonAsync<JsonElement>())
            .GetProperty("warnings")[0].GetString(), StringComparison.Ordinal);

        // A caller may send back what it has read.
        JsonElement read = await Http.GetFromJsonAsync<JsonElement>(new Uri(Admin, "clients/user1"));
        Assert.True(read.TryGetProperty("warnings", out _));
        (await Http.PutAsJsonAsync(new Uri(Admin, "clients/user1"), read)).EnsureSuccessStatusCode();
    }

    [Fact]
    public async Task Strangers_are_answered_401_where_they_are_not_wanted()
    {
        await using var backend = ScriptedBackend.Always("ok");
        await using PenstockProcess penstock = await ShortAsync(backend.Port,
            "clients: { unknown: reject, exempt: [monitor, 192.0.2.0/24], trusted_proxies: [127.0.0.1] }");
        await PutAsync("user1");
        await PutAsync("198.51.100.7");
        using var client = new RawClient(new System.Net.IPEndPoint(System.Net.IPAddress.Loopback, Port));
        RawResponse stranger = await client.GetAsync("/", "X-API-Key: nobody\r\n");
        Assert.Equal((401, "ApiKey realm=\"penstock\"", "application/json"),
            (stranger.Status, stranger["WWW-Authenticate"], stranger["Content-Type"]));
        JsonElement body = JsonElement.Parse(stranger.Body);
        Assert.Equal((401, "This client is not registered"),
            (body.GetProperty("code").GetInt32(), body.GetProperty("message").GetString()));
        Assert.Equal(401, (await client.GetAsync()).Status);
        Assert.Equal(200, (await client.GetAsync("/", "X-API-Key: user1\r\n")).Status);
        Assert.Equal(200, (await client.GetAsync("/", "X-API-Key: monitor\r\n")).Status);
        Assert.Equal(200, (await client.GetAsync("/", "X-Forwarded-For: 198.51.100.7\r\n")).Status);
        Assert.Equal(200, (await client.GetAsync("/", "X-Forwarded-For: 192.0.2.1\r\n")).Status);
        Assert.Equal(4, backend.Heads.Count);

        JsonElement said = await ExplainAsync(new { headers = new Dictionary<string, string> { ["X-API-Key"] = "x" } });
        Assert.Equal("unknown_client", said.GetProperty("verdict").GetString());
        JsonElement rejections = await Http.GetFromJsonAsync<JsonElement>(new Uri(Admin, "rejections"));
        Assert.Contains(rejections.GetProperty("items").EnumerateArray(),
            static r => r.GetProperty("limit").GetString() == "unknown_client");
        await Eventually.TrueAsync(() => File.Exists(Log) && File.ReadAllText(Log).Contains(
            "\"reason\":\"unknown_client\"", StringComparison.Ordinal), "the access log tells the reason");
    }

    private string Log => Path.Combine(Folder, "access.log");

    private async Task<PenstockProcess> ShortAsync(int backendPort, string more)
    {
        await File.WriteAllTextAsync(Path.Combine(Folder, "penstock.yaml"), $$"""
            listen: 127.0.0.1:{{Port}}
            admin: { listen: "127.0.0.1:{{AdminPort}}" }
            access_log: ./access.log
            store: memory
            backends: [http://127.0.0.1:{{backendPort}}]
            limits: { default: { capacity: 50, rate: 1/h } }
            {{more}}
            """);
        return await PenstockProcess.StartedAsync(Folder, "run");
    }

    private async Task<JsonElement> PutAsync(string id)
    {
        HttpResponseMessage put = await Http.PutAsJsonAsync(new Uri(Admin, "clients/" + Uri.EscapeDataString(id)),
            new { capacity = 100, rate_per_sec = 1 });
        put.EnsureSuccessStatusCode();
        return await put.Content.ReadFromJsonAsync<JsonElement>();
    }

    private async Task<string?> ClientOfAsync(string address) =>
        (await ExplainAsync(new { client_address = address })).GetProperty("client").GetString();

    private async Task<JsonElement> ExplainAsync(object request)
    {
        HttpResponseMessage response = await Http.PostAsJsonAsync(new Uri(Admin, "explain"), request);
        response.EnsureSuccessStatusCode();
        return await response.Content.ReadFromJsonAsync<JsonElement>();
    }
}
