using System.Net;
using System.Text.Json;
using Penstock.IntegrationTests.Store;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary><c>GET /status</c> and <c>GET /buckets/lowest</c>.</summary>
public sealed class StatusTests
{
    [Fact]
    public async Task Status_shows_what_has_happened_since_the_start()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync(change: static config => config with
        {
            Proxy = config.Proxy with
            {
                Limits = new Dictionary<string, Proxy.Configuration.LimitConfig> { ["default"] = new(1, 0.001) },
            },
        });
        using (var client = new RawClient((IPEndPoint)admin.Host.Proxy.EndPoints.Single()))
        {
            Assert.Equal(503, (await client.GetAsync("/")).Status);
            Assert.Equal(429, (await client.GetAsync("/")).Status);
        }

        await Eventually.TrueAsync(async () => (await RequestsAsync(admin)).GetProperty("total").GetInt64() == 2,
            "both requests are counted");
        Answer status = await admin.SendAsync("GET", "/status");

        JsonElement requests = status["requests"];
        Assert.Equal(1, requests.GetProperty("by_status").GetProperty("429").GetInt64());
        Assert.Equal(1, requests.GetProperty("by_reason").GetProperty("rate_limited").GetInt64());
        Assert.Equal(1, requests.GetProperty("by_reason").GetProperty("connect_failed").GetInt64());
        JsonElement[] durations = [.. requests.GetProperty("durations").EnumerateArray()];
        Assert.Equal(2, durations.Sum(static one => one.GetProperty("count").GetInt64()));
        Assert.Equal(JsonValueKind.Null, durations[^1].GetProperty("up_to_seconds").ValueKind);
        JsonElement limit = status["limits"].EnumerateArray()
            .Single(static one => one.GetProperty("name").GetString() == "default");
        Assert.Equal((1, 1, 1), (limit.GetProperty("capacity").GetInt64(), limit.GetProperty("admitted").GetInt64(),
            limit.GetProperty("rejected").GetInt64()));
        Assert.Equal($"http://{admin.Host.Proxy.EndPoints.Single()}", status["listeners"][0].GetString());
        Assert.Equal("memory", status["store"].GetProperty("name").GetString());
        Assert.Equal(0, status["warnings"].GetArrayLength());
        Assert.InRange(status["uptime_seconds"].GetDouble(), 0, 3600 * 24);
    }

    [Fact]
    public async Task Status_warns_of_a_store_that_fails_and_of_a_stop()
    {
        using var file = new StoreFile();
        await using AdminFixture admin = await AdminFixture.StartAsync(file.Setting);
        file.Break();
        (await admin.SendAsync("PUT", "/clients/a", """{"capacity":1,"rate_per_sec":1}""")).IsError(503);

        Assert.StartsWith("the store fails, so edits are rejected: ",
            (await admin.SendAsync("GET", "/status"))["warnings"][0].GetString());

        await admin.Host.Proxy.StopAsync(new(canceled: true));
        Assert.Contains("Penstock is stopping", (await admin.SendAsync("GET", "/status"))["warnings"].GetRawText());
    }

    [Fact]
    public async Task Emptiest_buckets_come_first_and_full_ones_not_at_all()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        await admin.CreateAsync("half", capacity: 100, tokens: 50);
        await admin.CreateAsync("full", capacity: 10, tokens: 10);
        await admin.CreateAsync("empty", capacity: 1000, tokens: 0);
        await admin.CreateAsync("low", capacity: 10, tokens: 1);
        Assert.Equal(201, (await admin.SendAsync("PUT", "/clients/blocked", """{"access":"blocked"}""")).Status);

        Answer all = await admin.SendAsync("GET", "/buckets/lowest");
        Answer two = await admin.SendAsync("GET", "/buckets/lowest?limit=2");

        Assert.Equal(["empty", "low", "half"], Ids(all));
        Assert.Equal(["empty", "low"], Ids(two));
        Assert.Equal(1000, all["items"][0].GetProperty("capacity").GetInt64());
        (await admin.SendAsync("GET", "/buckets/lowest?limit=0"))
            .HasFaults("limit must be a whole number from 1 to 1000");
    }

    private static async Task<JsonElement> RequestsAsync(AdminFixture admin) =>
        (await admin.SendAsync("GET", "/status"))["requests"];

    private static IEnumerable<string?> Ids(Answer answer) =>
        answer["items"].EnumerateArray().Select(static item => item.GetProperty("client_id").GetString());
}
