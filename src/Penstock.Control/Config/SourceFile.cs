namespace Penstock.Control.Config;

/// <summary>The text of one configuration file, by lines.</summary>
/// <param name="text">Null for a file that cannot be read, and for an option of the command line.</param>
internal sealed class SourceFile(string name, string? text)
{
    // The line breaks of YAML 1.1, so that line numbers equal those of its parser; also used for JSON.
    private static readonly string[] LineEnds = ["\r\n", "\n", "\r", "\u0085", "\u2028", "\u2029"];

    private readonly string[] _lines = (text ?? "").Split(LineEnds, StringSplitOptions.None);
    private readonly List<int> _lineStarts = StartsOf(text ?? "");

    /// <summary>The path as the operator gave it, or an option such as <c>--loops</c>.</summary>
    public string Name => name;

    public bool HasText => text is not null;

    public string Text => text ?? "";

    public IReadOnlyList<string> Lines => _lines;

    public Location Start => new(this, 1, 1, 1);

    /// <summary>The place of the character with this index in the text.</summary>
    public Location PlaceOf(int index, int length)
    {
        int line = _lineStarts.BinarySearch(index);
        line = line < 0 ? ~line - 1 : line;
        // A place between the CR and the LF of a line break belongs to that line.
        return new(this, line + 1, Math.Min(index - _lineStarts[line], _lines[line].Length) + 1, length);
    }

    private static List<int> StartsOf(string text)
    {
        var starts = new List<int> { 0 };
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] is '\n' or '\u0085' or '\u2028' or '\u2029'
                || (text[i] == '\r' && (i + 1 == text.Length || text[i + 1] != '\n')))
            {
                starts.Add(i + 1);
            }
        }

        return starts;
    }
}

/// <summary>A place in a file: line and column from 1, length in characters.</summary>
internal readonly record struct Location(SourceFile File, int Line, int Column, int Length)
{
    /// <summary>The place in a message about another place: <c>on line 3</c>, or <c>at other.yaml:3</c>.</summary>
    public string SeenFrom(Location other) => File == other.File ? $"on line {Line}" : $"at {this}";

    /// <summary><c>penstock.yaml:3</c>; for a value of the command line, its option.</summary>
    public override string ToString() => File.HasText ? $"{File.Name}:{Line}" : File.Name;
}
