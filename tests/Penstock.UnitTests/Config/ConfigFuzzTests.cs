using Penstock.Control.Config;
using Xunit;

namespace Penstock.UnitTests.Config;

public sealed class ConfigFuzzTests
{
    private const string Pieces = "{}[]()<>:;,.-_#&*!|?%@`'\"\\/~^=+ \n\r\t\0$é\u2028\ufffd0123456789azAZ";

    [Theory]
    [InlineData("penstock.yaml")]
    [InlineData("penstock.json")]
    public void Mutated_file_never_throws_and_every_fault_has_a_place(string file)
    {
        string valid = file.EndsWith("json", StringComparison.Ordinal) ? ConfigLoaderTests.Json : ConfigText.Example;
        int seed = Environment.TickCount;
        var random = new Random(seed);
        for (int round = 0; round < 1000; round++)
        {
            string text = Mutate(valid, random);
            try
            {
                ConfigResult result = ConfigLoader.Parse(file, text, _ => null);

                Assert.Equal(result.Config is null, result.Diagnostics.Any(d => d.Severity == Severity.Error));
                int lines = text.ReplaceLineEndings("\n").Split('\n').Length;
                Assert.All(result.Diagnostics, d => Assert.True(d is { Line: >= 1, Column: >= 1, Length: >= 1 }
                    && d.Line <= lines + 1));
                DiagnosticWriter.WriteText(TextWriter.Null, file, result.Diagnostics, color: true);
                DiagnosticWriter.WriteJson(TextWriter.Null, file, result.Diagnostics);
            }
            catch (Exception fault)
            {
                Assert.Fail($"seed {seed}, round {round}: {fault}\n{text}");
            }
        }
    }

    [Theory]
    [InlineData("penstock.yaml", "[")]
    [InlineData("penstock.yaml", "{a: ")]
    [InlineData("penstock.yaml", "- ")]
    [InlineData("penstock.json", "[")]
    [InlineData("penstock.json", "{\"a\":")]
    public void Deep_nesting_is_a_diagnostic_not_a_stack_overflow(string file, string opening)
    {
        string text = string.Concat(Enumerable.Repeat(opening, 20_000));
        Assert.Null(ConfigLoader.Parse(file, text, _ => null).Config);
    }

    private static string Mutate(string text, Random random)
    {
        for (int times = random.Next(1, 6); times > 0; times--)
        {
            (int at, int length) = (random.Next(text.Length), random.Next(1, 12));
            int end = Math.Min(text.Length, at + length);
            text = random.Next(5) switch
            {
                0 => text[..at] + text[end..],
                1 => text[..at] + Pieces[random.Next(Pieces.Length)] + text[at..],
                2 => text[..at] + Pieces[random.Next(Pieces.Length)] + text[(at + 1)..],
                3 => text[..end] + text[at..],
                _ => text[..at] + "${" + text[at..],
            };
            if (text.Length == 0)
            {
                return text;
            }
        }
        return text;
    }
}
