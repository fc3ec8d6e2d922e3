namespace Penstock.Control.Config;

/// <summary>Collects every remark about one file, so that the operator hears them all in one run. Nothing leaves it
/// with a secret: not the lines, not the values that messages quote.</summary>
internal sealed class Report(string file, string text)
{
    // What YAML 1.1 takes for the end of a line, so that its parser and we count the same lines, in JSON too.
    private static readonly string[] LineEnds = ["\r\n", "\n", "\r", "\u0085", "\u2028", "\u2029"];

    private readonly string[] _lines = text.Split(LineEnds, StringSplitOptions.None);
    private readonly List<int> _lineStarts = StartsOf(text);
    private readonly List<Diagnostic> _diagnostics = [];
    private readonly HashSet<(Location, string)> _said = [];
    private readonly HashSet<Location> _hidden = [];
    private readonly Dictionary<string, IReadOnlyCollection<string>> _names = [];

    /// <summary>The name of the file.</summary>
    public string File => file;

    public int Errors { get; private set; }

    /// <summary>Names of such things that the file defines, for values that refer to them.</summary>
    public IReadOnlyCollection<string> Names(string what) => _names.GetValueOrDefault(what) ?? [];

    /// <summary>From now on the file is known to define these.</summary>
    public void Define(string what, IReadOnlyCollection<string> names) => _names[what] = names;

    /// <summary>Errors before warnings, each in the order of the file.</summary>
    public IReadOnlyList<Diagnostic> Diagnostics =>
        [.. _diagnostics.Select(WithoutHidden).OrderBy(d => d.Severity).ThenBy(d => d.Line).ThenBy(d => d.Column)];

    public IReadOnlyList<string> Lines => _lines;

    /// <summary>The place of the character with this index in the text.</summary>
    public Location PlaceOf(int index, int length)
    {
        int line = _lineStarts.BinarySearch(index);
        line = line < 0 ? ~line - 1 : line;
        // Between the CR and the LF of a line's end is still that line's end.
        return new(line + 1, Math.Min(index - _lineStarts[line], _lines[line].Length) + 1, length);
    }

    public void Error(Location at, string path, string message, string? hint = null)
    {
        Errors++;
        Add(Severity.Error, at, path, message, hint);
    }

    public void Warning(Location at, string path, string message, string? hint = null) =>
        Add(Severity.Warning, at, path, message, hint);

    /// <summary>Values that no line is shown with: of a secret, or of a key that is not known and may be one.</summary>
    public void Hide(ConfigNode node)
    {
        switch (node)
        {
            case ScalarNode or FaultyNode:
                _hidden.Add(node.Location);
                break;
            case SequenceNode list:
                foreach (ConfigNode item in list.Items)
                {
                    Hide(item);
                }

                break;
            case MappingNode mapping:
                foreach (ConfigEntry entry in mapping.Entries)
                {
                    Hide(entry.Value);
                }

                break;
        }
    }

    private Diagnostic WithoutHidden(Diagnostic diagnostic)
    {
        if (diagnostic.SourceLine is not { } line)
        {
            return diagnostic;
        }

        char[] shown = line.ToCharArray();
        foreach (Location place in _hidden.Where(place => place.Line == diagnostic.Line))
        {
            // what goes on in the next line has no length here
            int end = place.Length > 1 ? place.Column - 1 + place.Length : line.Length;
            for (int i = place.Column - 1; i < Math.Min(end, shown.Length); i++)
            {
                shown[i] = shown[i] == '\t' ? '\t' : '*';
            }
        }
        return diagnostic with { SourceLine = Secrets.HideInLine(new string(shown)) };
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

    private void Add(Severity severity, Location at, string path, string message, string? hint)
    {
        // A YAML alias brings the same fault to several places.
        if (_said.Add((at, message)))
        {
            _diagnostics.Add(new(severity, Secrets.Hide(message), file, at.Line, at.Column, Math.Max(at.Length, 1),
                _lines.ElementAtOrDefault(at.Line - 1), hint is null ? null : Secrets.Hide(hint),
                path.Length == 0 ? null : path));
        }
    }
}
