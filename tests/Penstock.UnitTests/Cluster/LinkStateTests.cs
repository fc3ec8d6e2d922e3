using Penstock.Control.Cluster;
using Penstock.TestKit;
using Xunit;

namespace Penstock.UnitTests.Cluster;

public sealed class LinkStateTests
{
    /// <summary>A dash means that the event does not change the state.</summary>
    [Fact]
    public void Table_in_the_documents_is_what_the_link_does()
    {
        string page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "store.md"));
        string table = page[page.IndexOf("| the node is |", StringComparison.Ordinal)..];
        table = table[..table.IndexOf("\n\n", StringComparison.Ordinal)];
        string[][] rows = [.. table.Split('\n').Select(static row =>
            row.Trim('|').Split('|').Select(static cell => cell.Trim()).ToArray())];
        LinkEvent[] events = [LinkEvent.Unanswered, LinkEvent.Answered, LinkEvent.Broken, LinkEvent.Reconnected,
            LinkEvent.Settled];

        Assert.Equal(Enum.GetValues<LinkEvent>().Length, events.Length);
        Assert.Equal(Enum.GetValues<LinkState>().Length, rows.Length - 2);
        foreach (string[] row in rows[2..])
        {
            LinkState from = Enum.GetValues<LinkState>().Single(s => Word(s) == row[0]);
            Assert.Equal(events.Select(what => from.After(what)).Select(to => to == from ? "-" : Word(to)), row[1..]);
        }
    }

    [Theory]
    [InlineData("connected", false)]
    [InlineData("settling", false)]
    [InlineData("silent", true)]
    [InlineData("alone", true)]
    public void Database_is_away_in_two_states(string state, bool away) =>
        Assert.Equal(away, Enum.GetValues<LinkState>().Single(s => Word(s) == state).IsAway());

    private static string Word(LinkState state) => state.ToString().ToLowerInvariant();
}
