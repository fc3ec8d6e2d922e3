using System.Text.RegularExpressions;

namespace Penstock.Control.Config;

/// <summary>The mistake that is probably behind a syntax fault. YAML's parser says what it expected, which is seldom
/// what the operator has to change.</summary>
/// <param name="lines">The file.</param>
/// <param name="place">Where the parser found the fault, which may be behind its cause.</param>
/// <param name="message">What the parser said.</param>
/// <param name="open">The innermost bracket that is open there; null: none.</param>
internal sealed partial class YamlMistake(IReadOnlyList<string> lines, Location place, string message, Location? open)
{
    private readonly string _line = lines[place.Line - 1];

    /// <summary>What to do; null: nobody knows.</summary>
    public string? Hint() => ConflictMarker() ?? UnquotedValue() ?? Colon() ?? Quote() ?? Bracket() ?? Indentation();

    private bool Says(string words) => message.Contains(words, StringComparison.Ordinal);

    private string? ConflictMarker()
    {
        int marker = lines.ToList().FindIndex(static line => line.StartsWith("<<<<<<< ", StringComparison.Ordinal));
        return marker < 0 ? null : $"line {marker + 1} is a conflict marker of a merge";
    }

    /// <summary>Values that YAML reads as something else.</summary>
    private string? UnquotedValue()
    {
        if (_line.Contains("${", StringComparison.Ordinal)) // YAML parses the braces as a mapping
        {
            return "put quotes around a value with ${…}";
        }
        if (Says("cannot start any token") && place.Column <= _line.Length)
        {
            return $"put quotes around a value that begins with {_line[place.Column - 1]}";
        }
        if (Says("there is no anchor"))
        {
            return "put quotes around a value that begins with *, or define the anchor first";
        }
        return BracketedAddress().IsMatch(_line) ? "put quotes around an IPv6 address" : null;
    }

    private string? Colon()
    {
        for (int line = place.Line - 1; line >= Math.Max(place.Line - 2, 0); line--)
        {
            if (GluedColon().IsMatch(lines[line]))
            {
                return $"write a space behind the colon of line {line + 1}";
            }
        }
        if (Says("multiline plain scalar"))
        {
            int without = Enumerable.Range(0, place.Line).Reverse().FirstOrDefault(
                line => !IsBlank(lines[line]) && !lines[line].Contains(':', StringComparison.Ordinal), -1);
            return without < 0 ? null : $"line {without + 1} has no colon behind its key";
        }
        return !Says("plain scalar value, found invalid mapping") ? null
            : _line.IndexOf(':', StringComparison.Ordinal) >= place.Column - 1
                ? "this line is indented too far: begin it below the key before it"
                : "a line has one key: write the second one below it, indented, or put quotes around a value with a "
                    + "colon";
    }

    private string? Quote() => Says("hexadecimal") || Says("unknown escape")
        ? @"in double quotes a \ begins an escape: write \\, or use single quotes"
        : Says("quoted scalar") ? $"is the quote closed that opens at {place.Line}:{place.Column}?"
        : BehindQuote().IsMatch(_line) ? "nothing may follow the closing quote" : null;

    private string? Bracket() => open is { } at ? $"is the bracket closed that opens at {at.Line}:{at.Column}?" : null;

    /// <summary>A line whose indentation is that of no mapping or list that is open there.</summary>
    private string? Indentation()
    {
        var indents = new Stack<int>();
        foreach (string line in lines.Take(place.Line - 1).Where(static line => !IsBlank(line)))
        {
            Open(indents, IndentOf(line));
            for (string rest = line.TrimStart(); rest.StartsWith("- ", StringComparison.Ordinal);
                rest = rest[1..].TrimStart())
            {
                Open(indents, line.Length - rest[1..].TrimStart().Length);
            }
        }
        int indent = IndentOf(_line);
        if (indents.Count == 0 || indents.Contains(indent))
        {
            return null;
        }
        string[] right = [.. indents.Where(i => i > indent).TakeLast(1).Concat(indents.Where(i => i < indent).Take(1))
            .Order().Select(static i => $"{i}")];
        return $"this line is indented by {indent}: write {string.Join(" or ", right)}, as the lines before it";
    }

    private static void Open(Stack<int> indents, int indent)
    {
        while (indents.TryPeek(out int top) && top > indent)
        {
            indents.Pop();
        }
        if (!indents.TryPeek(out int same) || same < indent)
        {
            indents.Push(indent);
        }
    }

    private static int IndentOf(string line) => line.Length - line.TrimStart(' ').Length;

    private static bool IsBlank(string line) => line.AsSpan().TrimStart() is "" or ['#', ..];

    /// <summary><c>listen:8080</c>, which YAML reads as one text.</summary>
    [GeneratedRegex(@"^\s*(- )?[a-z_]+:[^\s/]", RegexOptions.ExplicitCapture, matchTimeoutMilliseconds: 1000)]
    private static partial Regex GluedColon();

    /// <summary><c>[::]:8080</c>, which YAML reads as a list.</summary>
    [GeneratedRegex(@"[\s,\[]\[[0-9A-Fa-f]*:[0-9A-Fa-f:.]*\]", RegexOptions.None, matchTimeoutMilliseconds: 1000)]
    private static partial Regex BracketedAddress();

    [GeneratedRegex("""[:\-]\s+("[^"]*"|'[^']*')\s*[^\s#,}\]]""", RegexOptions.ExplicitCapture,
        matchTimeoutMilliseconds: 1000)]
    private static partial Regex BehindQuote();
}
