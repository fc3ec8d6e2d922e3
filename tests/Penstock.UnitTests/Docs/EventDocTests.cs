using System.Text;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Docs;

public sealed partial class EventDocTests
{
    private const int MatchTimeoutMs = 10_000;

    private static readonly (EventId Event, string Meaning)[] All =
    [
        .. Penstock.Proxy.Observability.Events.List.All, .. Penstock.Control.Telemetry.Events.List.All,
        .. Penstock.Events.List.All,
    ];

    [Fact]
    public void Events_have_numbers_and_words_of_their_own()
    {
        Assert.Equal(All.Length, All.Select(static e => e.Event.Id).Distinct().Count());
        Assert.Equal(All.Length, All.Select(static e => e.Event.Name).Distinct().Count());
    }

    [Fact]
    public void Numbers_tell_the_assembly()
    {
        Assert.All(Penstock.Proxy.Observability.Events.List.All, static e => Assert.InRange(e.Event.Id, 1, 99));
        Assert.All(Penstock.Control.Telemetry.Events.List.All, static e => Assert.InRange(e.Event.Id, 100, 199));
        Assert.All(Penstock.Events.List.All, static e => Assert.InRange(e.Event.Id, 200, 299));
    }

    [Fact]
    public void Every_line_is_an_event_of_the_lists()
    {
        IEnumerable<string> others = Repository.Sources("src")
            .Where(static file => !file.EndsWith("/Events.cs", StringComparison.Ordinal)
                && !file.EndsWith("/EventList.cs", StringComparison.Ordinal))
            .Where(static file => OtherEvent().IsMatch(File.ReadAllText(file)));

        Assert.Empty(others.Select(Path.GetFileName));
    }

    [Fact]
    public void Table_of_the_document_is_that_of_the_lists()
    {
        var table = new StringBuilder("\n| event | what has happened |\n|---|---|\n");
        foreach ((EventId one, string meaning) in All.OrderBy(static e => e.Event.Id))
        {
            table.Append($"| `{one.Name}` | {meaning.TrimEnd('.')} |\n");
        }
        GeneratedText.CheckParts("docs/operating.md", [("events", table.Append('\n').ToString())]);
    }

    [GeneratedRegex(@"new EventId\(|readonly EventId"
        + @"|\.Log(Trace|Debug|Information|Warning|Error|Critical)\(\s*(?!\s|Events\.)",
        RegexOptions.ExplicitCapture, MatchTimeoutMs)]
    private static partial Regex OtherEvent();
}
