using System.Text.Encodings.Web;
using System.Text.Json;
using Penstock.Control.Config;
using Xunit;

namespace Penstock.UnitTests.Config;

public sealed class DiagnosticWriterTests
{
    private static readonly Diagnostic Typo = new()
    {
        Message = "unknown key 'weigth'",
        File = "penstock.yaml",
        Line = 14,
        Column = 9,
        Length = 6,
        SourceLine = "        weigth: 3",
        Hint = "did you mean 'weight'?",
        Path = "upstreams.web.backends[1]",
    };

    private static readonly JsonSerializerOptions Readable = new()
    {
        WriteIndented = true,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
    };

    [Fact]
    public void Text_points_at_the_spot_and_sums_up() => Assert.Equal("""
        error: unknown key 'weigth'
          --> penstock.yaml:14:9
           |
        14 |         weigth: 3
           |         ^^^^^^ did you mean 'weight'?
           = in upstreams.web.backends[1]

        1 error in penstock.yaml

        """, Text([Typo]));

    [Fact]
    public void Text_leaves_out_what_there_is_not() => Assert.Equal("""
        warning: w
         --> penstock.yaml:1:1
          |
        1 | x
          | ^

        error: cannot read the file
         --> penstock.yaml:1:1
          = try another

        1 error, 1 warning in penstock.yaml

        """, Text(
            [
                new()
                {
                    Severity = Severity.Warning, Message = "w", File = "penstock.yaml", Length = 99, SourceLine = "x",
                },
                new() { Message = "cannot read the file", File = "penstock.yaml", Hint = "try another" },
            ]));

    [Fact]
    public void Text_keeps_carets_under_their_text_after_a_tab() =>
        Assert.Contains("\n  | \t ^^ \n".Replace(" \n", "\n", StringComparison.Ordinal),
            Text([new() { Message = "e", File = "penstock.json", Column = 3, Length = 2, SourceLine = "\t abc" }]),
            StringComparison.Ordinal);

    [Fact]
    public void Text_prints_twenty_and_counts_all()
    {
        string text = Text([.. Enumerable.Repeat(Typo, 23), Typo with { Severity = Severity.Warning }]);

        Assert.Equal(20, text.Split("error: unknown key").Length - 1);
        Assert.EndsWith("\n\nand 4 more\n\n23 errors, 1 warning in penstock.yaml\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Text_of_nothing_is_empty() => Assert.Equal("", Text([]));

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Text_has_color_only_if_asked(bool color) => Assert.Equal(color, Text([Typo], color).Contains('\e'));

    [Fact]
    public void Json_holds_everything()
    {
        var output = new StringWriter();
        DiagnosticWriter.WriteJson(output, "penstock.yaml", [Typo, Typo with { Severity = Severity.Warning }]);

        using var json = JsonDocument.Parse(output.ToString());
        Assert.Equal("penstock.yaml", json.RootElement.GetProperty("file").GetString());
        Assert.Equal(1, json.RootElement.GetProperty("errors").GetInt32());
        Assert.Equal(1, json.RootElement.GetProperty("warnings").GetInt32());
        Assert.Equal("""
            {
              "severity": "error",
              "message": "unknown key 'weigth'",
              "file": "penstock.yaml",
              "line": 14,
              "column": 9,
              "length": 6,
              "source_line": "        weigth: 3",
              "hint": "did you mean 'weight'?",
              "path": "upstreams.web.backends[1]"
            }
            """, JsonSerializer.Serialize(json.RootElement.GetProperty("diagnostics")[0], Readable));
    }

    private static string Text(IReadOnlyList<Diagnostic> diagnostics, bool color = false)
    {
        var output = new StringWriter { NewLine = "\n" };
        DiagnosticWriter.WriteText(output, "penstock.yaml", diagnostics, color);
        return output.ToString();
    }
}
