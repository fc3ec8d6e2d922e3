using System.Text;
using System.Text.RegularExpressions;

namespace Penstock.Control.Config;

/// <summary>Replaces <c>${NAME}</c> and <c>${NAME:-default}</c> in values by environment variables, and
/// <c>${file:PATH}</c> by the text of a file; <c>$$</c> means one dollar sign. Runs after parsing, so a variable can
/// never change the structure of the file.</summary>
internal sealed partial class Variables(Func<string, string?> environment, Report report)
{
    private const int MaxFileBytes = 64 * 1024;

    /// <summary>The name of a variable, as a pattern.</summary>
    private const string Name = "[A-Za-z_][A-Za-z0-9_]*";

    public ConfigNode Fill(string text, Location place)
    {
        int errorsBefore = report.Errors;
        List<string> madeOf = [];
        bool isSecret = false;
        string filled = Reference().Replace(text, reference =>
        {
            if (reference.Value == "$$")
            {
                return "$";
            }
            Location at = Locate(reference.Value, place);
            if (reference.Groups["path"] is { Success: true } path)
            {
                madeOf.Add("file:" + path.Value);
                isSecret = true;
                return FileText(path.Value, at);
            }
            madeOf.Add("$" + reference.Groups["name"].Value);
            return Variable(reference, at);
        });
        return report.Errors != errorsBefore ? new FaultyNode(place) : new ScalarNode(place, filled)
        {
            MadeOf = madeOf.Count == 0 ? null : string.Join(", ", madeOf),
            IsSecret = isSecret,
        };
    }

    /// <summary>The text is exactly one <c>${NAME}</c>, also in quotes, so it shows nothing of the value.</summary>
    public static bool IsReference(ReadOnlySpan<char> text) => Whole().IsMatch(text);

    private string Variable(Match reference, Location at)
    {
        string name = reference.Groups["name"].Value;
        if (name.Length == 0)
        {
            report.Error(at, "", "'${' does not begin a variable",
                "write ${NAME}, ${NAME:-default}, ${file:/path}, or $$ for a dollar sign");
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
            report.Error(at, "", $"environment variable '{name}' is not set",
                $"set it, or write ${{{name}:-default}}");
        }

        return value ?? "";
    }

    /// <summary>The text of a file without the line break at its end. Its text is taken for a secret.</summary>
    private string FileText(string path, Location at)
    {
        string full = FileReader.Beside(at.File.Name, path);
        if (FileReader.Read(full, report, out string fault, MaxFileBytes) is not { } bytes)
        {
            report.Error(at, "", $"cannot read {ConfigValue.Quote(path)}: {fault}", FileReader.Hint(path));
            return "";
        }
        return Encoding.UTF8.GetString(bytes).TrimEnd('\r', '\n');
    }

    /// <summary>The place of the reference within a longer value, if it can be found there.</summary>
    private static Location Locate(string reference, Location place)
    {
        string line = place.File.Lines.ElementAtOrDefault(place.Line - 1) ?? "";
        int from = Math.Min(place.Column - 1, line.Length);
        int index = line.IndexOf(reference, from, StringComparison.Ordinal);
        return index < 0 ? place : place with { Column = index + 1, Length = reference.Length };
    }

    [GeneratedRegex(@"\A(?<quote>[""']?)\$\{" + Name + @"\}\k<quote>\z", RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex Whole();

    [GeneratedRegex(@"\$\$|\$\{file:(?<path>[^{}]+)\}"
        + @"|\$\{(?<name>" + Name + @")(:-(?<default>[^{}]*))?\}|\$\{",
        RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex Reference();
}
