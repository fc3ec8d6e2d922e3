using System.Text.RegularExpressions;

namespace Penstock.Control.Config;

/// <summary>Replaces <c>${NAME}</c> and <c>${NAME:-default}</c> in values; <c>$$</c> means one dollar sign. Runs after
/// parsing, so a variable can never change the structure of the file.</summary>
internal sealed partial class Variables(Func<string, string?> environment, Report report)
{
    public ConfigNode Fill(string text, Location place)
    {
        int errorsBefore = report.Errors;
        string filled = Reference().Replace(text, reference => Value(reference, place));
        return report.Errors == errorsBefore ? new ScalarNode(place, filled) : new FaultyNode(place);
    }

    private string Value(Match reference, Location place)
    {
        if (reference.Value == "$$")
        {
            return "$";
        }

        string name = reference.Groups["name"].Value;
        if (name.Length == 0)
        {
            report.Error(Locate(reference.Value, place), "", "'${' does not begin a variable",
                "write ${NAME}, ${NAME:-default}, or $$ for a dollar sign");
            return "";
        }
        string? value = environment(name);
        // As in a shell, ":-" also covers a variable that is set but empty.
        if (reference.Groups["default"] is { Success: true } otherwise && string.IsNullOrEmpty(value))
        {
            return otherwise.Value;
        }

        if (value is null)
        {
            report.Error(Locate(reference.Value, place), "", $"environment variable '{name}' is not set",
                $"set it, or write ${{{name}:-default}}");
        }

        return value ?? "";
    }

    /// <summary>The place of the reference within a longer value, if it can be found there.</summary>
    private Location Locate(string reference, Location place)
    {
        string line = report.Lines.ElementAtOrDefault(place.Line - 1) ?? "";
        int from = Math.Min(place.Column - 1, line.Length);
        int index = line.IndexOf(reference, from, StringComparison.Ordinal);
        return index < 0 ? place : place with { Column = index + 1, Length = reference.Length };
    }

    [GeneratedRegex(@"\$\$|\$\{(?<name>[A-Za-z_][A-Za-z0-9_]*)(:-(?<default>[^{}]*))?\}|\$\{",
        RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Reference();
}
