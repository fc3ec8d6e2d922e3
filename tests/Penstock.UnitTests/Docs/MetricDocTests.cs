using System.Text;
using System.Text.RegularExpressions;
using Penstock.Control.Telemetry.Metrics;
using Xunit;

namespace Penstock.UnitTests.Docs;

/// <summary>docs/metrics.md lists the metrics that there are. Their names follow Prometheus' conventions.</summary>
public sealed partial class MetricDocTests
{
    private const int MatchTimeoutMs = 1000;

    [Fact]
    public void Table_of_the_document_is_that_of_the_program()
    {
        var table = new StringBuilder("\n| metric | kind | labels | what it says |\n|---|---|---|---|\n");
        foreach (Metric metric in MetricList.All)
        {
            string labels = string.Join(", ", metric.Labels.Select(static label => $"`{label}`"));
            table.Append($"| `{metric.Name}` | {metric.Kind.ToString().ToLowerInvariant()} | {labels} | "
                + $"{metric.Help.TrimEnd('.')} |\n");
        }
        GeneratedText.CheckParts("docs/metrics.md", [("metrics", table.Append('\n').ToString())]);
    }

    [Fact]
    public void Names_differ_and_say_unit_and_kind()
    {
        Assert.Distinct(MetricList.All.Select(static metric => metric.Name));
        Assert.All(MetricList.All, static metric =>
        {
            Assert.Matches(Name(), metric.Name);
            Assert.Equal(metric.Kind == MetricKind.Counter, metric.Name.EndsWith("_total", StringComparison.Ordinal));
            Assert.EndsWith(".", metric.Help, StringComparison.Ordinal);
        });
    }

    [Fact]
    public void No_label_is_a_client() => Assert.DoesNotContain("client",
        MetricList.All.SelectMany(static metric => metric.Labels));

    [GeneratedRegex("^(penstock|process|dotnet)(_[a-z]+)+$", RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex Name();
}
