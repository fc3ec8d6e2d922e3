using System.Text;
using System.Text.RegularExpressions;
using Penstock.Proxy.Http1;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Docs;

/// <summary>docs/development/duties.md and docs/development/faults.md agree with the tests.</summary>
public sealed partial class HttpDocTests
{
    [Fact]
    public void Every_test_that_is_named_exists()
    {
        HashSet<string> known = KnownTests();
        Assert.All(HttpDuties.All.SelectMany(static d => d.Tests.Split(' ')), t => Assert.Contains(t, known));
        string page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "development", "faults.md"));
        MatchCollection named = TestName().Matches(page);
        Assert.True(named.Count > 20);
        Assert.All(named, t => Assert.Contains(t.Groups["name"].Value, known));
    }

    [Fact]
    public void Tables_of_the_document_are_those_of_the_tests() =>
        GeneratedText.CheckParts("docs/development/duties.md", [("duties", Tables())]);

    private static string Tables()
    {
        var text = new StringBuilder();
        text.Append("\n| § | what | what Penstock does | held by |\n|---|---|---|---|\n");
        foreach (HttpDuty duty in HttpDuties.All)
        {
            text.Append($"| {duty.Section} | {duty.Duty} | {duty.Behaviour} | ")
                .Append(string.Join("<br>", duty.Tests.Split(' ').Select(static t => $"`{t}`")))
                .Append(" |\n");
        }
        text.Append("\n## Hostile messages\n\n| # | class | answer |\n|---|---|---|\n");
        foreach (HostileRequest message in HostileRequests.All)
        {
            string answer = message.Fault != HttpFault.None
                ? $"{HttpFaultInfo.Status(message.Fault)} "
                    + $"`{Encoding.ASCII.GetString(HttpFaultInfo.Bytes(message.Fault))}`"
                : message.Class == "incomplete" ? "waits, then 400 at the end of the stream or 408"
                : "forwarded without its hostile part";
            text.Append($"| {message.Number} | {message.Class} | {answer} |\n");
        }
        return text.Append('\n').ToString();
    }

    private static HashSet<string> KnownTests() =>
        Repository.Sources("tests")
            .SelectMany(static f => Method().Matches(File.ReadAllText(f))
                .Select(m => Path.GetFileNameWithoutExtension(f) + "." + m.Groups["name"].Value))
            .ToHashSet(StringComparer.Ordinal);

    [GeneratedRegex(@"`(?<name>\w+(Tests|Scenarios)\.\w+)`", RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 5000)]
    private static partial Regex TestName();

    [GeneratedRegex(@"public (async Task|void|Task) (?<name>\w+)", RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 5000)]
    private static partial Regex Method();
}
