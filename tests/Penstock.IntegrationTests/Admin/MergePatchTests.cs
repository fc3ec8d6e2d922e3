using System.Text.Json.Nodes;
using Penstock.Proxy.Configuration;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>PATCH merges as RFC 7396 says: after a successful PATCH the resource is what the algorithm of the RFC makes
/// of the resource before and the body. Compared for random bodies.</summary>
public sealed class MergePatchTests(ITestOutputHelper output)
{
    private const int Rounds = 300;

    private static readonly string[] ClientValues =
    [
        "\"capacity\":7", "\"capacity\":90", "\"rate_per_sec\":0.001", "\"rate_per_sec\":0.002", "\"access\":null",
        "\"access\":\"blocked\"", "\"access\":\"exempt\"", "\"access\":\"limited\"", "\"limits\":null",
        "\"limits\":{}", "\"limits\":{\"search\":null}", "\"limits\":{\"search\":{\"capacity\":3}}",
        "\"limits\":{\"search\":{\"rate_per_sec\":0.003}}", "\"limits\":{\"login\":null,\"search\":null}",
        "\"limits\":{\"search\":{\"capacity\":4,\"rate_per_sec\":0.004}}",
        "\"limits\":{\"login\":{\"capacity\":5,\"rate_per_sec\":0.005},\"search\":{\"capacity\":6}}",
    ];

    private static readonly string[] PlanValues =
        ["\"capacity\":7", "\"capacity\":90", "\"rate_per_sec\":0.001", "\"rate_per_sec\":0.002"];

    private static readonly string[] BackendValues =
    [
        "\"weight\":7", "\"weight\":200", "\"weight\":null", "\"state\":\"drain\"", "\"state\":\"maintenance\"",
        "\"state\":\"ready\"", "\"state\":null",
    ];

    /// <summary>What a member is when it is absent.</summary>
    private static readonly Dictionary<string, string> Absent = new()
    {
        ["access"] = "\"limited\"", ["limits"] = "{}", ["state"] = "\"ready\"", ["weight"] = "1",
    };

    [Fact]
    public async Task Patch_of_any_resource_merges_as_the_RFC_says()
    {
        int seed = Random.Shared.Next();
        output.WriteLine($"seed {seed}");
        var random = new Random(seed);
        await using AdminFixture admin = await AdminFixture.StartAsync(change: static config => config with
        {
            Proxy = config.Proxy with
            {
                Limits = new Dictionary<string, LimitConfig> { ["search"] = new(9, 1), ["login"] = new(9, 1) },
            },
        });
        await admin.SendAsync("PUT", "/clients/a", """{"capacity":50,"rate_per_sec":0.001}""");
        await admin.SendAsync("PUT", "/plans/gold", """{"capacity":50,"rate_per_sec":0.001}""");
        int merged = 0;
        for (int i = 0; i < Rounds; i++)
        {
            (string path, string[] values) = random.Next(3) switch
            {
                0 => ("/clients/a", ClientValues),
                1 => ("/plans/gold", PlanValues),
                _ => ("/upstreams/web/backends/127.0.0.1:9", BackendValues),
            };
            string[] members = [.. Enumerable.Range(0, random.Next(4)).Select(_ => values[random.Next(values.Length)])
                .DistinctBy(static member => member.Split(':')[0])];
            string patch = $"{{{string.Join(',', members)}}}";
            JsonObject before = await ReadAsync(admin, path, values);

            Answer answer = await admin.SendAsync("PATCH", path, patch, "application/merge-patch+json");

            JsonNode wanted = answer.Status == 200
                ? Full(Merge(before, JsonNode.Parse(patch)!)!.AsObject(), values) : before;
            JsonObject after = await ReadAsync(admin, path, values);
            Assert.True(JsonNode.DeepEquals(wanted, after),
                $"{answer.Status} {path}: {before.ToJsonString()} and {patch} are {after.ToJsonString()}, not "
                + wanted.ToJsonString());
            Assert.True(answer.Status is 200 or 400, $"{answer.Status} {patch}: {answer.Body}");
            merged += answer.Status == 200 ? 1 : 0;
        }
        Assert.InRange(merged, Rounds / 2, Rounds);
    }

    [Theory]
    [InlineData("/clients/a", """{"capacity":null}""", "capacity must be a number, not null")]
    [InlineData("/clients/a", """{"current_tokens":null}""", "current_tokens must be a number, not null")]
    [InlineData("/clients/a", """{"limits":{"search":{"capacity":null}}}""",
        "limits.search.capacity must be a number, not null")]
    [InlineData("/plans/gold", """{"rate_per_sec":null}""", "rate_per_sec must be a number, not null")]
    public async Task Member_that_cannot_be_absent_cannot_be_null(string path, string patch, string fault)
    {
        await using AdminFixture admin = await AdminFixture.StartAsync();
        await admin.SendAsync("PUT", path, """{"capacity":50,"rate_per_sec":0.001}""");

        (await admin.SendAsync("PATCH", path, patch)).HasFaults(fault);
    }

    /// <summary>RFC 7396 §2.</summary>
    private static JsonNode? Merge(JsonNode? target, JsonNode? patch)
    {
        if (patch is not JsonObject changes)
        {
            return patch?.DeepClone();
        }
        JsonObject result = target is JsonObject ? target.DeepClone().AsObject() : [];
        foreach ((string name, JsonNode? value) in changes)
        {
            if (value is null)
            {
                result.Remove(name);
            }
            else
            {
                result[name] = Merge(result[name], value);
            }
        }
        return result;
    }

    /// <summary>The members that a PATCH can change.</summary>
    private static async Task<JsonObject> ReadAsync(AdminFixture admin, string path, string[] values)
    {
        JsonObject all = JsonNode.Parse((await admin.SendAsync("GET", path)).Body)!.AsObject();
        return Full(all, values);
    }

    private static JsonObject Full(JsonObject resource, string[] values)
    {
        var full = new JsonObject();
        foreach (string name in values.Select(static value => value.Split('"')[1]).Distinct())
        {
            full[name] = resource[name]?.DeepClone()
                ?? (Absent.TryGetValue(name, out string? absent) ? JsonNode.Parse(absent) : null);
        }
        return full;
    }
}
