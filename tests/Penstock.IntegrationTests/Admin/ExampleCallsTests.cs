using System.Text.Json.Nodes;
using Penstock.TestKit;
using Xunit;

namespace Penstock.IntegrationTests.Admin;

/// <summary>Sends the examples of the OpenAPI document to a running Penstock. Each operation has one, its answer has a
/// documented status, and the answer's example has only members that real answers have.</summary>
public sealed class ExampleCallsTests
{
    /// <summary>Needs a database that nodes share; 404 without one is documented, too.</summary>
    private const string ClusterOperation = "getCluster";

    [Fact]
    public async Task Example_of_each_operation_gets_a_documented_answer_like_its_example()
    {
        await using AdminFixture admin = await AdminFixture.StartAsync(change: static config => config with
        {
            Proxy = config.Proxy with { Upstreams = [new() { Name = "web", Backends = [TestProxy.Backend(9001)] }] },
        }, reload: static config => config);
        var faults = new List<string>();
        foreach (ApiOperation operation in await ApiOperation.ReadAllAsync(admin))
        {
            foreach ((string? body, string type) in operation.Bodies)
            {
                faults.AddRange(await FaultsAsync(admin, operation, body, type));
            }
        }
        Assert.Empty(faults);
    }

    private static async Task<IEnumerable<string>> FaultsAsync(
        AdminFixture admin, ApiOperation operation, string? body, string type)
    {
        string call = $"{operation.Id} ({operation.Method} {operation.ExampleTarget()}, {type})";
        if (operation.Parameters.Any(static parameter => parameter is { InPath: true, Example: null })
            || (type.Length > 0 && body is null))
        {
            return [$"{call} has no example: add it to OpenApiExamples"];
        }
        Answer answer = await admin.SendAsync(operation.Method, operation.ExampleTarget(), body, type);
        JsonNode? documented = operation.Node["responses"]![$"{answer.Status}"];
        if (documented is null || (answer.Status >= 300 && operation.Id != ClusterOperation))
        {
            return [$"{call}: {answer.Status} {answer.Body}"];
        }
        if (answer.Status is 204 or >= 300)
        {
            return [];
        }
        JsonNode? example = documented["content"]?[answer.Type ?? ""]?["example"];
        return example is null ? [$"{call}: the answer has no example: add it to OpenApiExamples"]
            : answer.Type == "application/json" ? Invented(call, example, JsonNode.Parse(answer.Body)) : [];
    }

    /// <summary>Members of the example that the answer does not have. Of lists the first items are compared.</summary>
    private static IEnumerable<string> Invented(string path, JsonNode? example, JsonNode? answer)
    {
        if (example is JsonArray { Count: > 0 } list)
        {
            return answer is JsonArray { Count: > 0 } items ? Invented($"{path}[0]", list[0], items[0])
                : answer is JsonArray ? [] : [$"{path} is not a list"];
        }
        return example is not JsonObject members ? []
            : members.SelectMany(member => answer is JsonObject real && real.ContainsKey(member.Key)
                ? Invented($"{path}.{member.Key}", member.Value, real[member.Key])
                : [$"{path}.{member.Key}: no such member in {answer?.ToJsonString()}"]);
    }
}
