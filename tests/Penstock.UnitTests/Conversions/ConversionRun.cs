using Penstock.Control.Config;
using Penstock.Control.Conversions;
using Xunit;

namespace Penstock.UnitTests.Conversions;

/// <summary>Converts texts for tests.</summary>
internal static class ConversionRun
{
    /// <summary>The configuration without its first line, which must have no error, and what was left out.</summary>
    /// <param name="certificates">Files that it names may be missing.</param>
    public static (string Yaml, string[] Left) Of(
        string format, string fileName, string text, bool certificates = false)
    {
        Converted made = Converters.Convert(format, fileName, text.ReplaceLineEndings("\n"));
        Assert.Null(made.Fault);
        ConfigResult result = ConfigLoader.Parse("penstock.yaml", made.Yaml!, static _ => "sixteen characters");
        string[] errors = [.. result.Diagnostics.Where(static d => d.Severity == Severity.Error)
            .Select(static d => d.Message)];
        Assert.All(errors, error => Assert.True(certificates && error.StartsWith("cannot read",
            StringComparison.Ordinal), error));
        Assert.Equal(errors.Length == 0, result.Config is not null);
        return (made.Yaml![(made.Yaml!.IndexOf('\n') + 1)..], [.. made.Left]);
    }

    public static string FaultOf(string format, string fileName, string text) =>
        Assert.IsType<string>(Converters.Convert(format, fileName, text).Fault);
}
