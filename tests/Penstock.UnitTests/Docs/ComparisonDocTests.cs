using System.Text.RegularExpressions;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Docs;

/// <summary>The table in README.md says about other products what their own documentation says, and links it in each
/// cell; or what was measured here.</summary>
public sealed partial class ComparisonDocTests
{
    private const int MatchTimeoutMs = 1000;
    private const string Measured = "](docs/development/benchmarks.md)";

    private static readonly Dictionary<string, string[]> Documentation = new(StringComparer.Ordinal)
    {
        ["nginx"] = ["https://nginx.org/en/docs/"],
        ["HAProxy"] = ["https://docs.haproxy.org/", "https://www.haproxy.com/documentation/"],
        ["Traefik"] = ["https://doc.traefik.io/traefik/"],
        ["Caddy"] = ["https://caddyserver.com/docs/", "https://github.com/mholt/caddy-ratelimit"],
        ["YARP"] = ["https://learn.microsoft.com/en-us/aspnet/core/fundamentals/servers/yarp/"],
        ["Kong"] = ["https://developer.konghq.com/"],
    };

    [Fact]
    public void Every_claim_about_another_product_has_its_source()
    {
        string[] lines = File.ReadAllLines(Path.Combine(Repository.Root, "README.md"));
        int head = Array.FindIndex(lines, static line =>
            line.StartsWith("| | limits a client by ", StringComparison.Ordinal));
        string[][] rows = [.. lines[(head + 2)..].TakeWhile(static line => line.StartsWith('|')).Select(static line =>
            line.Trim('|').Split('|', StringSplitOptions.TrimEntries))];

        Assert.Equal(Documentation.Keys.Prepend("**Penstock**"), rows.Select(static row => row[0].Split(',')[0]));
        Assert.All(rows, static row => Assert.All(row[1..], cell => Assert.True(
            cell == "not measured" || cell.Contains(Measured, StringComparison.Ordinal)
                || Link().Matches(cell).Any(link => IsSource(row[0], link.Groups["target"].Value)),
            $"{row[0]}: {cell}")));
    }

    private static bool IsSource(string product, string target) => product == "**Penstock**"
        ? target.StartsWith("docs/", StringComparison.Ordinal)
        : Documentation[product.Split(',')[0]].Any(site => target.StartsWith(site, StringComparison.Ordinal));

    [GeneratedRegex(@"\]\((?<target>[^)]+)\)", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Link();
}
