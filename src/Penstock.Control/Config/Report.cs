namespace Penstock.Control.Config;

/// <summary>Collects all errors and warnings about a configuration, so that one run shows them all. It hides secrets in
/// the shown lines and in the values that messages quote.</summary>
internal sealed class Report
{
    private readonly List<(Diagnostic Diagnostic, Location At)> _diagnostics = [];
    private readonly HashSet<(Location, string)> _said = [];
    private readonly HashSet<Location> _hidden = [];
    private readonly List<FileVersion> _files = [];
    private readonly Dictionary<string, IReadOnlyCollection<string>> _names = [];

    /// <summary>Every file that was read, or should have been.</summary>
    public IReadOnlyList<FileVersion> Files => _files;

    public int Errors { get; private set; }

    /// <summary>The names of this kind that the file defines, for values that refer to them.</summary>
    public IReadOnlyCollection<string> Names(string what) => _names.GetValueOrDefault(what) ?? [];

    /// <summary>Sets the names of this kind that the file defines.</summary>
    public void Define(string what, IReadOnlyCollection<string> names) => _names[what] = names;

    /// <summary>Notes that the configuration depends on this file or directory.</summary>
    public void Uses(FileVersion file) => _files.Add(file);

    /// <summary>Errors before warnings, each in the order of the files.</summary>
    public IReadOnlyList<Diagnostic> Diagnostics =>
        [.. _diagnostics.Select(WithoutHidden).OrderBy(static d => d.Severity)
            .ThenBy(static d => d.File, StringComparer.Ordinal).ThenBy(static d => d.Line)
            .ThenBy(static d => d.Column)];

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

    private Diagnostic WithoutHidden((Diagnostic Diagnostic, Location At) found)
    {
        (Diagnostic diagnostic, Location at) = found;
        if (diagnostic.SourceLine is not { } line)
        {
            return diagnostic;
        }

        char[] shown = line.ToCharArray();
        foreach (Location place in _hidden.Where(place => place.File == at.File && place.Line == at.Line))
        {
            // The part of the place on the next line is not marked here.
            int end = Math.Min(place.Length > 1 ? place.Column - 1 + place.Length : line.Length, line.Length);
            int from = Math.Min(place.Column - 1, end);
            for (int i = Variables.IsReference(line.AsSpan(from, end - from)) ? end : from; i < end; i++)
            {
                shown[i] = shown[i] == '\t' ? '\t' : '*';
            }
        }
        return diagnostic with { SourceLine = Secrets.HideInLine(new string(shown)) };
    }

    private void Add(Severity severity, Location at, string path, string message, string? hint)
    {
        // With a YAML alias the same fault is found several times.
        if (_said.Add((at, message)))
        {
            _diagnostics.Add((new()
            {
                Severity = severity,
                Message = Secrets.Hide(message),
                File = at.File.Name,
                Line = at.Line,
                Column = at.Column,
                Length = Math.Max(at.Length, 1),
                SourceLine = at.File.HasText ? at.File.Lines.ElementAtOrDefault(at.Line - 1) : null,
                Hint = hint is null ? null : Secrets.Hide(hint),
                Path = path.Length == 0 ? null : path,
            }, at));
        }
    }
}
