namespace Penstock.Control.Config;

/// <summary>Collects all errors and warnings about one file, so that one run shows them all. It hides secrets in the
/// shown lines and in the values that messages quote.</summary>
internal sealed class Report(string file, string text)
{
    // The line breaks of YAML 1.1, so that line numbers equal those of its parser; also used for JSON.
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

    /// <summary>The names of this kind that the file defines, for values that refer to them.</summary>
    public IReadOnlyCollection<string> Names(string what) => _names.GetValueOrDefault(what) ?? [];

    /// <summary>Sets the names of this kind that the file defines.</summary>
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
        // A place between the CR and the LF of a line break belongs to that line.
        return new(line + 1, Math.Min(index - _lineStarts[line], _lines[line].Length) + 1, length);
    }

    public void Error(Location at, string path, string message, string? hint = null)
    {
        Errors++;
        Add(Severity.Error, at, path, message, hint);
    }

    public void Warning(Location at, string path, string message, string? hint = null) =>
        Add(Severity.Warning, at, path, message, hint);

    /// <summary>Hides a value in shown lines: that of a secret, or of an unknown key, which may be a secret.</summary>
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
            // The part of the place on the next line is not marked here.
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
        // With a YAML alias the same fault is found several times.
        if (_said.Add((at, message)))
        {
            _diagnostics.Add(new()
            {
                Severity = severity,
                Message = Secrets.Hide(message),
                File = file,
                Line = at.Line,
                Column = at.Column,
                Length = Math.Max(at.Length, 1),
                SourceLine = _lines.ElementAtOrDefault(at.Line - 1),
                Hint = hint is null ? null : Secrets.Hide(hint),
                Path = path.Length == 0 ? null : path,
            });
        }
    }
}
