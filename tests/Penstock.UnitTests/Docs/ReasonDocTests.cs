using System.Text;
using System.Text.RegularExpressions;
using Penstock.Proxy.Exchanges;
using Xunit;

namespace Penstock.UnitTests.Docs;

public sealed partial class ReasonDocTests
{
    [Fact]
    public void Table_of_reasons_in_the_documents_lists_each_reason_once()
    {
        string page = File.ReadAllText(Path.Combine(Repository.Root, "docs", "operating.md"));
        string table = page[page.IndexOf("| `reason` | status |", StringComparison.Ordinal)..];
        table = table[..table.IndexOf("\n\n", StringComparison.Ordinal)];
        IEnumerable<string> words = Enum.GetValues<Reason>().Select(static r => Encoding.ASCII.GetString(r.Word()));

        Assert.Equal(
            words.Order(StringComparer.Ordinal),
            FirstCell().Matches(table).Select(static m => m.Groups["word"].Value).Order(StringComparer.Ordinal));
    }

    [GeneratedRegex(@"^\| `(?<word>\w+)` \|(?! status)", RegexOptions.Multiline | RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 5000)]
    private static partial Regex FirstCell();
}
