using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Penstock.Control.Admin;
using Penstock.Control.Config;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Docs;

/// <summary>docs/admin-api.md lists the operations of docs/openapi.json, which an integration test compares with a
/// running Penstock.</summary>
public sealed partial class AdminApiDocTests
{
    private const int MatchTimeoutMs = 10_000;

    [Fact]
    public void Tables_of_the_document_have_each_operation_of_the_api()
    {
        string page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "admin-api.md"));
        JsonNode api = JsonNode.Parse(File.ReadAllText(Path.Combine(Repository.Root, "docs", "openapi.json")))!;

        IEnumerable<string> described = Row().Matches(page)
            .Select(static row => $"{row.Groups["method"].Value} {Plain(row.Groups["path"].Value)}");
        IEnumerable<string> operations = api["paths"]!.AsObject().SelectMany(static path => path.Value!.AsObject()
            .Select(method => $"{method.Key.ToUpperInvariant()} {Plain(path.Key)}"));
        Assert.Equal(operations.Order(), described.Distinct().Order());
    }

    [Fact]
    public void New_backend_has_the_keys_of_a_backend_in_the_file() => Assert.Equal(
        UpstreamKeys.AddedBackend.Rows.Select(static row => row.Name).Order(),
        typeof(NewBackend).GetProperties().Where(static property => property.Name != "EqualityContract")
            .Select(static property => JsonNamingPolicy.SnakeCaseLower.ConvertName(property.Name)).Order());

    /// <summary>Names of parameters may differ.</summary>
    private static string Plain(string path) => Parameter().Replace(path, "{}");

    [GeneratedRegex(@"^\| `(?<method>[A-Z]+) (?<path>/[^`?]*)(\?[^`]*)?`", RegexOptions.Multiline
        | RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Row();

    [GeneratedRegex(@"\{[^}]*\}", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Parameter();
}
