namespace Penstock.Control.Config;

/// <summary>Collects every remark about one file, so that the operator hears them all in one run.</summary>
internal sealed class Report(string file, string text)
{
    private readonly string[] _lines = text.ReplaceLineEndings("\n").Split('\n');
    private readonly List<Diagnostic> _diagnostics = [];
    private readonly HashSet<(Place, string)> _said = [];

    public int Errors { get; private set; }

    /// <summary>Errors before warnings, each in the order of the file.</summary>
    public IReadOnlyList<Diagnostic> Diagnostics =>
        [.. _diagnostics.OrderBy(d => d.Severity).ThenBy(d => d.Line).ThenBy(d => d.Column)];

    public IReadOnlyList<string> Lines => _lines;

    public void Error(Place at, string path, string message, string? hint = null)
    {
        Errors++;
        Add(Severity.Error, at, path, message, hint);
    }

    public void Warning(Place at, string path, string message, string? hint = null) =>
        Add(Severity.Warning, at, path, message, hint);

    private void Add(Severity severity, Place at, string path, string message, string? hint)
    {
        // A YAML alias brings the same fault to several places.
        if (_said.Add((at, message)))
            _diagnostics.Add(new(severity, message, file, at.Line, at.Column, Math.Max(at.Length, 1),
                _lines.ElementAtOrDefault(at.Line - 1), hint, path.Length == 0 ? null : path));
    }
}
